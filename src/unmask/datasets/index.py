"""Hold the index of a dataset: its clips, what is known of each, and what is wrong with their description.

A reader (`unmask.datasets.readers`) knows one layout on disk and returns an `Index`; `unmask.datasets.read.read_index`
asks the readers. A new layout is one file among the readers, with a function under ``@register_reader("name")``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from unmask.datasets.parquet import write_parquet
from unmask.errors import UsageError
from unmask.storage.content import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from unmask.storage.walk import is_file, is_link, walk

ClipLabel = Literal["real", "fake"]

_REAL_WORDS = ("real", "0", "0.0", "false", "original", "authentic", "genuine", "pristine", "bonafide", "untouched")
_FAKE_WORDS = (
    "fake", "1", "1.0", "true", "deepfake", "manipulated", "forged", "forgery", "synthetic", "tampered", "altered",
    "spoof",
)  # fmt: skip
_LABELS: dict[str, ClipLabel] = {**dict.fromkeys(_REAL_WORDS, "real"), **dict.fromkeys(_FAKE_WORDS, "fake")}
"""What a table may say, in lower case, as one word, with or without s at its end. As in 0 and 1, true is fake."""
_SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test",
}  # fmt: skip
_WITHIN_WORDS = re.compile(r"(?<=[a-z])[-_ ](?=[a-z])")
_DIGITS = re.compile(r"[0-9]+")
_MAX_ID_BYTES = 200  # with a suffix it still is a file name everywhere

COLUMNS = {
    "id": "string", "path": "string", "label": "string", "original": "string", "method": "string",
    "compression": "string", "people": "list<string>", "part": "int32", "split": "string", "mask": "string",
}  # fmt: skip
"""Columns of the table on disk: fields of `Clip`, and their Arrow types."""
LATER_COLUMNS = frozenset({"mask"})
"""Columns that tables of earlier versions do not have."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One video of a dataset, a file or a folder of frames."""

    id: str
    """Unique in the dataset and safe as a file name; of DFDC the name without its suffix."""
    path: str
    """Path of the file, or of the folder of its frames, relative to the root, with forward slashes; absolute when it
    lies elsewhere."""
    label: ClipLabel | None
    """``real``, ``fake``, None when it is not known."""
    original: str | None = None
    """Id of the authentic clip that a fake was made from, even if that is missing; None for a real clip."""
    method: str | None = None
    """How it was made, or where it was filmed, e.g. ``Deepfakes``, ``youtube``."""
    compression: str | None = None
    """``raw``, ``c23``, ``c40``; None when the dataset has only one."""
    people: tuple[str, ...] = ()
    """Names of the people who are seen in it, or whose face was pasted into it."""
    part: int | None = None
    """Number of the DFDC part."""
    split: str | None = None
    """``train``, ``val``, ``test`` as the dataset's authors split it."""
    mask: str | None = None
    """Path, as `path`, of the authors' mask of a fake: a video like it, or a folder of images named by the number of
    their frame; light where the frame was changed. None where there is none."""

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
    """What is wrong, what was done about it, and how to correct it."""

    def __str__(self) -> str:
        return f"{self.file}: {self.key!r}: {self.message}" if self.key is not None else f"{self.file}: {self.message}"


@dataclass(frozen=True, slots=True)
class Index:
    """All clips of a dataset."""

    root: Path
    """Folder that the clips' paths start from."""
    dataset: str
    """Name of the reader that read it."""
    clips: tuple[Clip, ...]
    """Sorted by id."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the dataset's description; rows that cannot be used are named here and left out above."""

    def path_of(self, clip: Clip) -> Path:
        """Return the path of a clip."""
        return self.root / clip.path

    def mask_of(self, clip: Clip) -> Path | None:
        """Return the path of the authors' mask of a clip, None where there is none."""
        return None if clip.mask is None else self.root / clip.mask

    def write(self, path: Path) -> None:
        """Write the table as Parquet; `read_index` reads it back.

        Raises:
            UsageError: pyarrow is not installed.
        """
        rows = ({name: getattr(clip, name) for name in COLUMNS} for clip in self.clips)
        facts = {"dataset": self.dataset, "root": str(self.root.resolve())}
        facts["faults"] = json.dumps([asdict(fault) for fault in self.faults])
        write_parquet(rows, path, COLUMNS, facts)


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
        why = f", e.g. {index.faults[0]}" if index.faults else ": its tables have no rows; write one for each clip"
        raise UsageError(f"the dataset has no clip that can be used{why}")


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
    """Return why files cannot be named after this id, None when they can."""
    if not name or name.startswith(".") or set(name) & set("/\\\0:") or name_problem(name):
        return "is no plain file name"
    return f"is longer than {_MAX_ID_BYTES} bytes" if len(name.encode()) > _MAX_ID_BYTES else None


