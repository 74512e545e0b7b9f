"""Read datasets as DeepfakeBench has rearranged them: lists in JSON, and a folder of cropped frames for each clip.

Form after SCLBD/DeepfakeBench at 8a4a7bf: preprocessing/rearrange.py writes ``{dataset: {label: {train, val, test:
{video: {label, frames, masks}}}}}``, with one more level of compressions for FaceForensics++ and its kin;
training/dataset/abstract_dataset.py reads it, and paths with backslashes below ``datasets/rgb`` as well. DF40
(Yan et al. 2024, arXiv 2406.13495; YZY-stack/DF40, README.md) comes in the same form, a list for each method.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    id_problem,
    name_problem,
    printable,
    register_reader,
)
from unmask.datasets.readers.text import parse_json, read_text, shown
from unmask.storage.walk import is_folder

_LISTS = ("preprocessing/dataset_json", "dataset_json", ".")
_BASES = ("", "datasets/rgb", "datasets")
_SPLITS = ("train", "val", "test")
_FAKES = ("FF-DF", "FF-F2F", "FF-FS", "FF-NT", "FF-FH", "FF-SH")
"""Labels without the word fake in them; all others end with real or fake, or have a letter after it."""
_FAKE_WORD = re.compile(r"fake[a-z]?$")
_TARGETS = (
    re.compile(r"(?P<a>[0-9]+)_[0-9]+"),
    re.compile(r"(?P<a>[0-9]+)_[0-9]+(?P<b>__.+)__[0-9A-Za-z]+"),
    re.compile(r"(?P<a>id[0-9]+)_id[0-9]+(?P<b>_[0-9]+)"),
)
"""Names of fakes of FaceForensics++, DFD and Celeb-DF, and what of them names the original."""


@dataclass(slots=True)
class _Video:
    """What the lists say of one clip."""

    label: str
    name: str
    compression: str | None
    splits: set[str] = field(default_factory=set)


@register_reader("deepfakebench")
def read_deepfakebench(root: Path) -> Index | None:
    """Read all lists of a folder: of DeepfakeBench itself, of ``dataset_json``, or one that ``unmask prepare`` wrote.

    A clip that its lists give to all splits, as those of DFD, has none; one that is in some, as those that Celeb-DF's
    list trains and tests on, is in the last of train, val and test. Originals follow from names.
    """
    if not root.is_dir():
        return None
    videos: dict[str, _Video] = {}
    faults: list[Fault] = []
    read = False
    for path in sorted(path for folder in _LISTS for path in (root / folder).glob("*.json")):
        if (content := _parsed(path)) is None:
            continue
        read, missing, count = True, [], 0
        for video, frame in _listed(content):
            count += 1
            folder = _folder_of(root, frame)
            if folder is None:
                missing.append(frame)
                continue
            videos.setdefault(folder, _Video(video.label, video.name, video.compression)).splits |= video.splits
        if missing:
            where = path.relative_to(root).as_posix()
            text = f"the frames of {len(missing)} of {count} clips are not there, e.g. {shown(missing[0])}; set aside"
            faults.append(Fault(where, None, f"{text}; put them below {root / 'datasets' / 'rgb'}"))
    if not read:
        return None
    clips, wrong = _clips(root, videos)
    usable, unpaired = check_originals(clips, lambda clip: (clip.path, None))
    return Index(root, "deepfakebench", tuple(sorted(usable, key=lambda c: c.id)), (*faults, *wrong, *unpaired))


def _parsed(path: Path) -> dict[str, Any] | None:
    """Return the content of a list, None of another file."""
    try:
        content = parse_json(read_text(path))
    except ValueError:
        return None
    if not isinstance(content, dict) or not content:
        return None
    labels = (
        [label for of_dataset in content.values() for label in (of_dataset or {"": None}).values()]
        if all(isinstance(of_dataset, dict) for of_dataset in content.values())
        else [None]
    )
    is_list = all(isinstance(splits, dict) and splits.keys() & set(_SPLITS) for splits in labels)
    return content if is_list else None


def _listed(content: dict[str, Any]) -> Iterator[tuple[_Video, str]]:
    """Yield the clips of a list, once for each split, and a frame of each."""
    for labels in content.values():
        for splits in labels.values():
            for split in _SPLITS:
                yield from _of_split(splits.get(split), split, None)


def _of_split(videos: object, split: str, compression: str | None) -> Iterator[tuple[_Video, str]]:
    for name, entry in videos.items() if isinstance(videos, dict) else ():
        if not isinstance(entry, dict):
            continue  # rearrange.py puts one entry of DFDC in place of all that validate
        frames, label = entry.get("frames"), entry.get("label")
        if isinstance(frames, list) and isinstance(label, str):
            if frames and isinstance(frames[0], str):
                yield _Video(label, name, compression, {split}), frames[0]
        elif compression is None:
            yield from _of_split(entry, split, name)


def _folder_of(root: Path, frame: str) -> str | None:
    """Return the folder of a frame relative to the root, None where it is not there."""
    pure = PurePosixPath(frame.replace("\\", "/"))
    if pure.is_absolute() or ".." in pure.parts or name_problem(frame):
        return None
    folders = ((PurePosixPath(base) / pure).parent for base in _BASES)
    return next((folder.as_posix() for folder in folders if is_folder(root / folder)), None)


def _clips(root: Path, videos: dict[str, _Video]) -> tuple[list[Clip], list[Fault]]:
    clips, faults = [], []
    ids: dict[tuple[str | None, str], list[str]] = defaultdict(list)
    for video in videos.values():
        if _label_of(video.label) == "real":
            ids[video.compression, video.name].append(_id(video))
    for folder, video in videos.items():
        label = _label_of(video.label)
        if problem := id_problem(_id(video)):
            faults.append(
                Fault(printable(folder), None, f"its name {shown(video.name)} {problem}; set aside; rename it")
            )
            continue
        if label is None:
            faults.append(
                Fault(printable(folder), None, f"label {shown(video.label)} is neither real nor fake; set aside")
            )
            continue
        targets = (pattern.fullmatch(video.name) for pattern in _TARGETS) if label == "fake" else ()
        target = next(("".join(found.groups()) for found in targets if found), None)
        of = ids.get((video.compression, target or ""), [])
        split = None if video.splits == set(_SPLITS) else max(video.splits, key=_SPLITS.index)
        clips.append(
            Clip(
                _id(video), folder, label, of[0] if len(of) == 1 else None, video.label, video.compression, split=split,
                mask=_mask_of(root, folder) if label == "fake" else None,
            )
        )  # fmt: skip
    return clips, faults


def _id(video: _Video) -> str:
    return clip_id("/".join(part for part in (video.label, video.compression, video.name) if part) + ".png")


def _label_of(label: str) -> ClipLabel | None:
    if label in _FAKES or _FAKE_WORD.search(label.lower()):
        return "fake"
    return "real" if label.lower().endswith("real") else None


def _mask_of(root: Path, folder: str) -> str | None:
    """Return the folder of masks beside one of frames."""
    pure = PurePosixPath(folder)
    mask = pure.parent.parent / "masks" / pure.name
    return mask.as_posix() if pure.parent.name == "frames" and is_folder(root / mask) else None
