"""Autoencoders that draw authentic faces anew: fakes of the kind that is generated as a whole, aligned to the pixel.

Small ones share all but the way in which their decoder grows a map (transposed convolutions, nearest neighbours,
shuffled pixels, smooth enlarging with noise) and how small their smallest map is: coarse ones lose what makes a skin,
as the networks that swap faces do. They learn by levels, by an ImageNet encoder's first maps, and late by a judge of
patches; what they draw halfway is kept beside what they draw at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from unmask.types import ImageHW3

STRIDE = 16
"""Sides of pictures are padded to a multiple of this."""
_WIDTHS = (48, 96, 144, 192)
_LATENT = 24
_PATCH_PX, _PATCHES = 128, 24
_KEPT_AT, _JUDGED_FROM = 0.38, 0.4  # just after the judge sets in, colours go astray for a while
_RATE = 6e-4


class _Noisy(nn.Module):
    """Enlarge smoothly, convolve, and add noise of a learned strength."""

    def __init__(self, wide: int, narrow: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(wide, narrow, 3, padding=1)
        self.strength = nn.Parameter(torch.full((1, narrow, 1, 1), 0.02))

    def forward(self, x_NChw: Tensor) -> Tensor:
        x_NChw = self.conv(functional.interpolate(x_NChw, scale_factor=2, mode="bilinear", align_corners=False))
        noise_N1hw = torch.randn_like(x_NChw[:, :1])
        grown_NChw: Tensor = x_NChw + self.strength * noise_N1hw
        return grown_NChw


def _transposed(wide: int, narrow: int) -> nn.Module:
    return nn.ConvTranspose2d(wide, narrow, 4, 2, 1)


def _nearest(wide: int, narrow: int) -> nn.Module:
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), nn.Conv2d(wide, narrow, 3, padding=1))


def _shuffled(wide: int, narrow: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(wide, 4 * narrow, 3, padding=1), nn.PixelShuffle(2))


GROWTHS: dict[str, Callable[[int, int], nn.Module]] = {
    "transposed": _transposed, "nearest": _nearest, "shuffled": _shuffled, "noisy": _Noisy
}  # fmt: skip
"""Name -> layer that doubles a map's sides."""

KINDS: dict[str, tuple[str, int]] = {name: (name, 3) for name in GROWTHS} | {
    "coarse_nearest": ("nearest", 4), "coarse_shuffled": ("shuffled", 4)
}  # fmt: skip
"""Name -> decoder, and how often sides are halved."""


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x_NChw: Tensor) -> Tensor:
        changed_NChw: Tensor = x_NChw + self.body(x_NChw)
        return changed_NChw


