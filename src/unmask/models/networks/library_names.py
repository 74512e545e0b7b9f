"""Translate tensor names of the libraries that encoders came from before timm into the names of our networks.

EfficientNet-PyTorch (lukemelas), pretrained-models.pytorch (cadene's Xception) and torchvision (ResNet) are known;
checkpoints of a `TwoClass` network trained on their encoders can be loaded:

    names = rename_library_tensors(checkpoint["state_dict"], network)
    network.load_state_dict({names[name]: tensor for name, tensor in checkpoint["state_dict"].items()})
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import nn

from unmask.models.networks.two_class import TwoClass

OUTSIDE_BLOCKS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
"""EfficientNet-PyTorch's names of the layers before and after the blocks -> timm's."""
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"} | _SQUEEZE
"""EfficientNet-PyTorch's names of a block's layers -> timm's, where nothing is expanded first."""
LATER_STAGES = _SQUEEZE | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""The same of a block that expands first."""


def rename_library_tensors(names: Iterable[str], network: nn.Module) -> dict[str, str]:
    """Return for each tensor name of a checkpoint the name of the same tensor in our network.

    An unknown name gets one that the network does not have either, so that strict loading fails and names it.

    Args:
        names: With ``module.`` in front or without.
        network: The network that takes the tensors. Other networks than `TwoClass` keep the names.
    """
    return {name: _our_name(name.removeprefix("module."), network) for name in names}


def _our_name(name: str, network: nn.Module) -> str:
    if not isinstance(network, TwoClass):
        return name
    name = name.removeprefix("model.")  # of a wrapper, which Xception came in
    if name.partition(".")[0] in ("fc", "_fc"):
        return name.removeprefix("_")
    return f"encoder.{_timm_name(name, network) if name.startswith('_') else name}"


def _timm_name(name: str, network: nn.Module) -> str:
    """Translate EfficientNet-PyTorch's name of a tensor, e.g. ``_blocks.3._bn0.weight``, into timm's."""
    block = re.fullmatch(r"_blocks\.(\d+)\.([^.]+)\.(.+)", name)
    if block is None:
        layer, _, rest = name.partition(".")
        return f"{OUTSIDE_BLOCKS.get(layer, layer)}.{rest}"
    number, layer, rest = int(block[1]), block[2], block[3]
    places = [
        (i, j)
        for i, stage in enumerate(network.get_submodule("encoder.blocks").children())
        for j in range(len(list(stage.children())))
    ]
    if number >= len(places):
        return name
    stage, position = places[number]
    layers = LATER_STAGES if stage else FIRST_STAGE
    return f"blocks.{stage}.{position}.{layers.get(layer, layer)}.{rest}"
