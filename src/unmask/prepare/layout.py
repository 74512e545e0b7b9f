"""Read and write the files of a prepared dataset, in the formats of the challenge's winner.

    boxes/<id>.json                       frame number -> boxes of the original, half-resolution pixels, or null
    crops/<id>/<frame>_<face>.png         the face with a third of its box on each side
    landmarks/<original>/<frame>_<face>.npy   int16 (5, 2), x y in pixels of the crop
    diffs/<fake>/<frame>_<face>_diff.png  1 - SSIM of the fake's crop and its original's, 8 bits grey
    folds.csv                             video,file,label,original,frame,fold

Source: selimsef/dfdc_deepfake_challenge.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip
from unmask.errors import UnmaskError, UsageError
from unmask.storage.atomic import atomic_file
from unmask.types import ImageHW3

Boxes = dict[int, list[list[float]]]
"""Frame number -> boxes (x1, y1, x2, y2) in half-resolution pixels, largest first; none where no face is."""

FOLDS_HEADER = ("video", "file", "label", "original", "frame", "fold")

# Of PNG's filters "up" packs faces fastest and nearly best. Any filter gives the same pixels.
_UP = (cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP) if hasattr(cv2, "IMWRITE_PNG_FILTER_UP") else ()
_ENCODERS: dict[str, tuple[int, ...]] = {
    "png": _UP,
    "jpg": (cv2.IMWRITE_JPEG_QUALITY, 95),
    "webp": (cv2.IMWRITE_WEBP_QUALITY, 95),
}
IMAGE_FORMATS = tuple(_ENCODERS)


@dataclass(frozen=True, slots=True)
class CropRow:
    """One line of folds.csv: one crop."""

    video: str
    """Id of the clip."""
    file: str
    """``<frame>_<face>`` with the suffix of the crop."""
    label: int
    """0 real, 1 fake."""
    original: str
    """Id of the clip whose boxes it was cut with; of a real clip its own."""
    frame: int
    """Frame number in order of display, from 0."""
    fold: int
    """From 0."""

    @property
    def face(self) -> int:
        """Number of the face in the frame, from 0."""
        place = parse_stem(self.file.partition(".")[0])
        return place[1] if place else 0


def write_boxes(boxes: Boxes, path: Path) -> None:
    """Write the boxes of a clip."""
    with atomic_file(path) as file:
        file.write(json.dumps({str(frame): found or None for frame, found in boxes.items()}).encode())


def read_boxes(path: Path) -> Boxes:
    """Read the boxes of a clip, ours or the winner's.

    Raises:
        UnmaskError: The file is missing or of another form.
    """
    try:
        content = json.loads(path.read_bytes())
        boxes = {int(frame): [[float(edge) for edge in box] for box in found or ()] for frame, found in content.items()}
        whole = all(len(box) == 4 and all(map(math.isfinite, box)) for found in boxes.values() for box in found)
        whole = whole and min(boxes, default=0) >= 0
    except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise UnmaskError(f"{path} holds no boxes ({error}); run the step boxes again") from error
    if not whole:
        raise UnmaskError(f"{path} holds boxes without four numbers or of no frame; run the step boxes again")
    return boxes


def stem(frame: int, face: int) -> str:
    """Return the name of a crop without suffix."""
    return f"{frame}_{face}"


def parse_stem(name: str) -> tuple[int, int] | None:
    """Return frame and face of a crop's name without suffix, None when it is no such name."""
    frame, _, face = name.partition("_")
    return (int(frame), int(face)) if frame.isdecimal() and face.isdecimal() else None


def encode_image(image_HW3: ImageHW3, image_format: str) -> bytes:
    """Return an RGB or (H, W) grey image as the bytes of a file.

    Raises:
        UnmaskError: It is too large for the format.
    """
    colour = cv2.cvtColor(image_HW3, cv2.COLOR_RGB2BGR) if image_HW3.ndim == 3 else image_HW3
    done, data = cv2.imencode(f".{image_format}", colour, _ENCODERS[image_format])
    if not done:
        raise UnmaskError(f"an image of {image_HW3.shape[1]}x{image_HW3.shape[0]} cannot be written as {image_format}")
    return data.tobytes()


def read_image(path: Path) -> ImageHW3:
    """Return an image as (H, W, 3) RGB.

    Raises:
        UnmaskError: It is missing or damaged.
    """
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise UnmaskError(f"cannot read {path}: {error.strerror}") from error
    image_HW3 = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image_HW3 is None:
        raise UnmaskError(f"{path} is damaged; run the step crops again")
    return cv2.cvtColor(image_HW3, cv2.COLOR_BGR2RGB, image_HW3)


def encode_array(array: NDArray[np.int16]) -> bytes:
    """Return an array as the bytes of a .npy file."""
    data = io.BytesIO()
    np.save(data, array, allow_pickle=False)
    return data.getvalue()


def list_crops(
    clips: Iterable[Clip], fold_of: Mapping[str, int], leader_of: Mapping[str, str], folder: Path
) -> Iterator[CropRow]:
    """Yield a row for each crop on disk, clip by clip, sorted by frame and face.

    Args:
        clips: Clips that have a label.
        fold_of: Fold of each clip, by id.
        leader_of: Clip whose boxes cut a clip's crops, by id; where it is not known, a fake's original that has crops.
        folder: Folder of the crops.
    """
    for clip in clips:
        crops = folder / clip.id
        paths = crops.iterdir() if crops.is_dir() else ()
        guess = clip.original if clip.original and (folder / clip.original).is_dir() else clip.id
        original, label = leader_of.get(clip.id, guess), int(clip.label == "fake")
        for place, name in sorted((place, path.name) for path in paths if (place := parse_stem(path.stem)) is not None):
            yield CropRow(clip.id, name, label, original, place[0], fold_of[clip.id])


def write_folds(rows: Iterable[CropRow], path: Path) -> int:
    """Write folds.csv; return how many lines it has."""
    return write_table(([getattr(row, name) for name in FOLDS_HEADER] for row in rows), FOLDS_HEADER, path)


def write_table(rows: Iterable[Iterable[object]], header: Iterable[str], path: Path) -> int:
    """Write a CSV; return how many lines it has below its header."""
    count = 0
    with atomic_file(path) as file:
        text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
        table = csv.writer(text, lineterminator="\n")
        table.writerow(header)
        for row in rows:
            table.writerow(row)
            count += 1
        text.detach()
    return count


def read_folds(path: Path) -> Iterator[CropRow]:
    """Read folds.csv, ours or the winner's (whose columns count by position).

    Raises:
        UsageError: It is missing or of another form.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.reader(file)
            if tuple(next(table, ())) != FOLDS_HEADER:
                raise UsageError(f"{path} needs the columns {','.join(FOLDS_HEADER)}; run the step folds again")
            for video, name, label, original, frame, fold in table:
                yield CropRow(video, name, int(label), original, int(frame), int(fold))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}; run the step folds") from error
