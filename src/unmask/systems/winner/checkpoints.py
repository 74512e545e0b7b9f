"""The winner's checkpoints: what each kind holds, what its card says, and where the released files are."""

from __future__ import annotations

from unmask.models.card import Card
from unmask.models.checkpoints.kinds import CheckpointKind, Release, register_checkpoint_kind, register_release
from unmask.models.fusion import register_fusion
from unmask.systems.winner.facts import AUTHOR, CROP, ENCODERS, FILES, FUSION, HOME, RELEASE, kind_name


def _card(size: int) -> Card:
    return Card(
        name=kind_name(size),
        version=RELEASE,
        purpose="One network of the Deepfake Detection Challenge's winner; the seven released ones are his entry.",
        architecture=f"DeepFakeClassifier: EfficientNet-B{size} (tf, noisy student), average pooling, one logit",
        licence=f"MIT ({AUTHOR}, {HOME}); trained on the DFDC data, which has terms of its own",
        crop=CROP,
        files={},
        precision="fp32",
        fusion=FUSION,
        training={
            "data": "Deepfake Detection Challenge, training set (Dolhansky et al. 2020, arXiv 2006.07397)",
            "method": f"{HOME}, recipes/b{size}*.toml",
        },
        limitations=(
            "not calibrated: the label's thresholds are defaults, not the author's, who gave a number only",
            "all faces of a video are judged together, as by the author: one manipulated person among many is missed",
        ),
    )


register_fusion("winner", FUSION)
for _size, _encoder in ENCODERS.items():
    register_checkpoint_kind(kind_name(_size), CheckpointKind("classifier", {"encoder": _encoder}, card=_card(_size)))
register_release(
    "winner",
    Release(
        base_url=f"{HOME}/releases/download/{RELEASE}/",
        page_url=f"{HOME}/releases/tag/{RELEASE}",
        kind=kind_name(7),
        files=FILES,
    ),
)
