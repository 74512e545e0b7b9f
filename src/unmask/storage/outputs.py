"""Which existing files a command may replace: those that unmask wrote in the same form, and no others.

    check_outputs([Output("--csv", Path("verdicts.csv"), TABLE)], inputs=["a.mp4", "b.mp4"])

An input, a file named like a video, an image or sound, and a file that somebody else wrote are refused, also where the
output is a link to one, a hard link of one, or another spelling of its path.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from unmask.errors import UsageError
from unmask.storage.atomic import is_device
from unmask.storage.content import content_of_name

PathLike = str | os.PathLike[str]

PAGE_MARK = b'<meta name="generator" content="unmask">'
"""What every page that unmask writes has in its head."""
_PAGE_HEAD_BYTES = 4096
_MAX_LINE_BYTES = 1 << 26
"""The longest JSON line that is looked at; a verdict of an hour with ten people has a tenth of it."""

Recogniser = Callable[[Path], bool]
"""Says whether unmask wrote an existing file; may raise OSError and ValueError, which count as no."""


@dataclass(frozen=True, slots=True)
class FileForm:
    """A form in which unmask writes one file."""

    what: str
    """What is written, in words, e.g. ``the table``."""
    is_own: Recogniser
    """Recognises a file of this form."""
    example: str
    """A file name that would do, e.g. ``verdicts.csv``."""


@dataclass(frozen=True, slots=True)
class FolderForm:
    """A form in which unmask fills a folder."""

    what: str
    """What is written, in words, e.g. ``the report``."""
    marks: tuple[tuple[str, Recogniser], ...]
    """File names and how each is recognised: a folder that holds one of them is unmask's own."""
    writes: tuple[str, ...]
    """Patterns of the names that are written: in a folder that is not unmask's own none of them may exist."""
    example: str
    """A folder name that would do, e.g. ``report``."""


@dataclass(frozen=True, slots=True)
class Output:
    """One place that a command is about to write to."""

    option: str
    """The option or argument that named it, e.g. ``--csv``."""
    path: Path
    """The file or folder, which need not exist."""
    form: FileForm | FolderForm
    """What will be written there."""


def check_outputs(outputs: Sequence[Output], inputs: Iterable[PathLike] = ()) -> None:
    """Refuse outputs that would destroy something; devices such as /dev/stdout are always allowed.

    Args:
        outputs: All places that one command writes to.
        inputs: All files and folders that it reads; addresses do no harm.

    Raises:
        UsageError: An output is an input, another output, media, somebody else's file, or cannot be written there. Nor
            can ``-``: what may go to stdout is not named here.
    """
    files = [output for output in outputs if not is_device(output.path)]
    for output in files:
        if str(output.path) == "-":
            example = f"{output.option} {output.form.example}"
            raise UsageError(f"{output.form.what} cannot go to stdout; name a place for it, e.g. {example}")
    _check_inputs(files, inputs)
    for i, output in enumerate(files):
        if other := next((other for other in files[:i] if is_same(other.path, output.path)), None):
            raise UsageError(
                f"{other.option} and {output.option} are the same, {output.path}: two outputs need two names"
            )
        if isinstance(output.form, FileForm):
            _check_file(output, output.form)
        else:
            _check_folder(output, output.form)


def is_same(one: PathLike, other: PathLike) -> bool:
    """Return whether two paths are one file or folder: by spelling, upper and lower case apart, or by hard link."""
    spellings = {_spelling(path) for path in (other, os.path.realpath(other))}
    if not spellings.isdisjoint(_spelling(path) for path in (one, os.path.realpath(one))):
        return True
    return bool((found := _identity(one)) and found == _identity(other))


def table_form(header: Sequence[str], numbers: Sequence[str] = ()) -> Recogniser:
    """Recognise a CSV that unmask wrote.

    Args:
        header: Its first row, exactly.
        numbers: Columns that hold numbers as unmask writes them: with a point, at most six digits after it, and not
            all of them 0 or 1. They tell a table of verdicts from somebody's labels. Cells may be empty.
    """

    def is_own(path: Path) -> bool:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file, strict=True)
            if next(rows, None) != list(header):
                return False
            columns = [header.index(name) for name in numbers]
            cells: set[str] = set()
            for row in rows:
                if len(row) != len(header):
                    return False
                cells.update(row[i] for i in columns)
        cells.discard("")
        return all(map(_is_number, cells)) and (not cells or not cells <= {"0.0", "1.0"})

    return is_own


