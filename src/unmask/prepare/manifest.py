"""Hold what is known of the preparation of one clip, and turn it into a line of manifest.jsonl and back."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from unmask.errors import InputError, UnmaskError
from unmask.media.frame_list import hash_frames
from unmask.media.regular import hashed, open_regular
from unmask.storage.rowlog import Row

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step has made of one clip."""

    key: str
    """Hash of what the files were made from, and of the settings of the step."""
    source: str
    """Hash of what the files were made from alone."""
    files: tuple[int, int]
    """Number of files, and of their bytes."""


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells a file, or a folder of frames, that has changed, without reading it."""

    size_bytes: int | None
    """Length, of all files of a folder; None when it cannot be found."""
    mtime_ns: int | None
    """Time of the last change, of the folder or one of its files."""

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file or folder."""
        try:
            facts = path.stat()
            if not path.is_dir():
                return cls(facts.st_size, facts.st_mtime_ns)
            files = [entry.stat() for entry in os.scandir(path)]
        except OSError:
            return cls(None, None)
        return cls(sum(file.st_size for file in files), max(file.st_mtime_ns for file in (facts, *files)))


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """What is known of the preparation of one clip."""

    id: str
    """Id of the clip."""
    status: str
    """``ok``, ``no_face``, ``skipped``, or why the clip cannot be used, as in `unmask.types.Status`."""
    leader: str
    """Id of the clip whose boxes it was cut with; empty for its own."""
    sha256: str
    """Hash of the file; empty when it cannot be read."""
    stamp: FileStamp
    """Length and time of the file when it was hashed."""
    width: int | None = None
    """Width of an upright frame in pixels; None when the file was never opened."""
    height: int | None = None
    """Height of an upright frame in pixels; None when the file was never opened."""
    notes: dict[str, str] = field(default_factory=dict)
    """What is missing and why, in sentences, by step; ``video``, ``faces`` and ``pair`` for the clip itself."""
    steps: dict[str, StepRecord] = field(default_factory=dict)
    """Step -> what it has made."""

    @property
    def is_prepared(self) -> bool:
        """Whether the clip could be read."""
        return self.status in ("ok", "no_face")

    def to_row(self) -> Row:
        """Return JSON-ready values."""
        return {
            "width": self.width,
            "height": self.height,
            "id": self.id,
            "status": self.status,
            "leader": self.leader,
            "sha256": self.sha256,
            "size_bytes": self.stamp.size_bytes,
            "mtime_ns": self.stamp.mtime_ns,
            "notes": dict(self.notes),
            "steps": {
                name: {"key": step.key, "source": step.source, "files": list(step.files)}
                for name, step in self.steps.items()
            },
        }

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """Read what `to_row` returns.

        Raises:
            KeyError: A value is missing.
            TypeError: A value is of another type.
            ValueError: A step does not have two numbers of files.
        """
        if not isinstance(row["steps"], dict):
            raise TypeError("the steps of a clip are an object")
        steps = {}
        for name, step in row["steps"].items():
            count, size_bytes = step["files"]
            steps[name] = StepRecord(step["key"], step["source"], (count, size_bytes))
        return cls(
            id=row["id"],
            status=row["status"],
            leader=row["leader"],
            sha256=row["sha256"],
            stamp=FileStamp(row["size_bytes"], row["mtime_ns"]),
            width=row["width"],
            height=row["height"],
            notes=dict(row["notes"]),
            steps=steps,
        )


def carried_over(
    record: ClipRecord,
    known: ClipRecord | None,
    missing: Sequence[str],
    sources: Mapping[str, str],
    pair_note: str | None,
) -> ClipRecord:
    """Return a record with what still holds of an earlier one, and what is missing of the pair."""
    notes: dict[str, str] = {}
    if known is not None:
        status = known.status if known.is_prepared else "ok"
        kept = {
            step: made for step, made in known.steps.items() if step not in missing and made.source == sources.get(step)
        }
        whole = ("video", "faces") if known.is_prepared else ("faces",)  # why it failed then is no note any more
        notes = {name: text for name, text in known.notes.items() if name in kept or name in whole}
        record = replace(record, status=status, width=known.width, height=known.height, steps=kept)
    if pair_note is not None:
        notes = dict(sorted((notes | {"pair": pair_note}).items()))
    return replace(record, notes=notes)


def with_failure(record: ClipRecord, path: str, error: Exception) -> ClipRecord:
    """Return a record that says why the clip could not be prepared."""
    if isinstance(error, InputError):
        return replace(record, status=error.status, steps={}, notes={"video": str(error)})
    if isinstance(error, UnmaskError):
        return replace(record, status="skipped", notes={"video": str(error)})
    log.exception("preparing %r failed", path)
    text = f"unmask failed, not the file: {type(error).__name__}: {error}"
    return replace(record, status="internal_error", notes={"video": text})


def hash_clip(
    path: Path, stamp: FileStamp, old: ClipRecord | None, max_bytes: int, check: Callable[[], None] = lambda: None
) -> str:
    """Return the sha256 of a clip; one whose stamp has not changed is not read again.

    Args:
        path: The clip, a file or a folder of frames.
        stamp: What tells that it has changed.
        old: What is known of it.
        max_bytes: Longest clip that is read.
        check: Called again and again while it is read; what it raises ends that.

    Returns:
        64 hex digits, or nothing when it is longer, or cannot be read.
    """
    if old is not None and stamp.size_bytes is not None and stamp == old.stamp:
        return old.sha256
    try:
        if path.is_dir():
            return hash_frames(path, check)
        with open_regular(path) as file, hashed(file, max_bytes, check) as sha256:
            return sha256
    except (InputError, OSError):
        return ""


def count_files(path: Path) -> tuple[int, int]:
    """Return the number of files in a folder and of their bytes; of a file 1 and its length.

    Raises:
        OSError: It is not there.
    """
    if not path.is_dir():
        return 1, path.stat().st_size
    sizes = [entry.stat().st_size for entry in os.scandir(path)]
    return len(sizes), sum(sizes)
