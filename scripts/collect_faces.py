"""Gather authentic faces from archives of pictures and folders of videos, as a prepared folder to self-blend from.

    python scripts/collect_faces.py --out PREPARED --archives faces/*.tar --videos FOLDER

Crops are square, as wide as the face's longer side and 0.3 of it on each side more, at most 256 pixels; what lies
beyond a picture's border is mirrored. A third of the people in videos form fold 0, which validates; the others and all
pictures train. Second encodings of a video are of its person, and so are all videos of the GRID corpus, whose names do
not say who speaks.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from unmask.faces import load_detector
from unmask.media import sample_frames
from unmask.prepare.layout import CropRow, encode_array, encode_image, stem, write_folds
from unmask.runtime.parallel import map_items
from unmask.scan.inputs import list_inputs
from unmask.types import DetectorSpec, ImageHW3

MARGIN, MOST_PX, BORDER_PX, HELD_OUT = 0.3, 256, 64, 3
VIDEO_FRAMES = 120


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument(
        "--archives", type=Path, nargs="*", default=[], help="tar files of pictures with one face each"
    )
    options.add_argument("--videos", type=Path, nargs="*", default=[], help="folders of authentic videos")
    options.add_argument("--least-px", type=int, default=60, help="smallest face to keep")
    given = options.parse_args()
    rows: list[CropRow] = []
    for _, found in map_items(lambda item: list(crops_of(*item, given.out, given.least_px)), sources(given), 2):
        rows += found if isinstance(found, list) else []
    write_folds(sorted(rows, key=lambda row: (row.video, row.frame, row.file)), given.out / "folds.csv")
    print(f"{len(rows)} crops of {len({row.original for row in rows})} sources in {given.out}")


def sources(given: argparse.Namespace) -> Iterator[tuple[str, list[tuple[int, ImageHW3]] | Path]]:
    """Yield (name, pictures with frame numbers, or a video)."""
    for archive in given.archives:
        with tarfile.open(archive) as members:
            for member in members:
                file = members.extractfile(member) if member.isfile() else None
                picture = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_COLOR) if file else None
                if picture is not None:
                    yield Path(member.name).stem, [(0, np.ascontiguousarray(picture[..., ::-1]))]
    for item in list_inputs(given.videos):
        yield Path(item.name).stem, Path(item.path)


def crops_of(name: str, source: list[tuple[int, ImageHW3]] | Path, out: Path, least_px: int) -> Iterator[CropRow]:
    """Write the crops of one source and yield their rows."""
    still = not isinstance(source, Path)
    frames = source if still else [(frame.index, frame.image_HW3) for frame in sample_frames(source, VIDEO_FRAMES)]
    detector = load_detector(DetectorSpec(scale=1.0 if still else "adaptive", thresholds=(0.7, 0.8, 0.95)))
    fold = 1 if still else min(1, int(hashlib.sha256(person(name).encode()).hexdigest(), 16) % HELD_OUT)
    for number, image_HW3 in frames:
        edge = BORDER_PX if still else 0  # tight pictures: the detector needs to see around a face
        image_HW3 = cv2.copyMakeBorder(image_HW3, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
        faces = [face for face in detector.detect(image_HW3) if face.side_px >= least_px]
        for k, face in enumerate(faces[:1] if still else faces[:3]):
            points = face.landmarks_px
            if points is None:
                continue
            crop_HW3, points = cut(image_HW3, face.xyxy_px, points)
            for folder, suffix, data in (
                ("crops", "png", encode_image(crop_HW3, "png")),
                ("landmarks", "npy", encode_array(np.rint(points).astype(np.int16))),
            ):
                path = out / folder / name / f"{stem(number, k)}.{suffix}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            yield CropRow(name, f"{stem(number, k)}.png", 0, name, number, fold)


def cut(image_HW3: ImageHW3, xyxy_px: tuple[float, ...], points: np.ndarray) -> tuple[ImageHW3, np.ndarray]:
    """Return the square crop and the landmarks in it."""
    x1, y1, x2, y2 = xyxy_px
    side = round(max(x2 - x1, y2 - y1) * (1 + 2 * MARGIN))
    left, top = round((x1 + x2 - side) / 2), round((y1 + y2 - side) / 2)
    edge = side  # never short
    wide = (
        cv2.copyMakeBorder(image_HW3, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
        if (left < 0 or top < 0 or left + side > image_HW3.shape[1] or top + side > image_HW3.shape[0])
        else image_HW3
    )
    shift = edge if wide is not image_HW3 else 0
    crop = wide[top + shift : top + shift + side, left + shift : left + shift + side]
    scale = min(1.0, MOST_PX / side)
    if scale < 1:
        crop = cv2.resize(crop, (MOST_PX, MOST_PX), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(crop), (points - [left, top]) * scale


def person(name: str) -> str:
    """Return who is seen in a video, as far as its name says."""
    return re.sub(r"^(grid)_.*|_[0-9a-f]{6}$", r"\1", name)


if __name__ == "__main__":
    main()
