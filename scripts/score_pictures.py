"""Score pictures of faces, frames or crops, as a table for ``unmask evaluate``.

    python scripts/score_pictures.py MODEL --pictures FOLDER --out scores.csv
    unmask evaluate scores.csv --labels labels.csv

Each picture counts by its largest face, cut as the model's card says. Many crops are tighter than that: a picture in
which no face is found, or one that reaches past it, is taken whole.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

import cv2

from unmask.faces import Detector, crop_face, load_detector
from unmask.models import Network, model_folder
from unmask.report import write_csv
from unmask.types import CropSpec, Face, ImageHW3

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
LEAST_INSIDE = 0.9
"""Share of a face's box that lies in the picture, for it to be cut out."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", help="name or folder")
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    write_csv(score_pictures(given.model, given.pictures), given.out)


def score_pictures(model: str | os.PathLike[str], folder: Path) -> list[tuple[str, float]]:
    """Return name, relative to the folder, and fake probability of each picture."""
    network = Network(model_folder(model), "fp32")
    detector = load_detector(network.card.crop.detection)
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    crops = {path.relative_to(folder).as_posix(): largest_face(path, detector, network.card.crop) for path in paths}
    scores = network.score(list(crops.values()))
    return [(name, score.fake_probability) for name, score in zip(crops, scores, strict=True)]


def largest_face(path: Path, detector: Detector, spec: CropSpec) -> ImageHW3:
    """Return the crop of the largest face, or the whole picture as one."""
    picture_HW3 = cv2.imread(str(path))
    if picture_HW3 is None:
        raise SystemExit(f"{path} is no picture that can be read; take it out of the folder")
    image_HW3 = cv2.cvtColor(picture_HW3, cv2.COLOR_BGR2RGB)
    height, width = image_HW3.shape[:2]
    face = max(detector.detect(image_HW3), key=lambda face: face.side_px, default=None)
    if face is None or inside(face, width, height) < LEAST_INSIDE:
        face = Face((0, 0, width, height), 1.0)
        spec = replace(spec, margin=0.0)
    return crop_face(image_HW3, face, spec)


def inside(face: Face, width: int, height: int) -> float:
    """Return the share of a face's box that lies in its picture."""
    x1, y1, x2, y2 = face.xyxy_px
    overlap = max(0, min(x2, width) - max(x1, 0)) * max(0, min(y2, height) - max(y1, 0))
    return overlap / ((x2 - x1) * (y2 - y1))


if __name__ == "__main__":
    main()
