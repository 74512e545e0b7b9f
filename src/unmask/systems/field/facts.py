"""The facts of the field's detectors: what each network is shown, whose its weights are, how the file is laid out.

All were read in the authors' public code, at the commits named here; where it says nothing, neither does a card.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from unmask.models.card import Card
from unmask.models.checkpoints.kinds import CheckpointKind, PublishedLayout
from unmask.types import CropSpec

_Values = tuple[float, float, float]
_Shapes = dict[str, tuple[int, ...]]
_NONE: tuple[_Values, _Values] = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
_HALF: tuple[_Values, _Values] = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

_NOT_CALIBRATED = "not calibrated: the label's thresholds are defaults, as the authors gave a number only"
_ALIGNED = (
    "the authors turned, scaled and shifted faces so that five landmarks (eyes, nose, corners of the mouth) lay at "
    "fixed places, with 1.3 times the template in view; unmask cuts upright squares with 15 % beside the box on each "
    "side, so faces are neither turned nor of quite that size, and numbers differ from the published ones"
)


@dataclass(frozen=True, slots=True)
class _Source:
    """Where a detector comes from."""

    repository: str
    commit: str
    paper: str
    licence: str
    """Terms of code and weights, as the repository gives them."""

    @property
    def text(self) -> str:
        """Repository and commit."""
        return f"https://github.com/{self.repository}, commit {self.commit}"


SBI_SOURCE = _Source(
    "mapooon/SelfBlendedImages",
    "9fe4efe1192cb7448fb51a2b97a54e1312188160",
    "Shiohara and Yamasaki 2022, arXiv 2204.08376",
    "academic or non-profit, noncommercial research only (LICENSE of the repository); trained on FaceForensics++",
)
BENCH_SOURCE = _Source(
    "SCLBD/DeepfakeBench",
    "8a4a7bf5e966c5c5618bc27d1719c3683eae9a04",
    "Yan et al. 2023, arXiv 2307.01426",
    "CC BY-NC 4.0 (LICENSE of the repository); trained on FaceForensics++, which has terms of its own",
)


def _kind(
    name: str,
    source: _Source,
    *,
    purpose: str,
    architecture: str,
    crop: CropSpec,
    network: tuple[str, dict[str, Any]],
    colours: tuple[_Values, _Values],
    seen: str,
    limitations: tuple[str, ...],
    published: PublishedLayout | None = None,
    tensor_names: Literal["unmask", "encoder_library"] = "unmask",
    prefix: str = "module.",
) -> CheckpointKind:
    (mean, std), (first, second) = colours, ("fake", "real")
    if published is None or published.fake_class:
        first, second = second, first
    card = Card(
        name=name,
        version=source.commit[:7],
        purpose=purpose,
        architecture=architecture,
        licence=source.licence,
        crop=crop,
        files={},
        precision="fp32",
        training={
            "method": source.paper,
            "source": source.text,
            "shown": f"{crop.size_px} x {crop.size_px} pixels, RGB, mean {mean} and std {std} of 0..1; {seen}",
            "classes": f"0 {first}, 1 {second}",
        },
        limitations=(_NOT_CALIBRATED, *limitations),
    )
    return CheckpointKind(
        *network, card, published=published, tensor_names=tensor_names, prefix=prefix, mean=mean, std=std
    )


SBI = _kind(
    "sbi-b4",
    SBI_SOURCE,
    purpose="Self-Blended Images: a network that learned from pictures blended with themselves.",
    architecture="EfficientNet-B4 of efficientnet_pytorch, two classes",
    crop=CropSpec(380, margin=0.125, outline="square", enlarge="linear"),
    network=("two_class", {"encoder": "tf_efficientnet_b4"}),
    colours=_NONE,
    seen="the box of RetinaFace (ResNet-50) and an eighth of it on each side, stretched to a square, not aligned",
    limitations=(
        "the authors stretched the box to a square; unmask cuts a square as wide as the longer side instead",
        "the authors found faces with RetinaFace (ResNet-50); unmask finds them with its own detector",
        "their number of a frame is its most fake face, that of a clip the mean of the frames",
    ),
    tensor_names="encoder_library",
    prefix="net.",
)

_ADJUST_CHANNEL: _Shapes = {
    "0.weight": (512, 2048, 1, 1),
    "0.bias": (512,),
    "1.weight": (512,),
    "1.bias": (512,),
    "1.running_mean": (512,),
    "1.running_var": (512,),
    "1.num_batches_tracked": (),
}
"""A layer that their Xception always has, and uses in some detectors."""

XCEPTION = _kind(
    "deepfakebench-xception",
    BENCH_SOURCE,
    purpose="DeepfakeBench's Xception, the field's baseline.",
    architecture="Xception, two classes",
    crop=CropSpec(256, margin=0.15, outline="square"),
    network=("two_class", {"encoder": "legacy_xception"}),
    colours=_HALF,
    seen="faces of dlib aligned by five of 81 landmarks",
    limitations=(_ALIGNED,),
    published=PublishedLayout(
        {"encoder.": "backbone.", "fc.": "backbone.last_linear."},
        unused={f"backbone.adjust_channel.{name}": shape for name, shape in _ADJUST_CHANNEL.items()},
    ),
)

KINDS = {kind.card.name: kind for kind in (SBI, XCEPTION)}
"""Name, as ``unmask models import --as`` takes it -> kind."""
