"""Model folders of the challenge winner's form with random weights: as fast as published ones, and free to make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import safetensors.numpy
import torch

from unmask.datasets.synthetic import read_portrait
from unmask.models import Card, NetworkSpec
from unmask.models.card import CARD_FILE, WEIGHTS_FILE, Fusion, load_card
from unmask.models.networks import build_network
from unmask.models.networks.export import IMAGENET_MEAN, IMAGENET_STD, export_model
from unmask.types import CropSpec, DetectorSpec

PORTRAIT = Path(__file__).parents[1] / "examples" / "data" / "eileen_collins.png"
PORTRAITS = 24


def random_models(folder: Path, encoder: str, size_px: int, count: int) -> list[Path]:
    """Return the folders of ``count`` networks; those of an earlier call are used again."""
    return [_random_model(folder / f"{encoder}-{size_px}-{seed}", encoder, size_px, seed) for seed in range(count)]


def _random_model(folder: Path, encoder: str, size_px: int, seed: int) -> Path:
    if (folder / CARD_FILE).is_file():
        return folder
    network = random_network(encoder, size_px, seed)
    spec = NetworkSpec("classifier", {"encoder": encoder})
    crop = CropSpec(size_px=size_px, detection=DetectorSpec(scale=0.5, shrink="bicubic"))
    fusion = Fusion(frames="confident", people="pool", min_frames=1)
    words = ("Measures speed.", f"{encoder}, random weights", "none")
    card = Card(f"random-{seed}", "1", *words, crop, {}, fusion=fusion, network=spec)
    print(f"exporting {folder.name}", flush=True)
    export_model(network, folder, card)
    return folder


def random_network(encoder: str, size_px: int, seed: int) -> torch.nn.Module:
    """Return a network of the kind ``classifier`` whose logits of faces have mean 0 and variance 1."""
    torch.manual_seed(seed)
    network = build_network("classifier", encoder=encoder)
    _settle(network, _portraits(size_px, np.random.default_rng(seed)))
    return network


BRANCH = 0.2
"""Of each residual branch's scale: with 1 a deep random network is chaotic, and rounding alone changes its answer."""


def _settle(network: torch.nn.Module, x_N3SS: torch.Tensor) -> None:
    """Give a random network the statistics of faces and logits of unit variance, lest its scores are all 0 or 1."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the plain mean
        if getattr(module, "has_skip", False):
            last = [layer for layer in module.modules() if isinstance(layer, torch.nn.BatchNorm2d)][-1]
            torch.nn.init.constant_(last.weight, BRANCH)
    head: Any = network.fc
    with torch.no_grad():
        network.train()(x_N3SS)
        logit_N = network.eval()(x_N3SS).logit_N
        head.weight /= logit_N.std()
        head.bias.copy_((head.bias - logit_N.mean()) / logit_N.std())


def _portraits(size_px: int, rng: np.random.Generator) -> torch.Tensor:
    """Return the portrait in many crops and lights, (N, 3, S, S), normalised."""
    portrait_HW3 = read_portrait(PORTRAIT)
    side = min(portrait_HW3.shape[:2])
    crops = []
    for share, x, y, light in rng.uniform((0.6, 0, 0, 0.6), (1, 1, 1, 1.3), (PORTRAITS, 4)):
        part = round(side * share)
        left, top = round((portrait_HW3.shape[1] - part) * x), round((portrait_HW3.shape[0] - part) * y)
        crop = cv2.resize(portrait_HW3[top : top + part, left : left + part], (size_px, size_px))
        crops.append(np.clip(crop * light, 0, 255) / 255)
    x_N3SS = (np.stack(crops) - IMAGENET_MEAN) / IMAGENET_STD
    return torch.from_numpy(x_N3SS.transpose(0, 3, 1, 2).astype(np.float32))


def timm_weights(models: Sequence[Path], folder: Path) -> list[Path]:
    """Write the weights of models of the kind ``classifier`` under timm's names, for the reference."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for number, model in enumerate(models):
        spec = load_card(model).network
        if spec is None or spec.name != "classifier":
            raise SystemExit(f"{model} is no classifier whose card tells how to build it; import or export it again")
        tensors = safetensors.numpy.load_file(model / WEIGHTS_FILE)
        names = {f"encoder.{name}": name for name in _encoder_names(tensors)}
        renamed = {new: tensors[old] for old, new in names.items()}
        renamed |= {f"classifier.{part}": tensors[f"fc.{part}"] for part in ("weight", "bias")}
        written.append(folder / f"{number}.safetensors")
        safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in renamed.items()}, written[-1])
    return written


def _encoder_names(tensors: dict[str, np.ndarray]) -> list[str]:
    names = [name.removeprefix("encoder.") for name in tensors if name.startswith("encoder.")]
    return [name for name in names if not name.startswith("classifier.")]
