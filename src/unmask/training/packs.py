"""Packs: labelled pictures of faces with what is known of each, in two files that load in a second.

NAME.bin    the pictures, encoded (JPEG, PNG), one after the other
NAME.csv    a line for each, see `PackedFace`

A folder holds any number of packs; they are read together. The pictures stay encoded in memory: unpacking one takes a
quarter of a millisecond, and a hundred thousand fit into a gigabyte.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.types import ImageHW3


@dataclass(frozen=True, slots=True)
class PackedFace:
    """One picture of a pack."""

    name: str
    """Of the file it came from; with ``collection`` it is unique."""
    collection: str
    """Where it comes from, e.g. ``ffpp``. Real and fake are balanced within each."""
    method: str
    """How it was made, e.g. ``Deepfakes``; ``real`` where it is authentic."""
    label: int
    """0 real, 1 fake."""
    group: str
    """Who or what it shares with others: its target video or person. Groups never cross the fold."""
    original: str
    """``name`` of the authentic picture of the same place and time; empty where there is none."""
    fold: int
    """0 validates, 1 trains."""
    face_px: float
    """Width in pixels that the face's box had in its clip; 0 where that is not known."""
    box_px: tuple[float, float, float, float]
    """Left, top, right, bottom of the detector's box in the picture."""
    points_px: tuple[float, ...]
    """x, y of the eyes, nose and mouth corners, ten numbers; none where they are not known."""
    start: int = 0
    """Where its bytes begin in the pack."""
    length: int = 0
    """How many bytes it has."""

    @property
    def landmarks(self) -> NDArray[np.float32] | None:
        """(5, 2) x, y; None where they are not known."""
        return np.array(self.points_px, np.float32).reshape(5, 2) if len(self.points_px) == 10 else None


class FacePacks:
    """The pictures of all packs of a folder."""

    def __init__(self, folder: Path) -> None:
        """Read every pack.

        Raises:
            UsageError: There is none, or one is cut short.
        """
        self.faces: list[PackedFace] = []
        self._bytes: list[bytes] = []
        self._pack: list[int] = []
        for table in sorted(folder.glob("*.csv")):
            self.add(table)
        if not self.faces:
            raise UsageError(f"no pack of faces in {folder}; scripts/pack_faces.py writes one")

    def add(self, table: Path) -> range:
        """Read one more pack, and return the numbers of its pictures.

        Raises:
            UsageError: It is cut short.
        """
        content, rows = table.with_suffix(".bin").read_bytes(), _read_rows(table)
        if rows and rows[-1].start + rows[-1].length > len(content):
            raise UsageError(f"{table.with_suffix('.bin')} is cut short; write the pack again")
        before = len(self.faces)
        self.faces += rows
        self._pack += [len(self._bytes)] * len(rows)
        self._bytes.append(content)
        return range(before, len(self.faces))

    def read(self, number: int) -> ImageHW3:
        """Return a picture, RGB uint8."""
        return decode(self.encoded(number))

    def encoded(self, number: int) -> bytes:
        """Return the bytes of a picture's file."""
        face = self.faces[number]
        return self._bytes[self._pack[number]][face.start : face.start + face.length]


def decode(content: bytes) -> ImageHW3:
    """Unpack a picture as RGB.

    Raises:
        ValueError: It is no picture.
    """
    picture_HW3 = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture_HW3 is None:
        raise ValueError("these bytes are no picture")
    return cv2.cvtColor(picture_HW3, cv2.COLOR_BGR2RGB)


def write_pack(stem: Path, faces: Iterable[tuple[PackedFace, bytes]]) -> int:
    """Write ``stem.bin`` and ``stem.csv``; return how many pictures there are.

    Args:
        stem: Path without suffix.
        faces: What is known of each picture, and its file's bytes.
    """
    stem.parent.mkdir(parents=True, exist_ok=True)
    names, start, count = [field.name for field in fields(PackedFace)], 0, 0
    with stem.with_suffix(".bin").open("wb") as file, stem.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, names)
        writer.writeheader()
        for face, content in faces:
            file.write(content)
            row = asdict(face) | {"start": start, "length": len(content)}
            row |= {name: _words(row[name]) for name in ("box_px", "points_px")}
            writer.writerow(row)
            start, count = start + len(content), count + 1
    return count


def _words(values: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def _read_rows(table: Path) -> list[PackedFace]:
    with table.open(newline="", encoding="utf-8") as file:
        return [_face(row) for row in csv.DictReader(file)]


def _face(row: dict[str, str]) -> PackedFace:
    left, top, right, bottom = (float(word) for word in row["box_px"].split())
    return PackedFace(
        row["name"],
        row["collection"],
        row["method"],
        int(row["label"]),
        row["group"],
        row["original"],
        int(row["fold"]),
        float(row["face_px"]),
        (left, top, right, bottom),
        tuple(float(word) for word in row["points_px"].split()),
        int(row["start"]),
        int(row["length"]),
    )