def parse_label(value: object) -> ClipLabel | None:
    """Return the label that a table's cell means, in any of the usual spellings; None when it is none of them."""
    word = _WITHIN_WORDS.sub("", str(value).strip().lower())
    return _LABELS.get(word) or _LABELS.get(word.removesuffix("s"))


def split_of_name(name: str) -> str | None:
    """Return the split that a name of a file or folder means: train, val or test; None when it is none."""
    return _SPLITS.get(name.strip().lower())


def list_videos(root: Path, folder: str = ".") -> tuple[list[str], list[Fault]]:
    """Return the videos below ``root / folder``, relative to ``root`` and sorted, and the faults of their names.

    Where there is none, the folders below it whose pictures are the frames of a clip are returned in their place: at
    least two, whose names differ in their numbers alone. Hidden files and folders are skipped; folders that are links
    are not followed, and are reported.
    """
    found: list[str] = []
    faults: list[Fault] = []
    frames: list[str] = []
    for parent, folders, files in walk(os.fspath(root / folder)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        here = Path(parent).relative_to(root)
        linked = [here / name for name in folders if is_link(Path(parent) / name)]
        faults += [Fault(printable(path.as_posix()), None, "a linked folder; not followed") for path in linked]
        for name in files:
            path = (here / name).as_posix()
            if Path(name).suffix.lower() not in VIDEO_SUFFIXES or name.startswith(".") or not is_file(root / path):
                continue
            if problem := name_problem(path):
                faults.append(Fault(printable(path), None, problem))
            else:
                found.append(path)
        if here != Path(folder) and not name_problem(here.as_posix()) and _are_frames(files):
            frames.append(here.as_posix())
    return sorted(found or frames), faults


def _are_frames(names: Iterable[str]) -> bool:
    """Tell whether files are the frames of a clip, by their names."""
    pictures = [name for name in names if Path(name).suffix.lower() in IMAGE_SUFFIXES and not name.startswith(".")]
    return len(pictures) > 1 and len({_DIGITS.sub("0", name) for name in pictures}) == 1


def printable(name: str) -> str:
    """Return a file name as text that can be written anywhere; bytes outside UTF-8 become escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def name_problem(name: str) -> str | None:
    """Return why a file cannot have this name in a table, None when it can."""
    categories = {unicodedata.category(character) for character in name}
    if "Cs" in categories:  # how Python holds bytes that are not UTF-8
        return "the name is not UTF-8; set aside; rename the file"
    if "Cc" in categories:
        return "the name holds a control character; set aside; rename the file"
    return None


def check_originals(
    clips: Iterable[Clip], file_of: Callable[[Clip], tuple[str, str | None]]
) -> tuple[list[Clip], list[Fault]]:
    """Set aside the fakes whose original cannot be one, with a fault each; an original may well be missing.

    Args:
        clips: All clips; ``original`` holds ids.
        file_of: Returns file and key under which a clip is described, for the report.

    Returns:
        The clips that can be used, and the faults. Afterwards an original that is in the list is a real clip of the
        same part, so that a fake and its original fall into one fold.
    """
    kept: list[Clip] = []
    faults: list[Fault] = []
    everything = list(clips)
    by_id = {clip.id: clip for clip in everything if clip.label != "real" or clip.original is None}
    for clip in everything:
        problem = _original_problem(clip, by_id)
        if problem is None:
            kept.append(clip)
        else:
            faults.append(Fault(*file_of(clip), problem))
    return kept, faults


def _original_problem(clip: Clip, by_id: dict[str, Clip]) -> str | None:
    """Return what is wrong with a clip's original, None where nothing is."""
    if clip.original is None:
        return None
    if clip.label == "real":
        return f"a real clip names an original, {clip.original!r}; set aside; drop one of the two"
    if clip.original == clip.id:
        return "names itself as its original; set aside; name the authentic clip"
    original = by_id.get(clip.original)
    if original is None:
        return None  # as in the challenge's sample for the exploration: the fake has no pair there
    if original.label != "real":
        seen, following = {clip.id}, original
        while following.original in by_id and following.id not in seen:
            seen.add(following.id)
            following = by_id[following.original]
        how = "in a cycle" if following.id in seen else f"labelled {original.label or 'nothing'}, not real"
        return f"its original {clip.original!r} is {how}; set aside; name the authentic clip"
    if original.part != clip.part:
        return (
            f"its original {clip.original!r} lies in part {original.part}, itself in part {clip.part}; set aside, "
            "since folds go by part; move it"
        )
    return None
