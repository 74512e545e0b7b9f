"""The facts of RobustForensics: its eleven models, their weights in the ensemble, what they are shown, its detector.

Source: https://github.com/Siyu-C/RobustForensics
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from unmask.faces.retinaface import MODEL
from unmask.models.card import Card
from unmask.types import Colours, CropSpec, DetectorSpec

HOME = "https://github.com/Siyu-C/RobustForensics"
DETECTION = DetectorSpec(detector="retinaface")
"""How faces are looked for: RetinaFace, faces from a confidence of 0.8."""

COLOURS: Colours = "bt601"
"""How frames are decoded: as the authors' OpenCV 3.4.2 did. The ffmpeg that wrote their training frames heeded tags."""

_Values = tuple[float, float, float]
_HALF: _Values = (0.5, 0.5, 0.5)
_IMAGENET_MEAN: _Values = (0.485, 0.456, 0.406)
_IMAGENET_STD: _Values = (0.229, 0.224, 0.225)
_KINETICS_MEAN: _Values = (110.63666788 / 255, 103.16065604 / 255, 96.29023126 / 255)
_KINETICS_STD: _Values = (38.7568578 / 255, 37.88248729 / 255, 40.02898126 / 255)


@dataclass(frozen=True, slots=True)
class Member:
    """One model of the ensemble."""

    name: str
    """Short name; the recipe is ``recipes/robustforensics/<name>.toml``."""
    group: Literal["video", "image"]
    """``video`` models see the whole tube at once, ``image`` models single crops."""
    checkpoint: str
    """Published file, without ``.pth.tar``."""
    weight: float
    """Within its group, in any unit."""
    side_px: int
    """Side of the crops that it is shown."""
    encoder: str = ""
    """timm's name; empty for SlowFast."""
    mirrored: bool = False
    """Whether its logits are averaged with those of the mirrored crop."""
    bgr: bool = False
    """Whether it was trained on blue, green, red."""
    shrunk: bool = False
    """Whether its sure scores are drawn towards 0.5."""
    mean: _Values = _IMAGENET_MEAN
    """Subtracted from colours in 0..1."""
    std: _Values = _IMAGENET_STD
    """Then divided by."""

    @property
    def model(self) -> str:
        """Name of its model folder."""
        return f"robustforensics-{self.name}"


def _video(name: str, checkpoint: str, weight: float) -> Member:
    return Member(name, "video", checkpoint, weight, 256, mean=_KINETICS_MEAN, std=_KINETICS_STD)


_B0, _B1, _B3 = "tf_efficientnet_b0", "tf_efficientnet_b1", "tf_efficientnet_b3"

# fmt: off
MEMBERS = (
    _video("slowfast_32x4_aug", "sf_bc_jc_44000", 10),
    _video("slowfast_32x4_noaug", "sf_32000", 8),
    _video("slowfast_16x8_aug", "sf_16x8_bc_jc_44000", 4),
    _video("slowfast_32x4_alldata", "sf_trainval_52000", 8),
    Member("xcep", "image", "xcep_bgr_58000", 10, 299, "legacy_xception", mirrored=True, bgr=True, mean=_HALF,
           std=_HALF),
    Member("b3", "image", "b3_rgb_50000", 6, 299, _B3, shrunk=True),
    Member("r34", "image", "res34_rgb_23000", 4, 256, "resnet34", mirrored=True, shrunk=True),
    Member("b1", "image", "b1_rgb_58000", 10, 299, _B1, mirrored=True),
    Member("b1_long_alldata", "image", "b1_rgb_long_alldata_66000", 8, 299, _B1),
    Member("b1_alldata", "image", "b1_rgb_alldata_58000", 8, 299, _B1),
    Member("b0", "image", "b0_rgb_58000", 7, 299, _B0, mirrored=True),
)
# fmt: on
"""The eleven, in the authors' order."""


def member_network(member: Member) -> tuple[str, dict[str, Any]]:
    """Return name and parameters, for `unmask.models.networks.build_network`, of a member's network."""
    if member.group == "video":
        return "slowfast", {}
    efficientnet = "efficientnet" in member.encoder
    return "two_class", {"encoder": member.encoder, "bgr": member.bgr, "even_padding": efficientnet}


def member_card(member: Member) -> Card:
    """Return what the card of a member's folder says; its files are filled in by the export."""
    return Card(
        name=member.model,
        version=member.checkpoint,
        purpose="One of the eleven models of RobustForensics, fourth place of the Deepfake Detection Challenge.",
        architecture="SlowFast-50" if member.group == "video" else member.encoder,
        licence=f"MIT (Siyu Chen, {HOME}); trained on the DFDC data, which has terms of its own",
        crop=CropSpec(
            member.side_px,
            margin=0.15,
            outline="square",
            enlarge="linear",
            detection=DETECTION,
            colours=COLOURS,
        ),
        files={},
        precision="fp32",
        training={"data": "Deepfake Detection Challenge, training set", "source": HOME},
        limitations=(
            "Made for faces of constant size cut along tubes, and for the authors' rules of fusion; not calibrated.",
        ),
    )


def retinaface_card() -> Card:
    """Return what the card of the face detector's folder says; its files are filled in by the export."""
    source = "https://github.com/biubug6/Pytorch_Retinaface"
    return Card(
        name=MODEL,
        version="1",
        purpose="Finds faces in frames, for the detector 'retinaface'; it does not score them.",
        architecture="RetinaFace with MobileNet-0.25",
        licence=f"MIT ({source}); trained on WIDER FACE, which has terms of its own",
        crop=CropSpec(size_px=400, detection=DETECTION),
        files={},
        precision="fp32",
        training={"data": "WIDER FACE", "source": source},
        kind="detector",
    )
