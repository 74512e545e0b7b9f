"""From a trained network to the folder of a model, and its weights back into a network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import nn

from unmask.errors import ModelError, UsageError
from unmask.models.card import (
    CARD_FILE,
    MODEL_FILES,
    ONNX_FILE,
    WEIGHTS_FILE,
    Card,
    file_facts,
    load_card,
    read_verified,
    write_card,
)
from unmask.models.clip_network import ClipNetwork
from unmask.models.cpu import Network
from unmask.models.networks.output import Output
from unmask.models.networks.slowfast import SlowFast
from unmask.storage.atomic import atomic_file, atomic_folder
from unmask.types import CropScore

IMAGENET_MEAN = (0.485, 0.456, 0.406)
"""Mean of RGB in 0..1."""
IMAGENET_STD = (0.229, 0.224, 0.225)
"""Standard deviation of RGB in 0..1."""

TOLERANCE = 1e-4
"""How far ONNX may stray from torch, on a fake probability and on the map."""

_OPSET = 18
_CHECK_CROPS = 5
_CHECK_CLIPS, _CHECK_FRAMES = 2, 13  # frames that alpha does not divide
_EXAMPLE = (2, 16)  # crops or clips, and frames
_NAMES_SHOWN = 5


class FromPixels(nn.Module):
    """A network with its normalisation in front: uint8 RGB crops (N, S, S, 3) in, ``(logit_N, map_Nhw)`` out.

    A network that takes clips gets them as (N, T, S, S, 3). The map, where there is one, is the probability of the
    blended region, 0 to 1.
    """

    mean_3: torch.Tensor
    scale_3: torch.Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean_3", torch.tensor(mean, dtype=torch.float32) * 255)
        self.register_buffer("scale_3", 1 / (torch.tensor(std, dtype=torch.float32) * 255))

    def forward(self, crops_NSS3: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Judge crops as the runtime gives them."""
        x_N3SS = ((crops_NSS3.float() - self.mean_3) * self.scale_3).movedim(-1, 1)
        output: Output = self.network(x_N3SS)
        if output.mask_N2hw is None:
            return (output.logit_N,)
        return output.logit_N, output.mask_N2hw[:, 0].sigmoid()


def export_model(
    network: nn.Module,
    folder: Path,
    card: Card,
    *,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
) -> Card:
    """Write a model folder: ``model.onnx``, ``model.safetensors`` and ``card.json``, all or nothing.

    Random crops, or clips, go through the network and through the written file on the runtime, in fp32; they must
    agree.

    Args:
        network: As it was trained, on any device; it stays as it is. A `SlowFast` is written for clips.
        folder: Where to; a model that lies there is replaced.
        card: The model's card; its ``files`` are filled in here, and so are mean and std of its ``network``. The side
            of the crops is ``card.crop.size_px``.
        mean: Mean of RGB in 0..1, subtracted in training.
        std: Standard deviation of RGB in 0..1, divided by in training.

    Returns:
        The card as written.

    Raises:
        ModelError: The network gives something that is no number, or ONNX and torch disagree.
        UsageError: The folder holds other files than a model's.
    """
    check_free(folder)
    model = FromPixels(copy.deepcopy(network).cpu().float(), mean, std).eval()
    clips, sides = isinstance(network, SlowFast), [card.crop.size_px] * 2
    shape = (_CHECK_CLIPS, _CHECK_FRAMES, *sides, 3) if clips else (_CHECK_CROPS, *sides, 3)
    crops_NSS3 = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    expected = _torch_scores(model, crops_NSS3, card)
    spec = None if card.network is None else replace(card.network, mean=_triple(mean), std=_triple(std))
    card = replace(card, network=spec)

    def check(written: Path) -> None:
        runner = ClipNetwork(written, "fp32") if clips else Network(written, "fp32", streams=1)
        _check_agreement(expected, runner.score(crops_NSS3))

    free = (0, 1) if clips else (0,)
    example_NSS3 = torch.zeros(*_EXAMPLE[: len(free)], *sides, 3, dtype=torch.uint8)
    names = ["logit", "manipulation_map"][: len(model(example_NSS3))]
    return write_folder(folder, card, to_onnx(model, example_NSS3, free, "crops", names), model.network, check)


def write_folder(folder: Path, card: Card, onnx: bytes, network: nn.Module, check: Callable[[Path], None]) -> Card:
    """Write a model folder, all or nothing, and return its card with the facts of its files.

    Args:
        folder: Where to.
        card: The model's card.
        onnx: The network.
        network: Its weights.
        check: Raises when the folder, which it is given before it stands in its place, is not as it should be.
    """
    contents = {ONNX_FILE: onnx, WEIGHTS_FILE: _safetensors(network)}
    card = replace(card, files={name: file_facts(content) for name, content in contents.items()})
    with atomic_folder(folder.resolve()) as temporary:
        for name, content in contents.items():
            with atomic_file(temporary / name) as file:
                file.write(content)
        write_card(temporary, card)
        check(temporary)
    return card


