"""Read a dataset: find the reader of a folder's layout, or read an index that was written before.

    index = read_index(Path("dfdc"))
    for clip in index.clips:
        index.path_of(clip), clip.label, clip.original

What is wrong with a dataset does not stop the reading: it is listed in ``index.faults``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

import unmask.datasets.readers  # noqa: F401 - fills READERS
from unmask.datasets.index import (
    COLUMNS,
    LATER_COLUMNS,
    READERS,
    Clip,
    Fault,
    Index,
    Reader,
    check_originals,
    clip_id,
    list_videos,
    name_problem,
)
from unmask.datasets.parquet import read_parquet
from unmask.datasets.readers.listed import tables_of
from unmask.datasets.readers.listing import list_clips
from unmask.datasets.readers.tree import label_of_folder
from unmask.errors import UsageError
from unmask.runtime.plug_ins import enter_plug_ins
from unmask.storage.content import HEAD_BYTES, content_of, content_of_name

PLAIN = "plain"
"""What `Index.dataset` says of videos without labels."""
_TABLE = "write a CSV with the columns path,label (and original, method, person, part, split where known)"
_MAX_HINTS = 3
_FAULTS = TypeAdapter(tuple[Fault, ...])


def read_index(data: Path, dataset: str = "auto", *, follow_links: bool = False, unlabelled: bool = False) -> Index:
    """Read a dataset: a folder in one of the known layouts, a CSV, or an index written as Parquet.

    Args:
        data: The folder or file.
        dataset: Name in `READERS`; ``auto`` takes the first reader that knows the layout.
        follow_links: Also take clips of a folder that are links, or lie in linked folders. What a CSV or an index
            names is taken as it is.
        unlabelled: Also take a folder of videos that no reader knows, or one video, as clips without labels.

    Raises:
        UsageError: The folder or file does not exist, or no reader knows its layout.
    """
    readers = _readers()
    if dataset not in ("auto", *readers):
        raise UsageError(f"unknown dataset layout {dataset!r}; use auto or one of {', '.join(readers)}")
    if not data.exists():
        raise UsageError(f"{data} does not exist; name a dataset's folder, a CSV, or an index.parquet")
    if data.suffix == ".parquet":
        return _read_parquet(data)
    if unlabelled and dataset == "auto" and is_video(data):
        return _unlabelled(data.parent, [data.name], [])
    for reader in readers.values() if dataset == "auto" else [readers[dataset]]:
        index = reader(data)
        if index is not None:
            return _without_clashes(index if follow_links or not data.is_dir() else _without_links(index))
    if unlabelled and dataset == "auto" and data.is_dir():
        videos, faults = list_videos(data)
        if videos:
            index = _unlabelled(data, videos, faults)
            return _without_clashes(index if follow_links else _without_links(index))
    if dataset not in ("auto", "csv"):
        raise UsageError(f"{data} is not laid out as {dataset}; leave --dataset out, or {_TABLE}")
    raise UsageError(_unknown_layout(data))


def _readers() -> dict[str, Reader]:
    """Return those of installed plug-ins, which know their layout best, and then our own in their order."""
    plug_ins: dict[str, Reader] = {}
    enter_plug_ins("unmask.readers", plug_ins)
    return {name: reader for name, reader in plug_ins.items() if name not in READERS} | READERS


def is_video(path: Path) -> bool:
    """Tell whether a path is a file whose name or content is that of a video."""
    if not path.is_file():
        return False
    if content_of_name(path) == "video":
        return True
    with path.open("rb") as file:
        return content_of(file.read(HEAD_BYTES)) == "video"


def _unlabelled(root: Path, videos: Sequence[str], faults: Sequence[Fault]) -> Index:
    """Return the index of videos of which nothing but their paths is known."""
    clips = [Clip(clip_id(path), path, None) for path in videos]
    return Index(root, PLAIN, tuple(clips), tuple(faults))


def _unknown_layout(data: Path) -> str:
    """Say what a path holds that no reader knows, and what to do."""
    layouts = ", ".join(READERS)
    if not data.is_dir():
        return f"{data} is no folder, table or index; name one of these"
    videos, _ = list_videos(data)
    nearly = "".join(f" {sentence}" for sentence in _nearly_recognised(data)[:_MAX_HINTS])
    if videos:
        return (
            f"{data} holds {len(videos)} videos, but nothing that says which are real and which are fake: it has no "
            f"known layout ({layouts}); {_TABLE}, and name it instead of the folder.{nearly}"
        )
    if any(data.iterdir()):
        return f"{data} holds no video, and has no known layout ({layouts}); name the folder that holds the videos"
    return f"{data} is an empty folder; name the folder that holds the videos, or a table of them"


def _nearly_recognised(data: Path) -> list[str]:
    """Say what of a known layout a folder has, and what it lacks."""
    found = []
    for table in tables_of(data):
        try:
            list_clips(table, data)
        except UsageError as error:
            found.append(f"There is a table, but {error}.")
    names = sorted(path.name for path in data.iterdir() if path.is_dir())
    labels = {name: label for name in names if (label := label_of_folder(name))}
    if labels:
        name, label = next(iter(labels.items()))
        other = "fake" if label == "real" else "real"
        found.append(f"There is a folder {name!r} of {label} clips, but none of {other} ones; name it {other!r}.")
    if {"0", "1"} <= set(names):
        found.append("There are folders '0' and '1'; if these are labels, name them 'real' and 'fake'.")
    deep = next((path.parent for path in sorted(data.glob("*/*/*/**/metadata.json"))), None)
    if deep is not None:
        found.append(f"There is a metadata.json in {deep}; name the folder above that, {deep.parent}.")
    return found


def _without_clashes(index: Index) -> Index:
    """Set aside clips whose ids clash, also where a file system takes upper and lower case for the same."""
    times = Counter(clip.id.casefold() for clip in index.clips)
    clashing = [clip for clip in index.clips if times[clip.id.casefold()] > 1]
    faults = [
        Fault(clip.path, None, f"two clips would share the name {clip.id!r}; set aside; rename one")
        for clip in clashing
    ]
    kept = sorted((clip for clip in index.clips if times[clip.id.casefold()] == 1), key=lambda clip: clip.id)
    return replace(index, clips=tuple(kept), faults=(*index.faults, *faults))


def _without_links(index: Index) -> Index:
    """Set aside the clips that are links, or lie in linked folders: they may lead out of the dataset."""
    is_link = cache(Path.is_symlink)

    def is_linked(clip: Clip) -> bool:
        path = index.path_of(clip)
        return is_link(path) or any(is_link(index.root / part) for part in Path(clip.path).parents[:-1])

    linked = {clip.id: clip for clip in index.clips if is_linked(clip)}
    faults = [
        Fault(clip.path, None, "a link, or in a linked folder; set aside; use --follow-links")
        for clip in linked.values()
    ]
    kept = tuple(clip for clip in index.clips if clip.id not in linked)
    return replace(index, clips=kept, faults=(*index.faults, *faults))


def _read_parquet(path: Path) -> Index:
    rows, facts = read_parquet(path)
    if not {"root", "dataset"} <= set(facts) or not all(set(COLUMNS) - LATER_COLUMNS <= set(row) for row in rows):
        raise UsageError(f"{path} is no index; make one with: unmask explore DATA --out DIR")
    clips: list[Clip] = []
    try:
        faults = list(_FAULTS.validate_json(facts.get("faults", "[]")))
    except ValidationError as error:
        raise UsageError(f"{path} holds no list of faults; make the index anew") from error
    for row in rows:
        try:
            clip = Clip(**{name: _plain(row.get(name)) for name in COLUMNS})
            if not all(isinstance(text, str) for text in _texts(clip)):
                raise TypeError("a text is none")
        except (ValueError, TypeError) as error:
            faults.append(Fault(path.name, str(row["id"])[:80], f"{error}; set aside"))
            continue
        if problem := name_problem(clip.path):
            faults.append(Fault(path.name, clip.id, problem))
        else:
            clips.append(clip)
    index = _without_clashes(Index(Path(facts["root"]), facts["dataset"], tuple(clips), tuple(faults)))
    usable, wrong = check_originals(index.clips, lambda clip: (path.name, clip.id))
    return replace(index, clips=tuple(usable), faults=(*index.faults, *wrong))


def _texts(clip: Clip) -> tuple[object, ...]:
    """Return all values of a clip that have to be text; another program may have written the table."""
    known = clip.original, clip.method, clip.compression, clip.split, clip.mask
    return clip.path, *(text for text in known if text is not None), *clip.people


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return tuple(value) if isinstance(value, list) else value
