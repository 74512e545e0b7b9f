"""Preparing as a work: a family of clips in, the line with their records out; the files go where they always go.

    OUT/scale       the run: its rows are families, named after their leaders

One driver takes the records over into the folder's own manifest when all families are done. Shards leave them: the same
command without ``--shard`` takes over what all of them did.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from unmask._version import __version__
from unmask.datasets.index import Clip, Index
from unmask.media.server import SERVER
from unmask.prepare.clip_steps import Settings
from unmask.prepare.families import Family, FamilySteps, families
from unmask.prepare.manifest import FileStamp
from unmask.runtime.opencv import one_thread
from unmask.scale.engines import Engine
from unmask.scale.manifest import write_manifest
from unmask.scale.merge import Merge
from unmask.scale.plan import Shard
from unmask.scale.rows import Answer, MakeWork, Row
from unmask.scale.run import Run, work_through
from unmask.storage.rowlog import json_line

FOLDER = "scale"


class PrepareWork:
    """Prepares families."""

    def __init__(self, index: Index, out: Path, steps: tuple[str, ...], settings: Settings) -> None:
        """Remember how.

        Args:
            index: The dataset.
            out: The folder to fill, which all workers see.
            steps: Which steps.
            settings: How.
        """
        self._families = {family.leader.id: family for family in families(index)}
        self._arguments = index, out, steps, settings
        facts = [__version__, list(steps), asdict(settings)]
        self._hash = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]

    @property
    def settings_hash(self) -> str:
        """Of version, steps and settings."""
        return self._hash

    @property
    def width(self) -> int:
        """One family at a time."""
        return 1

    def __call__(self, row: Row, known: Collection[str]) -> Answer:  # noqa: ARG002 - a family's files are its own
        """Prepare a family."""
        records = _Records(json.loads(row.note) if row.note else {})
        with one_thread():
            found = FamilySteps(*self._arguments, records, threading.Event()).do(self._families[row.uri])
        failed = [record.status for record in found if record.status == "internal_error"]
        line = json_line({"records": [record.to_row() for record in found]}).encode()
        return Answer(found[0].sha256, failed[0] if failed else "ok", line)

    def crashed(self, row: Row, reason: str) -> Answer:
        """Return the records of a family that brought workers down."""
        family = self._families[row.uri]
        rows = [_crashed_record(clip, reason) for clip in (family.leader, *family.followers)]
        return Answer("", "crashed", json_line({"records": rows}).encode())

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process and its decoders."""
        return time.process_time() + SERVER.cpu_seconds()


@dataclass(slots=True)
class _Records:
    """What is known of the clips of one family."""

    rows: dict[str, dict[str, Any]]

    def get(self, key: str) -> dict[str, Any] | None:
        return self.rows.get(key)

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        self.rows[key] = dict(row)


def prepare_families(
    index: Index,
    out: Path,
    steps: tuple[str, ...],
    settings: Settings,
    engine: Engine,
    *,
    shard: Shard = Shard(),  # noqa: B008 - frozen
    resume: bool = False,
    known: Callable[[str], dict[str, Any] | None] = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    metrics: Path | None = None,
) -> int:
    """Prepare a shard of the families of a dataset with an engine; return how many families were left to do.

    Args:
        index: The dataset.
        out: The folder to fill.
        steps: Which steps.
        settings: How.
        engine: Gives the workers.
        shard: Which of the families.
        resume: Whether an earlier run, or other shards, may have left something.
        known: Returns what the folder's manifest knows of a clip.
        say: Takes a line a minute.
        metrics: File for Prometheus.

    Raises:
        UsageError: See `unmask.scale.run.work_through`.
        OSError: Something cannot be written.
    """
    run = Run(out / FOLDER)

    def write(path: Path) -> int:
        return write_manifest((_row_of(index, family, known) for family in families(index)), path)

    run.prepare(write, resume=resume, shard=shard)
    make_work: MakeWork = partial(PrepareWork, index, out.absolute(), steps, settings)
    return work_through(run, engine, make_work, shard=shard, resume=resume, say=say, metrics=metrics)


def records_of(out: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of all clips that a run has prepared, as rows of the folder's manifest.

    Raises:
        UsageError: Families lack theirs.
    """
    run = Run(out / FOLDER)
    for _, line in Merge(run.manifest, run.index()).lines():
        yield from json.loads(line)["records"]


def forget(out: Path) -> None:
    """Remove what a run kept: its records were taken over."""
    shutil.rmtree(out / FOLDER, ignore_errors=True)


def _row_of(index: Index, family: Family, known: Callable[[str], dict[str, Any] | None]) -> Row:
    clips = (family.leader, *family.followers)
    stamps = [FileStamp.of(index.path_of(clip)) for clip in clips]
    facts = [[clip.id, stamp.size_bytes, stamp.mtime_ns] for clip, stamp in zip(clips, stamps, strict=True)]
    version = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    rows = {clip.id: row for clip in clips if (row := known(clip.id)) is not None}
    size = sum(stamp.size_bytes or 0 for stamp in stamps)
    return Row(family.leader.id, family.leader.path, size, version, note=json_line(rows) if rows else "")


def _crashed_record(clip: Clip, reason: str) -> dict[str, Any]:
    return {
        "width": None, "height": None, "id": clip.id, "status": "crashed", "leader": "", "sha256": "",
        "size_bytes": None, "mtime_ns": None, "notes": {"video": reason}, "steps": {},
    }  # fmt: skip
