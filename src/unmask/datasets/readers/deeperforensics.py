"""Read DeeperForensics-1.0: ``manipulated_videos/<variant>/000_M101.mp4`` and ``source_videos/M101/...``.

After Jiang et al., DeeperForensics-1.0 (CVPR 2020): ``000_M101.mp4`` is clip 000 of FaceForensics++, which is not part
of the dataset, with the face of the actor M101. Every variant shows the same thousand swaps, disturbed in other ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from unmask.datasets.index import Clip, Fault, Index, clip_id, list_videos, register_reader
from unmask.datasets.readers.text import BYTE_ORDER_MARK, read_text

_FAKES, _SOURCES, _TARGETS = "manipulated_videos", "source_videos", "original_sequences/youtube/c23/videos"
_LISTS = "lists/splits"
_VARIANTS = ("end_to_end", "reenact_postprocess")  # every variant's name begins with one of them
_FAKE = re.compile(r"([0-9]+)_([MW][0-9]+)")


@register_reader("deeperforensics")
def read_deeperforensics(root: Path) -> Index | None:
    """Read the fakes, the recordings of the actors, and the targets where FaceForensics++ lies in the same folder.

    Fakes of one target share its id as their ``original``, also when it is missing. A real clip takes the split of the
    fakes that show its person.
    """
    if not any(path.is_dir() and path.name.startswith(_VARIANTS) for path in root.glob(f"{_FAKES}/*")):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for folder in (_FAKES, _SOURCES, _TARGETS):
        paths, wrong = list_videos(root, folder)
        clips += [_clip(path, folder) for path in paths]
        faults += wrong
    faults += [
        Fault(clip.path, None, "the name does not say whom it shows; kept without a pair; name it like 000_M101.mp4")
        for clip in clips
        if clip.label == "fake" and clip.original is None
    ]
    splits, wrong = _read_splits(root)
    faults += [*wrong, *_whole_faults(clips)]
    return Index(root, "deeperforensics", tuple(_with_splits(clips, splits)), tuple(faults))


def _clip(path: str, folder: str) -> Clip:
    pure = PurePosixPath(path)
    if folder == _TARGETS:
        return Clip(_target_id(pure.stem), path, "real", None, "youtube", "c23", (f"youtube-{pure.stem}",))
    if folder == _SOURCES:
        return Clip(clip_id(f"source/{pure.name}"), path, "real", method="source", people=(pure.parts[1],))
    match = _FAKE.fullmatch(pure.stem)
    original, people = (_target_id(match[1]), (match[2], f"youtube-{match[1]}")) if match else (None, ())
    return Clip(clip_id("/".join(pure.parts[1:])), path, "fake", original, pure.parts[1], people=people)


def _target_id(number: str) -> str:
    return f"youtube__c23__{number}"  # as the reader of FaceForensics++ calls it


def _whole_faults(clips: list[Clip]) -> list[Fault]:
    """Report what concerns thousands of clips in one sentence each."""
    there = {clip.id for clip in clips}
    wanted = {clip.original for clip in clips if clip.original is not None}
    faults = []
    if missing := wanted - there:
        problem = (
            f"{len(missing)} of {len(wanted)} originals are missing, e.g. {min(missing)!r}; their fakes are kept "
            f"without a pair; put the c23 clips of FaceForensics++ into {_TARGETS}"
        )
        faults.append(Fault(_FAKES, None, problem))
    if any(clip.method == "source" for clip in clips):
        problem = (
            "the authors say that these recordings are no counterpart of the fakes; kept as real, with the method "
            "'source'; leave them out of a measurement of real against fake"
        )
        faults.append(Fault(_SOURCES, None, problem))
    return faults


def _read_splits(root: Path) -> tuple[dict[str, str], list[Fault]]:
    """Return the split of each name in the authors' lists, and what is wrong with them."""
    splits: dict[str, str] = {}
    faults: list[Fault] = []
    twice: set[str] = set()
    for split in ("train", "val", "test"):
        where = f"{_LISTS}/{split}.txt"
        if not (root / _LISTS).is_dir():
            break
        try:
            lines = read_text(root / where).removeprefix(BYTE_ORDER_MARK).splitlines()
        except ValueError as error:
            faults.append(Fault(where, None, f"{error}; its clips are kept without a split; fetch the file again"))
            continue
        for stem in sorted({PurePosixPath(line.strip()).stem for line in lines if line.strip()}):
            if splits.setdefault(stem, split) != split:
                faults.append(Fault(where, stem, f"is in {splits[stem]} too; kept without a split; drop it from one"))
                twice.add(stem)
    return {stem: split for stem, split in splits.items() if stem not in twice}, faults


def _with_splits(clips: Iterable[Clip], splits: dict[str, str]) -> list[Clip]:
    of_person: dict[str, set[str]] = {}
    for stem, split in splits.items():
        if match := _FAKE.fullmatch(stem):
            of_person.setdefault(match[2], set()).add(split)
            of_person.setdefault(f"youtube-{match[1]}", set()).add(split)

    def split_of(clip: Clip) -> str | None:
        if clip.label == "fake":
            return splits.get(PurePosixPath(clip.path).stem)
        found = set().union(*(of_person.get(person, set()) for person in clip.people))
        return found.pop() if len(found) == 1 else None

    return [replace(clip, split=split_of(clip)) for clip in clips]
