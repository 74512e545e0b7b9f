"""RetinaFace with MobileNet-0.25 as a network, and its way into a folder that `unmask.faces.retinaface` runs.

The tensors carry the names of the published ``mobilenet0.25_Final.pth``, less the ``module.`` in front:
``body.stage1.0.0.weight``, ``fpn.output1.0.weight``, ``ssh1.conv3X3.0.weight``, ``ClassHead.0.conv1x1.weight`` ...

Source: biubug6/Pytorch_Retinaface. Shape letters: N images, P priors, C channels, H W image.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.functional import interpolate

from unmask.errors import ModelError
from unmask.faces.retinaface import run_network
from unmask.models.card import Card
from unmask.models.networks.export import TOLERANCE, check_free, to_onnx, write_folder

_SLOPE = 0.1
_MEAN_BGR = (104.0, 117.0, 123.0)
_WIDTH = 64
_ANCHORS = 2
_STAGES = (
    ((8, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)),
    ((64, 128, 2), *[(128, 128, 1)] * 5),
    ((128, 256, 2), (256, 256, 1)),
)
"""Channels in, channels out and stride of the separable convolutions of each stage; before the first a plain one."""


class RetinaFaceNetwork(nn.Module):
    """Images in; box shifts (N, P, 4), face probabilities (N, P) and landmark shifts (N, P, 10) of the priors out."""

    def __init__(self) -> None:
        super().__init__()
        stages = [nn.Sequential(*(_separable(*sizes) for sizes in stage)) for stage in _STAGES]
        stages[0].insert(0, _convolution(3, _STAGES[0][0][0], stride=2))
        self.body = nn.ModuleDict({f"stage{number}": stage for number, stage in enumerate(stages, 1)})
        self.fpn = _Pyramid([stage[-1][1] for stage in _STAGES])
        for number in (1, 2, 3):
            self.add_module(f"ssh{number}", _Context())
        for name, values in (("ClassHead", 2), ("BboxHead", 4), ("LandmarkHead", 10)):
            self.add_module(name, nn.ModuleList(_Head(values) for _ in range(3)))

    def forward(self, x_N3HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Look at images BGR less the mean colour, of 32 pixels or more."""
        maps = []
        for stage in self.body.values():
            x_N3HW = stage(x_N3HW)
            maps.append(x_N3HW)
        levels = [self.get_submodule(f"ssh{i}")(level) for i, level in enumerate(self.fpn(maps), 1)]
        classes_NP2, shift_NP4, points_NP10 = (
            torch.cat([self.get_submodule(f"{name}.{i}")(level) for i, level in enumerate(levels)], 1)
            for name in ("ClassHead", "BboxHead", "LandmarkHead")
        )
        return shift_NP4, classes_NP2.softmax(2)[..., 1], points_NP10


class FromImage(nn.Module):
    """The network with its normalisation in front: a uint8 RGB image (1, H, W, 3) in."""

    mean_3: torch.Tensor

    def __init__(self, network: RetinaFaceNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean_3", torch.tensor(_MEAN_BGR))

    def forward(self, image_NHW3: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Look at an image as the runtime gives it."""
        outputs: tuple[torch.Tensor, torch.Tensor, torch.Tensor] = self.network(
            (image_NHW3.flip(3).float() - self.mean_3).permute(0, 3, 1, 2)
        )
        return outputs


def export_retinaface(network: RetinaFaceNetwork, folder: Path, card: Card) -> Card:
    """Write the model folder of the detector, all or nothing; it goes into the user's models as ``retinaface-mnet025``.

    A image goes through the network and through the written file, in fp32; they must agree.

    Raises:
        ModelError: They do not.
        UsageError: The folder holds other files than a model's.
    """
    check_free(folder)
    model = FromImage(copy.deepcopy(network).cpu().float()).eval()
    image_1HW3 = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 75, 132, 3), np.uint8))
    with torch.inference_mode():
        expected = model(image_1HW3)

    def check(written: Path) -> None:
        found = run_network(written, image_1HW3[0].numpy())
        worst = max(float((torch.from_numpy(a) - b[0]).abs().max()) for a, b in zip(found, expected, strict=True))
        if not worst <= TOLERANCE * float(max(output.abs().max() for output in expected)):
            raise ModelError(f"the written network strays from torch by {worst:.1e}")

    example_1HW3 = torch.zeros(1, 96, 160, 3, dtype=torch.uint8)
    onnx = to_onnx(model, example_1HW3, (1, 2), "image", ("boxes", "scores", "landmarks"))
    return write_folder(folder, card, onnx, model.network, check)


def _convolution(channels: int, outer: int, stride: int = 1, side: int = 3, *, active: bool = True) -> nn.Sequential:
    layers = [nn.Conv2d(channels, outer, side, stride, side // 2, bias=False), nn.BatchNorm2d(outer)]
    return nn.Sequential(*layers, *([nn.LeakyReLU(_SLOPE)] if active else []))


def _separable(channels: int, outer: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.LeakyReLU(_SLOPE),
        *_convolution(channels, outer, side=1),
    )


class _Pyramid(nn.Module):
    """Adds what the coarser maps know to the finer ones."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        for number, width in enumerate(channels, 1):
            self.add_module(f"output{number}", _convolution(width, _WIDTH, side=1))
        self.merge1, self.merge2 = _convolution(_WIDTH, _WIDTH), _convolution(_WIDTH, _WIDTH)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        levels = [self.get_submodule(f"output{i}")(map_NChw) for i, map_NChw in enumerate(maps, 1)]
        for coarser, finer in ((2, 1), (1, 0)):
            up_NChw = interpolate(levels[coarser], size=levels[finer].shape[-2:], mode="nearest")
            levels[finer] = self.get_submodule(f"merge{finer + 1}")(levels[finer] + up_NChw)
        return levels


class _Context(nn.Module):
    """Looks at fields of 3, 5 and 7 pixels side by side (SSH)."""

    def __init__(self) -> None:
        super().__init__()
        half, quarter = _WIDTH // 2, _WIDTH // 4
        self.conv3X3 = _convolution(_WIDTH, half, active=False)
        self.conv5X5_1 = _convolution(_WIDTH, quarter)
        self.conv5X5_2 = _convolution(quarter, quarter, active=False)
        self.conv7X7_2 = _convolution(quarter, quarter)
        self.conv7x7_3 = _convolution(quarter, quarter, active=False)

    def forward(self, x_NChw: torch.Tensor) -> torch.Tensor:
        wide = self.conv5X5_1(x_NChw)
        fields = [self.conv3X3(x_NChw), self.conv5X5_2(wide), self.conv7x7_3(self.conv7X7_2(wide))]
        return torch.cat(fields, 1).relu()


class _Head(nn.Module):
    """Some numbers for each prior."""

    def __init__(self, values: int) -> None:
        super().__init__()
        self.values = values
        self.conv1x1 = nn.Conv2d(_WIDTH, _ANCHORS * values, 1)

    def forward(self, x_NChw: torch.Tensor) -> torch.Tensor:
        y_NhwC: torch.Tensor = self.conv1x1(x_NChw).permute(0, 2, 3, 1)
        return y_NhwC.reshape(len(y_NhwC), -1, self.values)
