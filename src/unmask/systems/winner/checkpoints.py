"""The winner of the Deepfake Detection Challenge: seven EfficientNet-B7, released in 2020.

Source: https://github.com/selimsef/dfdc_deepfake_challenge
"""

from __future__ import annotations

from unmask.models.card import Card
from unmask.models.checkpoints.kinds import CheckpointKind, Release, register_checkpoint_kind, register_release
from unmask.models.fusion import Fusion
from unmask.types import CropSpec, DetectorSpec

_HOME = "https://github.com/selimsef/dfdc_deepfake_challenge"

_CROP = CropSpec(
    size_px=380,
    margin=1 / 3,
    outline="box",
    enlarge="cubic",
    detection=DetectorSpec(detector="mtcnn", scale=0.5, thresholds=(0.7, 0.8, 0.8), shrink="bicubic"),
)


def _card(size: int) -> Card:
    return Card(
        name=f"winner-b{size}",
        version="0.0.1",
        purpose="One network of the Deepfake Detection Challenge's winner; the seven released ones are his entry.",
        architecture=f"DeepFakeClassifier: EfficientNet-B{size} (tf, noisy student), average pooling, one logit",
        licence=f"MIT (Selim Seferbekov, {_HOME}); trained on the DFDC data, which has terms of its own",
        crop=_CROP,
        files={},
        precision="fp32",
        fusion=Fusion(frames="confident", people="pool"),
        training={
            "data": "Deepfake Detection Challenge, training set (Dolhansky et al. 2020, arXiv 2006.07397)",
            "method": f"{_HOME}, recipes/b{size}*.toml",
        },
        limitations=(
            "not calibrated: the label's thresholds are defaults, not the author's, who gave a number only",
            "all faces of a video are judged together, as by the author: one manipulated person among many is missed",
        ),
    )


for _size in (7, 6, 5, 4, 3):
    register_checkpoint_kind(
        f"winner-b{_size}", CheckpointKind("classifier", {"encoder": f"tf_efficientnet_b{_size}_ns"}, card=_card(_size))
    )

register_release(
    "winner",
    Release(
        base_url=f"{_HOME}/releases/download/0.0.1/",
        page_url=f"{_HOME}/releases/tag/0.0.1",
        kind="winner-b7",
        files={
            f"winner-b7-{seed}-{epoch}": f"final_{seed}_DeepFakeClassifier_tf_efficientnet_b7_ns_0_{epoch}"
            for seed, epoch in ((111, 36), (555, 19), (777, 29), (777, 31), (888, 37), (888, 40), (999, 23))
        },
    ),
)