def json_form(*keys: str) -> Recogniser:
    """Recognise JSON that unmask wrote: an object with these keys, or lines of which the first and the last are one."""

    def is_own(path: Path) -> bool:
        with path.open("rb") as file:
            first = file.readline(_MAX_LINE_BYTES)
            if not _has_keys(first, keys):
                file.seek(0)
                return _has_keys(file.read(_MAX_LINE_BYTES), keys)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _MAX_LINE_BYTES))
            lines = file.read().splitlines()
        return _has_keys(lines[-1], keys)

    return is_own


def log_form(*alternatives: Sequence[str]) -> Recogniser:
    """Recognise a log of JSON lines that unmask wrote: its first line has all keys of one of ``alternatives``.

    A kill or a full disk may have torn that line: then it begins with the first of the keys.
    """

    def is_own(path: Path) -> bool:
        with path.open("rb") as file:
            first = file.readline(_MAX_LINE_BYTES)
        return any(_has_keys(first, keys) or _is_torn(first, keys[0]) for keys in alternatives)

    return is_own


def is_own_page(path: Path) -> bool:
    """Recognise an HTML page that unmask wrote."""
    with path.open("rb") as file:
        return PAGE_MARK in file.read(_PAGE_HEAD_BYTES)


def _check_inputs(outputs: Sequence[Output], inputs: Iterable[PathLike]) -> None:
    spellings = {_spelling(path): output for output in outputs for path in (output.path, output.path.resolve())}
    identities: dict[tuple[int, int] | None, Output] = {
        found: output for output in outputs if (found := _identity(output.path))
    }
    for name in inputs if outputs else ():
        output = spellings.get(_spelling(name)) or (identities.get(_identity(name)) if identities else None)
        if output is not None:
            raise UsageError(
                f"cannot write {output.form.what} to {output.path}: it is an input; {output.option} takes a name of "
                f"its own, e.g. {output.option} {output.form.example}"
            )


def _check_file(output: Output, form: FileForm) -> None:
    path, start = output.path.resolve(), f"cannot write {form.what} to {output.path}"
    another = f"name another file, e.g. {output.option} {form.example}"
    if path.is_dir():
        raise UsageError(f"{start}: this is a folder; name a file, e.g. {output.option} {form.example}")
    if not path.parent.is_dir():
        raise UsageError(f"{start}: its folder does not exist; create it first")
    if content := content_of_name(path):
        what = {"video": "a video", "image": "an image", "sound": "sound"}[content]
        raise UsageError(f"{start}: it is named like {what}; {another}")
    if path.exists() and path.stat().st_size and not _recognises(form.is_own, path):
        raise UsageError(f"{start}: unmask did not write this file, or not in this form; remove it first, or {another}")


def _check_folder(output: Output, form: FolderForm) -> None:
    path, start = output.path.resolve(), f"cannot write {form.what} to {output.path}"
    another = f"name another folder, e.g. {output.option} {form.example}"
    if path.exists() and not path.is_dir():
        raise UsageError(f"{start}: this is a file; name a folder, e.g. {output.option} {form.example}")
    if not path.is_dir() or any(_recognises(is_own, path / name) for name, is_own in form.marks):
        return
    there = sorted(file.name for pattern in form.writes for file in path.glob(pattern) if not _is_empty(file))
    if there:
        raise UsageError(
            f"{start}: it holds {there[0]}, which unmask did not write there; remove that first, or {another}"
        )


def _is_empty(path: Path) -> bool:
    return path.is_file() and not path.stat().st_size


def _recognises(is_own: Recogniser, path: Path) -> bool:
    try:
        return path.is_file() and is_own(path)
    except (OSError, ValueError, RecursionError, csv.Error):
        return False


def _spelling(path: PathLike) -> str:
    """Return a path without relative parts, in one case: some file systems take A.MP4 and a.mp4 for one."""
    return os.path.abspath(path).casefold() if os.fspath(path) else ""  # noqa: PTH100 - resolve() is slow for a million


def _identity(path: PathLike) -> tuple[int, int] | None:
    """Return device and number of an existing file or folder, the same for all its hard links."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - a name of any kind, which need not be a path
    except (OSError, ValueError):
        return None
    return (facts.st_dev, facts.st_ino) if facts.st_ino else None


def _is_number(cell: str) -> bool:
    return cell == repr(round(float(cell), 6))


def _is_torn(line: bytes, first_key: str) -> bool:
    """Tell whether this is the beginning of an object with this key first, and no more."""
    text, start = line.rstrip(b"\n"), b'{"' + first_key.encode() + b'"'
    if not text or not (text.startswith(start) or start.startswith(text)):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return True
    return False


def _has_keys(text: bytes, keys: Sequence[str]) -> bool:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and value.keys() >= set(keys)
