"""The table of a dataset: which clips there are, what is known of each, and what is wrong.

    index = read_index(Path("dfdc"))
    for clip in index.clips:
        index.path_of(clip), clip.label, clip.original

A reader knows one layout on disk and returns an `Index`. A new dataset is one file in `unmask.datasets.readers`
with a function under ``@register_reader("name")``.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from unmask.datasets.parquet import read_parquet, write_parquet
from unmask.errors import UsageError
from unmask.media.formats import VIDEO_SUFFIXES

ClipLabel = Literal["real", "fake"]

_LABELS: dict[str, ClipLabel] = {"real": "real", "0": "real", "0.0": "real", "fake": "fake", "1": "fake", "1.0": "fake"}
_MAX_ID_BYTES = 200  # with a suffix it still is a file name everywhere

_COLUMNS = {
    "id": "string", "path": "string", "label": "string", "original": "string", "method": "string",
    "compression": "string", "people": "list<string>", "part": "int32", "split": "string",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Clip:
    """One video of a dataset."""

    id: str
    """Unique in the dataset and safe as a file name; of DFDC the name without its suffix."""
    path: str
    """Where it lies, relative to the root, with forward slashes; absolute when it lies elsewhere."""
    label: ClipLabel | None
    """``real``, ``fake``, None when nobody says."""
    original: str | None = None
    """Of a fake: id of the authentic clip it was made from, which may be missing from the dataset."""
    method: str | None = None
    """How it was made, or where it was filmed, e.g. ``Deepfakes``, ``youtube``."""
    compression: str | None = None
    """``raw``, ``c23``, ``c40``; None when the dataset has but one."""
    people: tuple[str, ...] = ()
    """Who is seen in it, or lent it a face."""
    part: int | None = None
    """Number of the DFDC part."""
    split: str | None = None
    """``train``, ``val``, ``test`` as the dataset's authors split it."""

    def __post_init__(self) -> None:
        if problem := id_problem(self.id):
            raise ValueError(f"id {self.id[:80]!r} {problem}")
        if self.label not in (None, "real", "fake"):
            raise ValueError(f"label {self.label!r} is not real or fake")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong in a dataset's description."""

    file: str
    """The file that is wrong, relative to the root."""
    key: str | None
    """The entry in it, None when it is the whole file."""
    message: str
    """What is wrong, what was done about it, and how to mend it."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key!r}: {self.message}" if self.key is not None else f"{self.file}: {self.message}"


_FAULTS = TypeAdapter(tuple[Fault, ...])


@dataclass(frozen=True, slots=True)
class Index:
    """All clips of a dataset."""

    root: Path
    """Folder that the clips' paths start from."""
    dataset: str
    """Name of the reader that understood it."""
    clips: tuple[Clip, ...]
    """Sorted by id."""
    faults: tuple[Fault, ...] = ()
    """What is wrong; rows that cannot be used are set aside and reported here."""

    def path_of(self, clip: Clip) -> Path:
        """Return where a clip lies."""
        return self.root / clip.path

    def write(self, path: Path) -> None:
        """Write the table as Parquet; `read_index` reads it back.

        Raises:
            UsageError: pyarrow is not installed.
        """
        rows = ({name: getattr(clip, name) for name in _COLUMNS} for clip in self.clips)
        facts = {"dataset": self.dataset, "root": str(self.root.resolve())}
        facts["faults"] = json.dumps([asdict(fault) for fault in self.faults])
        write_parquet(rows, path, _COLUMNS, facts)


Reader = Callable[[Path], Index | None]
READERS: dict[str, Reader] = {}
"""Name -> function that reads a folder, or returns None when it is laid out in another way."""


def register_reader(name: str) -> Callable[[Reader], Reader]:
    """Enter a reader into `READERS`; the first registered one that understands a folder reads it."""

    def enter(reader: Reader) -> Reader:
        READERS[name] = reader
        return reader

    return enter


def require_clips(index: Index) -> None:
    """Refuse a dataset without clips.

    Raises:
        UsageError: There is none; the message says why, where that is known.
    """
    if not index.clips:
        why = f", e.g. {index.faults[0]}" if index.faults else ""
        raise UsageError(f"the dataset has no clip that can be used{why}")


def read_index(data: Path, dataset: str = "auto", *, follow_links: bool = False) -> Index:
    """Read a dataset: a folder in one of the known layouts, a CSV, or an index written as Parquet.

    Args:
        data: The folder or file.
        dataset: Name in `READERS`; ``auto`` asks each.
        follow_links: Also take clips of a folder that are links, or lie in linked folders. What a CSV or an index
            names is taken as it is.

    Raises:
        UsageError: There is no such thing, or no reader understands it.
    """
    import unmask.datasets.readers  # noqa: F401 - fills READERS

    if dataset not in ("auto", *READERS):
        raise UsageError(f"unknown dataset layout {dataset!r}; use auto or one of {', '.join(READERS)}")
    if not data.exists():
        raise UsageError(f"{data} does not exist; name a dataset's folder, a CSV, or an index.parquet")
    if data.suffix == ".parquet":
        return _read_parquet(data)
    for reader in READERS.values() if dataset == "auto" else [READERS[dataset]]:
        index = reader(data)
        if index is not None:
            return _without_clashes(index if follow_links or not data.is_dir() else _without_links(index))
    raise UsageError(
        f"{data} is laid out in no way that is known ({', '.join(READERS)}); "
        "write a CSV with the columns path,label (and original, method, person, part, split where known)"
    )


