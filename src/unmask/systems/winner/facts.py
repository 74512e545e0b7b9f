"""The facts of the challenge winner's system: source, crop rule, frames, fusion, networks and released files.

Source: https://github.com/selimsef/dfdc_deepfake_challenge
"""

from __future__ import annotations

from unmask.models.fusion import Fusion
from unmask.types import CropSpec, DetectorSpec

HOME = "https://github.com/selimsef/dfdc_deepfake_challenge"
RELEASE = "0.0.1"
"""Tag of the released weights."""
AUTHOR = "Selim Seferbekov"

CROP = CropSpec(
    size_px=380,
    margin=1 / 3,
    outline="box",
    enlarge="cubic",
    detection=DetectorSpec(detector="mtcnn", scale=0.5, thresholds=(0.7, 0.8, 0.8), shrink="bicubic"),
    colours="bt601",
)
"""How faces are found and cut. Source: predict_folder.py and predict_submission.sh, as all below."""
FRAMES = 32
"""Frames that are looked at in each video."""
SAMPLING = "reference"
"""Which ones: floor(linspace(0, N - 1, 32)); a name in `unmask.media.SAMPLINGS`."""
FUSION = Fusion(frames="confident", people="pool")
"""All faces of a video together; the mean of the sure scores where enough of them agree, else of all."""

ENCODERS = {size: f"tf_efficientnet_b{size}_ns" for size in (7, 6, 5, 4, 3)}
"""Size of the EfficientNet -> timm's name of it."""
SEEDS_AND_EPOCHS = ((111, 36), (555, 19), (777, 29), (777, 31), (888, 37), (888, 40), (999, 23))
"""Seed and epoch of each of the seven networks."""
FILES = {
    f"winner-b7-{seed}-{epoch}": f"final_{seed}_DeepFakeClassifier_{ENCODERS[7]}_0_{epoch}"
    for seed, epoch in SEEDS_AND_EPOCHS
}
"""Name of the model -> name of the released file."""
B5_MODELS = tuple(f"winner-b5-{number:02d}" for number in range(1, 16))
"""Names of the fifteen networks of his other submission, whose weights were never published."""


def kind_name(size: int) -> str:
    """Return the name of the kind of checkpoints with an EfficientNet of this size."""
    return f"winner-b{size}"