def load_weights(network: nn.Module, path: Path, *, more: bool = False) -> None:
    """Load the weights of a safetensors file into a network, all of them and, by itself, nothing else.

    A card beside the file must name it, and its sha256 must be the card's. ``module.`` in front of names, left there
    by DDP, is stripped.

    Args:
        network: A network of the same kind and with the same parameters as the one that was saved.
        path: The file, or a model folder, whose ``model.safetensors`` is read.
        more: The file may hold more, as an encoder's published weights hold a classifier, too.

    Raises:
        ModelError: It is missing, damaged, no safetensors file, or of another network.
    """
    path = path / WEIGHTS_FILE if path.is_dir() else path
    if path.suffix != ".safetensors":
        raise ModelError(f"{path} is no .safetensors file; others can run code when opened, so convert it first")
    try:
        tensors = safetensors.torch.load(_read_weights(path))
    except SafetensorError as error:
        raise ModelError(f"{path} is no safetensors file: {error}") from error
    tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    wanted = network.state_dict()
    if more:
        tensors = {name: tensors[name] for name in wanted if name in tensors}
    differences = layout_differences(shapes_of(wanted), shapes_of(tensors))
    if differences:
        raise ModelError(f"{path} holds the weights of another network: {'; '.join(differences)}")
    network.load_state_dict(tensors)


def _read_weights(path: Path) -> bytes:
    if (path.parent / CARD_FILE).is_file():
        card = load_card(path.parent)
        if path.name not in card.files:
            raise ModelError(f"{path.parent / CARD_FILE} does not name {path.name}; export the model again")
        return read_verified(path.parent, card, path.name)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


_MAX_AXES = 8


def _shown(shape: tuple[int, ...]) -> str:
    """Return a shape for a message; a file may claim one of a hundred thousand axes."""
    return str(list(shape)) if len(shape) <= _MAX_AXES else f"of {len(shape)} axes"


def layout_differences(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Return what stands in the way of loading: names missing, unexpected or with other shapes."""
    other_shapes = [
        f"{name} {_shown(found[name])} instead of {_shown(shape)}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    kinds = {
        "missing": [name for name in wanted if name not in found],
        "unexpected": sorted(name for name in found if name not in wanted),
        "of another shape": other_shapes,
    }
    return [f"{kind}: {_some(names)}" for kind, names in kinds.items() if names]


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def check_free(folder: Path) -> None:
    """Refuse to replace anything but a model."""
    if not folder.exists():
        return
    names = [folder.name] if not folder.is_dir() else sorted(path.name for path in folder.iterdir())
    others = [name for name in names if name not in MODEL_FILES]
    if others:
        raise UsageError(f"{folder} holds {_some(others)}, which are no model's files; name a new folder")


def _torch_scores(model: FromPixels, crops_NSS3: NDArray[np.uint8], card: Card) -> list[CropScore]:
    with torch.inference_mode():
        logits_N, *maps = (output.numpy() for output in model(torch.from_numpy(crops_NSS3)))
    if not all(np.isfinite(values).all() for values in (logits_N, *maps)):
        raise ModelError("the network gives scores that are no numbers: its training diverged; take an earlier epoch")
    maps_N = maps[0] if maps else [None] * len(logits_N)
    calibrated_N = card.calibration.apply(logits_N).tolist()
    return [CropScore(logit, map_hw) for logit, map_hw in zip(calibrated_N, maps_N, strict=True)]


def _check_agreement(expected: list[CropScore], found: list[CropScore]) -> None:
    gaps = [abs(a.fake_probability - b.fake_probability) for a, b in zip(expected, found, strict=True)]
    for a, b in zip(expected, found, strict=True):
        if a.map_hw is not None:
            gaps.append(float(np.abs(a.map_hw - b.map_hw).max()) if b.map_hw is not None else math.inf)
    worst = float(np.max(gaps))  # of numpy, which keeps what is no number
    if not worst <= TOLERANCE:
        raise ModelError(f"the written network strays from torch by {worst:.1e}, more than {TOLERANCE:.0e}")


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = map(float, values)
    return red, green, blue


def _safetensors(network: nn.Module) -> bytes:
    return safetensors.torch.save({name: tensor.contiguous() for name, tensor in network.state_dict().items()})


def to_onnx(
    model: nn.Module, example: torch.Tensor, free: Sequence[int], input_name: str, output_names: Sequence[str]
) -> bytes:
    """Return a model of one input as ONNX, weights inside.

    Args:
        model: In evaluation mode, on the CPU.
        example: An input.
        free: The axes of the input that may have any length.
        input_name: Name of the input port.
        output_names: Names of the output ports.
    """
    program = torch.onnx.export(
        model,
        (example,),
        dynamo=True,
        input_names=[input_name],
        output_names=list(output_names),
        dynamic_shapes=({axis: torch.export.Dim(f"axis_{axis}") for axis in free},),
        opset_version=_OPSET,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    for part in (*proto.graph.node, *proto.graph.value_info, proto.graph, proto):
        part.ClearField("metadata_props")  # where on this machine each line of code lies
    return proto.SerializeToString()
