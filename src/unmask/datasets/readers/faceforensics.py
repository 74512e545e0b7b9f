"""Read FaceForensics++ with the DeepFakeDetection clips, as its own download script or Kaggle lays them out.

Names after Roessler et al., FaceForensics++ (ICCV 2019): ``183_253.mp4`` is clip 183 with the face of clip 253,
``01_02__kitchen_pan__AB12CD34.mp4`` is actor 01 in the kitchen with the face of actor 02.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from unmask.datasets.index import Clip, ClipLabel, Fault, Index, check_originals, clip_id, list_videos, register_reader
from unmask.datasets.readers.text import parse_json, read_text, shown
from unmask.storage.walk import is_file, is_folder

_COMPRESSIONS = ("raw", "c0", "c23", "c40")  # the folder "masks" beside them holds no clips
_SPLITS = ("train", "val", "test")
_PERSON = {"actors": "actor"}  # number 1 of the actors is not number 1 of youtube
_YOUTUBE_FAKE = re.compile(r"([0-9]+)_([0-9]+)")
_ACTORS_FAKE = re.compile(r"([0-9]+)_([0-9]+)__(.+)__[0-9A-Za-z]+")


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    label: ClipLabel
    method: str
    compression: str | None


@register_reader("faceforensics")
def read_faceforensics(root: Path) -> Index | None:
    """Read ``original_sequences`` and ``manipulated_sequences``, or Kaggle's ``DFD_...`` folders.

    The official train.json, val.json and test.json are looked for in ``root``, ``splits`` and ``dataset/splits``. Masks
    of fakes lie in ``manipulated_sequences/<method>/masks/videos``, as the download script puts them.
    """
    folders = _official_folders(root) + _kaggle_folders(root)
    if not folders:
        return None
    splits, faults = _read_splits(root)
    clips: list[Clip] = []
    for folder in folders:
        paths, wrong = list_videos(root, folder.path)
        faults += wrong
        for path in paths:
            clip, problem = _clip(folder, path, splits)
            clips.append(replace(clip, mask=_mask_of(root, path)) if folder.label == "fake" else clip)
            if problem:
                faults.append(Fault(path, None, problem))
    usable, wrong = check_originals(clips, lambda clip: (clip.path, None))
    return Index(root, "faceforensics", tuple(usable), (*faults, *wrong))


def _official_folders(root: Path) -> list[_Folder]:
    tops: dict[str, ClipLabel] = {"original_sequences": "real", "manipulated_sequences": "fake"}
    return [
        _Folder(path.relative_to(root).as_posix(), label, path.parts[-3], compression)
        for top, label in tops.items()
        for compression in _COMPRESSIONS
        for path in sorted(root.glob(f"{top}/*/{compression}/videos"))
        or sorted(root.glob(f"{top}/*/{compression}/frames"))
        if path.is_dir()
    ]


def _mask_of(root: Path, path: str) -> str | None:
    """Return the authors' mask of a fake, which is one for all compressions: ``<method>/masks/videos/<name>``.

    DeepfakeBench puts the masks of its frames into ``<method>/<compression>/masks/<name>/``, or those of c23.
    """
    pure = PurePosixPath(path)
    if len(pure.parts) < 4:
        return None
    method = pure.parents[2]
    places = (
        method / "masks" / "videos" / pure.name,
        pure.parents[1] / "masks" / pure.name,
        method / "c23" / "masks" / pure.name,
    )
    found = (place for place in places if place != pure and (is_file(root / place) or is_folder(root / place)))
    return next((place.as_posix() for place in found), None)


def _kaggle_folders(root: Path) -> list[_Folder]:
    folders = (
        _Folder("DFD_original sequences", "real", "actors", None),
        _Folder("DFD_original_sequences", "real", "actors", None),
        _Folder("DFD_manipulated_sequences", "fake", "DeepFakeDetection", None),
    )
    return [folder for folder in folders if (root / folder.path).is_dir()]


def _clip(folder: _Folder, path: str, splits: dict[str, str]) -> tuple[Clip, str | None]:
    """Return a clip, and what is wrong with its name."""
    stem = PurePosixPath(path).stem
    original, problem = None, None
    numbers: tuple[str, ...] = ()
    if folder.label == "real":
        number = re.match("[0-9]+", stem)
        family, numbers = folder.method, (number[0],) if number else ()
    elif match := _YOUTUBE_FAKE.fullmatch(stem):
        family, original, numbers = "youtube", match[1], (match[1], match[2])
    elif match := _ACTORS_FAKE.fullmatch(stem):
        family, original, numbers = "actors", f"{match[1]}__{match[3]}", (match[1], match[2])
    else:
        family = folder.method
        problem = "the name does not say whom it shows; kept without a pair; name it like 183_253.mp4"
    found = {splits.get(number) for number in numbers} if family == "youtube" else set()
    if len(found) > 1:
        problem = f"its two clips lie in different splits, {sorted(map(str, found))}; kept without a split"
    clip = Clip(
        id=_id(folder.method, folder.compression, stem),
        path=path,
        label=folder.label,
        original=original and _id(family, folder.compression, original),
        method=folder.method,
        compression=folder.compression,
        people=tuple(sorted({f"{_PERSON.get(family, family)}-{number}" for number in numbers})),
        split=found.pop() if len(found) == 1 else None,
    )
    return clip, problem


def _id(method: str, compression: str | None, stem: str) -> str:
    # clip_id takes a path, of which it drops the suffix; a stem may hold a dot of its own
    return clip_id("/".join(part for part in (method, compression, stem) if part) + ".mp4")


def _read_splits(root: Path) -> tuple[dict[str, str], list[Fault]]:
    """Return the split of each number in the official lists, and what is wrong with them."""
    for folder in (root, root / "splits", root / "dataset" / "splits"):
        if any((folder / f"{split}.json").is_file() for split in _SPLITS):
            break
    else:
        return {}, []
    splits: dict[str, str] = {}
    faults: list[Fault] = []
    twice: set[str] = set()
    for split in _SPLITS:
        path = folder / f"{split}.json"
        where = path.relative_to(root).as_posix()
        numbers, wrong = _read_numbers(path, where)
        faults += wrong
        for number in sorted(numbers):
            if splits.setdefault(number, split) != split:
                faults.append(
                    Fault(where, number, f"is in {splits[number]} too; kept without a split; drop it from one")
                )
                twice.add(number)
    return {number: split for number, split in splits.items() if number not in twice}, faults


def _read_numbers(path: Path, where: str) -> tuple[set[str], list[Fault]]:
    """Return the numbers in a list of pairs such as ``["071", "054"]``, and what is wrong with it."""
    lost = "its clips are kept without a split; fetch the file again"
    try:
        pairs = parse_json(read_text(path))
    except ValueError as error:
        return set(), [Fault(where, None, f"{error}; {lost}")]
    if not isinstance(pairs, list):
        return set(), [Fault(where, None, f"no list of pairs; {lost}")]
    numbers: set[str] = set()
    faults = []
    for place, pair in enumerate(pairs):
        if isinstance(pair, list) and len(pair) == 2 and all(isinstance(number, str) for number in pair):
            numbers.update(pair)
        else:
            faults.append(Fault(where, f"entry {place}", f"{shown(pair)} is no pair of clip numbers; set aside"))
    return numbers, faults