class Autoencoder(nn.Module):
    """A picture to a map of an eighth or a sixteenth of its sides, and back; levels in -1..1.

    The layers draw what is to be added to a coarse copy: they see maps less their means, so that of a whole picture,
    larger than the patches they learn from, they would not know the colours.
    """

    def __init__(self, kind: str) -> None:
        """Build one of `KINDS`."""
        super().__init__()
        growth, halvings = KINDS[kind]
        widths = _WIDTHS[:halvings]
        layers: list[nn.Module] = []
        before = 3
        for width in widths:
            layers += [nn.Conv2d(before, width, 4, 2, 1), nn.GroupNorm(8, width), nn.SiLU(), _Residual(width)]
            before = width
        layers += [nn.Conv2d(before, _LATENT, 1), nn.Conv2d(_LATENT, before, 3, padding=1), nn.SiLU()]
        for width in reversed((widths[0], *widths[:-1])):
            layers += [_Residual(before), GROWTHS[growth](before, width), nn.GroupNorm(8, width), nn.SiLU()]
            before = width
        layers.append(nn.Conv2d(before, 3, 3, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, x_N3HW: Tensor) -> Tensor:
        """Draw pictures anew."""
        coarse_N3hw = functional.avg_pool2d(x_N3HW, STRIDE)
        coarse_N3HW = functional.interpolate(coarse_N3hw, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        drawn_N3HW: Tensor = coarse_N3HW + self.layers(x_N3HW)
        return drawn_N3HW


def _judge() -> nn.Module:
    layers: list[nn.Module] = []
    for before, width in ((3, 48), (48, 96), (96, 192)):
        layers += [spectral_norm(nn.Conv2d(before, width, 4, 2, 1)), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(192, 1, 3, padding=1))


@dataclass(frozen=True, slots=True)
class Twins:
    """Trained autoencoders."""

    networks: dict[str, Autoencoder]
    """By kind and stage, e.g. ``shuffled.end``."""
    losses: dict[str, float]
    """Mean absolute difference of levels in 0..255 at the end of the training; empty where they were read."""

    def save(self, path: Path) -> None:
        """Write their weights, in half precision."""
        tensors = {
            f"{name}/{key}": tensor.half().contiguous().cpu()
            for name, network in self.networks.items()
            for key, tensor in network.state_dict().items()
        }
        safetensors.torch.save_file(tensors, path)

    @classmethod
    def load(cls, path: Path, device: str) -> Twins:
        """Read what `save` wrote."""
        by_network: dict[str, dict[str, Tensor]] = {}
        for key, tensor in safetensors.torch.load_file(path).items():
            name, _, inner = key.partition("/")
            by_network.setdefault(name, {})[inner] = tensor.float()
        networks = {}
        for name, tensors in by_network.items():
            network = Autoencoder(name.split(".")[0])
            network.load_state_dict(tensors)
            networks[name] = network.to(device).to(memory_format=torch.channels_last).eval()
        return cls(networks, {})

    @torch.no_grad()
    def draw(self, name: str, images: Sequence[ImageHW3]) -> list[ImageHW3]:
        """Return pictures of one size as the autoencoder ``name`` draws them."""
        network = self.networks[name]
        device = next(network.parameters()).device
        height, width = images[0].shape[:2]
        x_N3HW = torch.from_numpy(np.stack(images)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        x_N3HW = functional.pad(x_N3HW, (0, -width % STRIDE, 0, -height % STRIDE), mode="reflect")
        with torch.autocast(device.type, torch.bfloat16):
            drawn_N3HW = network(x_N3HW)
        levels = (drawn_N3HW.float() * 127.5 + 127.5).round().clamp(0, 255).byte()
        return list(levels[..., :height, :width].permute(0, 2, 3, 1).contiguous().cpu().numpy())


def train_twins(
    images: Sequence[ImageHW3], features: nn.Module, *, device: str, seconds: float, seed: int = 0
) -> Twins:
    """Train all autoencoders side by side on patches of pictures.

    Args:
        images: Authentic pictures, RGB, each side at least 128 px.
        features: Gives maps of pictures in -1..1, the finest first; is not changed.
        device: ``cpu`` or ``cuda``.
        seconds: How long.
        seed: Of weights and patches.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    networks = {name: Autoencoder(name).to(device).to(memory_format=torch.channels_last) for name in KINDS}
    features = features.to(device).eval().requires_grad_(False)
    judge = _judge().to(device).to(memory_format=torch.channels_last)
    painter = torch.optim.AdamW([p for n in networks.values() for p in n.parameters()], _RATE, (0.5, 0.99))
    critic = torch.optim.AdamW(judge.parameters(), 3e-4, (0.5, 0.99))
    begun, differences = time.monotonic(), dict.fromkeys(networks, 0.0)
    halves: dict[str, Autoencoder] = {}
    while (share := (time.monotonic() - begun) / seconds) < 1:
        for group in painter.param_groups:
            group["lr"] = _RATE * min(1.0, 3 * (1 - share))
        real_N3HW = _patches(images, rng, device)
        with torch.autocast(device, torch.bfloat16):
            drawn = {name: network(real_N3HW) for name, network in networks.items()}
        differences = _step(drawn, real_N3HW, features, judge, (painter, critic), judged=share > _JUDGED_FROM)
        if share > _KEPT_AT and not halves:
            halves = {f"{name}.half": _copy(network, name, device) for name, network in networks.items()}
    ends = {f"{name}.end": network for name, network in networks.items()}
    return Twins({name: network.eval() for name, network in (halves | ends).items()}, differences)


def _copy(network: Autoencoder, kind: str, device: str) -> Autoencoder:
    twin = Autoencoder(kind).to(device).to(memory_format=torch.channels_last)
    twin.load_state_dict(network.state_dict())
    return twin


def _step(
    drawn: dict[str, Tensor],
    real_N3HW: Tensor,
    features: nn.Module,
    judge: nn.Module,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    *,
    judged: bool,
) -> dict[str, float]:
    """Change painters, and the judge where it is asked; return mean differences in levels."""
    painter, critic = optimizers
    with torch.autocast(real_N3HW.device.type, torch.bfloat16):
        if judged:
            all_N3HW = torch.cat([picture.detach() for picture in drawn.values()])
            verdict = functional.relu(1 - judge(real_N3HW)).mean() + functional.relu(1 + judge(all_N3HW)).mean()
            critic.zero_grad(set_to_none=True)
            verdict.backward()  # type: ignore[no-untyped-call]
            critic.step()
        wanted = features(real_N3HW)[:3]
        total = torch.zeros((), device=real_N3HW.device)
        gaps = {}
        for name, picture in drawn.items():
            gap = (picture.float() - real_N3HW).abs().mean()
            gaps[name] = gap.detach()
            seen = features(picture)[:3]
            near = sum((a.float() - b.float()).abs().mean() for a, b in zip(seen, wanted, strict=True))
            total = total + 2 * gap + 0.3 * near - (0.05 * judge(picture).float().mean() if judged else 0)
    painter.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_([p for group in painter.param_groups for p in group["params"]], 5.0)
    painter.step()
    return {name: float(gap) * 127.5 for name, gap in gaps.items()}


def _patches(images: Sequence[ImageHW3], rng: np.random.Generator, device: str) -> Tensor:
    patches = []
    for number in rng.integers(0, len(images), _PATCHES):
        image_HW3 = images[number]
        top, left = (int(rng.integers(0, side - _PATCH_PX + 1)) for side in image_HW3.shape[:2])
        patch = image_HW3[top : top + _PATCH_PX, left : left + _PATCH_PX]
        patches.append(patch[:, ::-1] if rng.random() < 0.5 else patch)
    stack = torch.from_numpy(np.ascontiguousarray(np.stack(patches))).to(device)
    return (stack.permute(0, 3, 1, 2).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def batches_by_size(images: Sequence[ImageHW3], most: int = 64) -> Iterator[list[int]]:
    """Yield the numbers of pictures of one size, at most so many together."""
    by_size: dict[tuple[int, ...], list[int]] = {}
    for number, image_HW3 in enumerate(images):
        by_size.setdefault(image_HW3.shape, []).append(number)
    for numbers in by_size.values():
        for start in range(0, len(numbers), most):
            yield numbers[start : start + most]


Levels = NDArray[np.uint8]
