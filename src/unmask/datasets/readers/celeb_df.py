"""Read Celeb-DF, version 1 and 2, and Celeb-DF++: ``Celeb-real``, ``Celeb-synthesis``, ``YouTube-real``.

Names after Li et al., Celeb-DF (CVPR 2020): ``id0_id1_0000.mp4`` is ``Celeb-real/id0_0000.mp4`` with the face of id1.
Celeb-DF++ (Li et al. 2025, arXiv 2507.18015; OUC-VAS/Celeb-DF-PP, README.md) has its fakes in
``Celeb-synthesis/<FaceSwap, FaceReenact or TalkingFace>/<method>``. What names of the latter two say is not published
there: they come without pairs.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath

from unmask.datasets.index import Clip, ClipLabel, Fault, Index, check_originals, clip_id, list_videos, register_reader
from unmask.datasets.readers.text import BYTE_ORDER_MARK, read_text, shown

TEST_LIST = "List_of_testing_videos.txt"
_FOLDERS: dict[str, ClipLabel] = {"Celeb-real": "real", "Celeb-synthesis": "fake", "YouTube-real": "real"}
_STORES = frozenset({"videos", "frames"})
"""Folders that hold the files of a folder, or its clips as frames."""
_LISTED: dict[str, ClipLabel] = {"1": "real", "0": "fake"}  # unlike all other datasets
_REAL = re.compile(r"(id[0-9]+)_[0-9]+")
_FAKE = re.compile(r"(id[0-9]+)_(id[0-9]+)_([0-9]+)")


@register_reader("celeb_df")
def read_celeb_df(root: Path) -> Index | None:
    """Read the three folders, whose files may lie in a folder ``videos``; some copies spell ``Youtube-real``.

    Where there is a List_of_testing_videos.txt, its clips are the split ``test``, the others ``train``.
    """
    if not root.is_dir():
        return None
    spelled = {name.casefold(): name for name in _FOLDERS}
    folders = {path.name: spelled.get(path.name.casefold()) for path in sorted(root.iterdir()) if path.is_dir()}
    if not {"Celeb-real", "Celeb-synthesis"} & set(folders.values()):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for folder, name in folders.items():
        if name is None:
            continue
        paths, wrong = list_videos(root, folder)
        faults += wrong
        for path in paths:
            clips.append(_clip(path, name))
            if name == "Celeb-synthesis" and clips[-1].original is None and not _is_unpaired(path):
                faults.append(Fault(path, None, "the name does not say whom it shows; kept without a pair; rename it"))
    if (root / TEST_LIST).exists():
        clips, wrong = _with_splits(clips, root / TEST_LIST)
        faults += wrong
    usable, wrong = check_originals(clips, lambda clip: (clip.path, None))
    return Index(root, "celeb_df", tuple(usable), (*faults, *wrong))


def _clip(path: str, folder: str) -> Clip:
    pure = PurePosixPath(path)
    stem, between = pure.stem, [part for part in pure.parts[1:-1] if part not in _STORES]
    original: str | None = None
    people: tuple[str, ...] = ()
    if folder == "Celeb-real" and (match := _REAL.fullmatch(stem)):
        people = (match[1],)
    elif folder == "Celeb-synthesis" and (match := _FAKE.fullmatch(stem)) and not _is_unpaired(path):
        original = f"Celeb-real__{match[1]}_{match[3]}"
        people = tuple(sorted({match[1], match[2]}))
    method = between[-1] if between else folder
    return Clip(
        clip_id("/".join((folder, *between, f"{stem}.mp4"))), path, _FOLDERS[folder], original, method, people=people
    )


def _is_unpaired(path: str) -> bool:
    """Tell whether a fake's scenario is one whose names are not described."""
    return bool({"FaceReenact", "TalkingFace"} & set(PurePosixPath(path).parts))


def _with_splits(clips: list[Clip], table: Path) -> tuple[list[Clip], list[Fault]]:
    """Set the split of each clip; set aside clips whose label in the list is not that of their folder."""
    try:
        lines = read_text(table).removeprefix(BYTE_ORDER_MARK).splitlines()
    except ValueError as error:
        return clips, [Fault(table.name, None, f"{error}; the clips are kept without a split; fetch the file again")]
    by_id = {clip.id.casefold(): clip for clip in clips}
    faults: list[Fault] = []
    listed: set[str] = set()
    contradicted: set[str] = set()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        label, path = (*line.split(maxsplit=1), "")[:2]
        path = path.strip()
        key = clip_id(path).casefold()
        if label not in _LISTED or not path:
            problem = (
                f"{shown(line)} is not like '1 YouTube-real/00170.mp4'; passed over, so its clip may pass for train"
            )
        elif key not in by_id:
            problem = f"{shown(path)} is not there; passed over; fetch it again"
        elif by_id[key].label != _LISTED[label]:
            problem = (
                f"{shown(path)} is {_LISTED[label]} here, not so by its folder; the clip is set aside; correct one"
            )
            contradicted.add(key)
        else:
            listed.add(key)
            continue
        faults.append(Fault(table.name, f"line {number}", problem))
    kept = [clip for clip in clips if clip.id.casefold() not in contradicted]
    return [replace(clip, split="test" if clip.id.casefold() in listed else "train") for clip in kept], faults
