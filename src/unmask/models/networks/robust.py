"""RobustForensics' models from their published checkpoints: network, names of the tensors, card.

    network = build_member(member)
    network.load_state_dict(rename_published(member, network, checkpoint["state_dict"]))
    export_model(network, folder, member_card(member), mean=member.mean, std=member.std)

A checkpoint is ``{step, arch, state_dict, best_loss, optimizer}``. Xception is cadene's, ResNet-34 torchvision's, the
EfficientNets are lukemelas', SlowFast is the authors' own. Source: Siyu-C/RobustForensics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor, nn

from unmask.models.card import Card
from unmask.models.networks.slowfast import SlowFast
from unmask.models.networks.two_class import TwoClass
from unmask.models.robust_rules import Member
from unmask.types import CropSpec, Detection

_ENDS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
_SQUEEZE = {"_se_reduce": "se.conv_reduce", "_se_expand": "se.conv_expand"}
_FIRST_STAGE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"} | _SQUEEZE
"""lukemelas' names of a block's layers -> timm's, where nothing is expanded first."""
_LATER_STAGES = _SQUEEZE | {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def build_member(member: Member) -> nn.Module:
    """Build the network of a member, with random weights."""
    if member.group == "video":
        return SlowFast()
    return TwoClass(member.encoder, bgr=member.bgr, even_padding=_is_efficientnet(member))


def rename_published(member: Member, network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a published checkpoint under the names of our network.

    A name that is not known stays as it is, so that a strict loading tells it.

    Args:
        member: Which one.
        network: What `build_member` gave for it.
        tensors: Name -> tensor, with ``module.`` in front or without.
    """
    return {_our_name(name.removeprefix("module."), member, network): tensor for name, tensor in tensors.items()}


def member_card(member: Member) -> Card:
    """Return what the card of a member's folder says; its files are filled in by the export."""
    return Card(
        name=member.model,
        version=member.checkpoint,
        purpose="One of the eleven models of RobustForensics, fourth place of the Deepfake Detection Challenge.",
        architecture="SlowFast-50" if member.group == "video" else member.encoder,
        licence="not stated by its authors: https://github.com/Siyu-C/RobustForensics",
        crop=CropSpec(
            member.side_px,
            margin=0.15,
            outline="square",
            enlarge="linear",
            detection=Detection(detector="retinaface"),
        ),
        files={},
        training={"data": "DFDC", "source": "https://github.com/Siyu-C/RobustForensics"},
        limitations=(
            "Made for faces of constant size cut along tubes, and for the authors' rules of fusion; not calibrated.",
        ),
    )


def _is_efficientnet(member: Member) -> bool:
    return "efficientnet" in member.encoder


def _our_name(name: str, member: Member, network: nn.Module) -> str:
    if member.group == "video":
        return name
    name = name.removeprefix("model.")  # Xception came in a wrapper
    layer = name.partition(".")[0]
    if layer in ("fc", "_fc"):
        return name.removeprefix("_")
    return f"encoder.{_timm_name(name, network) if _is_efficientnet(member) else name}"


def _timm_name(name: str, network: nn.Module) -> str:
    """Translate lukemelas' name of an EfficientNet's tensor, e.g. ``_blocks.3._bn0.weight``."""
    block = re.fullmatch(r"_blocks\.(\d+)\.([^.]+)\.(.+)", name)
    if block is None:
        layer, _, rest = name.partition(".")
        return f"{_ENDS.get(layer, layer)}.{rest}"
    number, layer, rest = int(block[1]), block[2], block[3]
    places = [
        (i, j)
        for i, stage in enumerate(network.get_submodule("encoder.blocks").children())
        for j in range(len(list(stage.children())))
    ]
    if number >= len(places):
        return name
    stage, position = places[number]
    layers = _LATER_STAGES if stage else _FIRST_STAGE
    return f"blocks.{stage}.{position}.{layers.get(layer, layer)}.{rest}"
