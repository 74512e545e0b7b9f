"""Score pictures of faces, frames or crops, as a table for ``unmask evaluate``.

    python scripts/score_pictures.py MODEL --pictures FOLDER --out scores.csv [--labels labels.csv]
    unmask evaluate scores.csv --labels scores.labels.csv

Each picture counts by its largest face, cut as the model's card says; one in which no face is found is looked at once
more with a mirrored border, as crops are often tight. With ``--labels`` (columns ``member`` or ``filename``, and
``label``) the labels of those pictures are written beside, with the first folder as their group.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

from unmask.atomic import atomic_file
from unmask.faces import crop_face, load_detector
from unmask.models import Network, model_folder
from unmask.types import ImageHW3

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
BORDER = 0.25


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", help="name or folder")
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--labels", type=Path)
    given = options.parse_args()
    network = Network(model_folder(given.model))
    detector = load_detector(network.card.crop.detection)
    names, crops = [], []
    for path in sorted(path for path in given.pictures.rglob("*") if path.suffix.lower() in SUFFIXES):
        found = largest_face(cv2.imread(str(path)), detector, network.card.crop)
        if found is not None:
            names.append(path.relative_to(given.pictures).as_posix())
            crops.append(found)
    scores = [score.fake_probability for score in network.score(crops)]
    write(given.out, ["filename", "label"], zip(names, (f"{score:.6f}" for score in scores), strict=True))
    if given.labels is not None:
        with given.labels.open(newline="", encoding="utf-8") as file:
            labels = [(row.get("member") or row["filename"], row["label"]) for row in csv.DictReader(file)]
        rows = ((name, label, name.split("/")[0]) for name, label in labels)
        write(given.out.with_suffix(".labels.csv"), ["filename", "label", "group"], rows)
    print(f"{len(names)} pictures in {given.out}")


def largest_face(picture_HW3: np.ndarray | None, detector, spec) -> ImageHW3 | None:
    """Return the crop of the largest face, None where there is none."""
    if picture_HW3 is None:
        return None
    image_HW3 = np.ascontiguousarray(picture_HW3[..., ::-1])
    edge = round(BORDER * max(image_HW3.shape[:2]))
    for border in (0, edge):
        image = cv2.copyMakeBorder(image_HW3, *[border] * 4, cv2.BORDER_REFLECT_101)
        faces = detector.detect(image)
        if faces:
            return crop_face(image, max(faces, key=lambda face: face.side_px), spec)
    return None


def write(path: Path, columns: list[str], rows) -> None:
    """Write a CSV."""
    with atomic_file(path) as raw:
        lines = [columns, *rows]
        raw.write("".join(",".join(cells) + "\n" for cells in lines).encode())


if __name__ == "__main__":
    main()