def clip_id(path: str) -> str:
    """Return a name for files made from the clip at ``path``: folders joined with ``__``, without the suffix."""
    pure = PurePosixPath(path)
    parts = [part for part in (*pure.parent.parts, pure.stem) if part not in ("/", "//", "..", "")]
    name = "__".join(parts).replace("\\", "_").replace(":", "_").lstrip(".") or "_"
    whole = name.encode("utf-8", "surrogatepass")  # a table may name files whose names are not UTF-8
    if len(whole) > _MAX_ID_BYTES:
        digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        name = whole[: _MAX_ID_BYTES - 13].decode(errors="ignore") + "-" + digest
    return name


def id_problem(name: str) -> str | None:
    """Say why files cannot be named after this id, None when they can."""
    if not name or name.startswith(".") or set(name) & set("/\\\0:") or name_problem(name):
        return "is no plain file name"
    return f"is longer than {_MAX_ID_BYTES} bytes" if len(name.encode()) > _MAX_ID_BYTES else None


def parse_label(value: object) -> ClipLabel | None:
    """Return what a label cell says, in any of the usual spellings; None when it says nothing known."""
    return _LABELS.get(str(value).strip().lower())


def list_videos(root: Path, folder: str = ".") -> tuple[list[str], list[Fault]]:
    """Return the videos below ``root / folder``, relative to ``root`` and sorted, and what is wrong with some names.

    Hidden files and folders are passed over; folders that are links are not followed, and reported.
    """
    found, faults = [], []
    for parent, folders, files in os.walk(root / folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(parent).relative_to(root)
        linked = [here / name for name in folders if (Path(parent) / name).is_symlink()]
        faults += [Fault(printable(path.as_posix()), None, "a linked folder; not followed") for path in linked]
        for name in files:
            path = (here / name).as_posix()
            if Path(name).suffix.lower() not in VIDEO_SUFFIXES or name.startswith(".") or not (root / path).is_file():
                continue
            if problem := name_problem(path):
                faults.append(Fault(printable(path), None, problem))
            else:
                found.append(path)
    return sorted(found), faults


def printable(name: str) -> str:
    """Return a file name as text that can be written anywhere; bytes outside UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def name_problem(name: str) -> str | None:
    """Say why a file cannot have this name in a table, None when it can."""
    categories = {unicodedata.category(character) for character in name}
    if "Cs" in categories:  # how Python holds bytes that are not UTF-8
        return "the name is not UTF-8; set aside; rename the file"
    if "Cc" in categories:
        return "the name holds a control character; set aside; rename the file"
    return None


def check_originals(
    clips: Iterable[Clip], file_of: Callable[[Clip], tuple[str, str | None]]
) -> tuple[list[Clip], list[Fault]]:
    """Set aside the fakes whose original cannot be one; report those whose original is missing.

    Args:
        clips: All clips; ``original`` holds ids.
        file_of: Where a clip is described: file and key, for the report.

    Returns:
        The clips that can be used, and the faults. Afterwards an original that is in the list is a real clip of the
        same part, so that a fake and its original fall into one fold.
    """
    kept: list[Clip] = []
    faults: list[Fault] = []
    everything = list(clips)
    by_id = {clip.id: clip for clip in everything if clip.label != "real" or clip.original is None}
    for clip in everything:
        problem, usable = _original_problem(clip, by_id)
        if problem:
            faults.append(Fault(*file_of(clip), problem))
        if usable:
            kept.append(clip)
    return kept, faults


def _original_problem(clip: Clip, by_id: dict[str, Clip]) -> tuple[str | None, bool]:
    """Return what is wrong with a clip's original, and whether the clip can be used all the same."""
    if clip.original is None:
        return None, True
    if clip.label == "real":
        return f"a real clip names an original, {clip.original!r}; set aside; drop one of the two", False
    if clip.original == clip.id:
        return "names itself as its original; set aside; name the authentic clip", False
    original = by_id.get(clip.original)
    if original is None:
        return f"its original {clip.original!r} is not in the dataset; kept without a pair", True
    if original.label != "real":
        seen, following = {clip.id}, original
        while following.original in by_id and following.id not in seen:
            seen.add(following.id)
            following = by_id[following.original]
        how = "in a cycle" if following.id in seen else f"labelled {original.label or 'nothing'}, not real"
        return f"its original {clip.original!r} is {how}; set aside; name the authentic clip", False
    if original.part != clip.part:
        return (
            f"its original {clip.original!r} lies in part {original.part}, itself in part {clip.part}; set aside, "
            "since folds go by part; move it"
        ), False
    return None, True


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
    """Set aside the clips that are links, or lie in linked folders: they may show what lies outside of the dataset."""
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
    if not {"root", "dataset"} <= set(facts) or not all(set(_COLUMNS) <= set(row) for row in rows):
        raise UsageError(f"{path} is no index; make one with: unmask explore DATA --out DIR")
    clips: list[Clip] = []
    try:
        faults = list(_FAULTS.validate_json(facts.get("faults", "[]")))
    except ValidationError as error:
        raise UsageError(f"{path} holds no list of faults; make the index anew") from error
    for row in rows:
        try:
            clip = Clip(**{name: _plain(row[name]) for name in _COLUMNS})
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
    there = {clip.id for clip in usable}  # what is missing beside these was told when the table was written
    new = [fault for fault in wrong if fault.key not in there]
    return replace(index, clips=tuple(usable), faults=(*index.faults, *new))


def _texts(clip: Clip) -> tuple[object, ...]:
    """Return all that has to be text in a row that somebody else may have written."""
    known = clip.original, clip.method, clip.compression, clip.split
    return clip.path, *(text for text in known if text is not None), *clip.people


def _plain(value: Any) -> Any:
    if isinstance(value, float) and math.isnan(value):
        return None
    return tuple(value) if isinstance(value, list) else value
