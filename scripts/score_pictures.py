"""Score pictures of faces, frames or crops, as a table for ``unmask evaluate``.

    python scripts/score_pictures.py MODEL --pictures FOLDER --out scores.csv
    unmask evaluate scores.csv --labels labels.csv

Each picture counts by its largest face, cut as the model's card says; one in which no face is found is looked at once
more with a mirrored border, as crops are often tight. A picture without a face has no row.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import cv2

from unmask.faces import Detector, crop_face, load_detector
from unmask.models import Network, model_folder
from unmask.report import write_csv
from unmask.types import CropSpec, ImageHW3

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
BORDER = 0.25


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", help="name or folder")
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    write_csv(score_pictures(given.model, given.pictures), given.out)


def score_pictures(model: str | os.PathLike[str], folder: Path) -> list[tuple[str, float]]:
    """Return name, relative to the folder, and fake probability of each picture with a face."""
    network = Network(model_folder(model), "fp32")
    detector = load_detector(network.card.crop.detection)
    found = {
        path.relative_to(folder).as_posix(): largest_face(path, detector, network.card.crop)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
    }
    crops = {name: crop for name, crop in found.items() if crop is not None}
    scores = network.score(list(crops.values()))
    return [(name, score.fake_probability) for name, score in zip(crops, scores, strict=True)]


def largest_face(path: Path, detector: Detector, spec: CropSpec) -> ImageHW3 | None:
    """Return the crop of the largest face, None where there is none."""
    picture_HW3 = cv2.imread(str(path))
    if picture_HW3 is None:
        return None
    for border in (0, round(BORDER * max(picture_HW3.shape[:2]))):
        wide_HW3 = cv2.copyMakeBorder(picture_HW3, *[border] * 4, cv2.BORDER_REFLECT_101)
        image_HW3 = cv2.cvtColor(wide_HW3, cv2.COLOR_BGR2RGB)
        if faces := detector.detect(image_HW3):
            return crop_face(image_HW3, max(faces, key=lambda face: face.side_px), spec)
    return None


if __name__ == "__main__":
    main()
