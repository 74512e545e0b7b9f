"""A run at scale, from a manifest to an answer for each row, in a folder that a later run can go on with.

RUN/manifest.parquet      what is to be done
RUN/run.json              with which settings
RUN/parts, RUN/commits    what is done, see `unmask.scale.parts`
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from unmask._version import __version__
from unmask.errors import UsageError
from unmask.scale.contents import Contents
from unmask.scale.drive import Driver
from unmask.scale.engines import Engine
from unmask.scale.index import Index, SealedIndex
from unmask.scale.lease import Leases
from unmask.scale.manifest import Manifest
from unmask.scale.meters import Meters
from unmask.scale.parts import COMMITS, PARTS, CommitLog, read_commits
from unmask.scale.plan import Plan, Shard
from unmask.scale.rows import MakeWork
from unmask.storage.atomic import sweep, write_file

MANIFEST, FACTS = "manifest.parquet", "run.json"

WriteManifest = Callable[[Path], int]
"""Writes a manifest to a path and returns how many rows it has."""


class Run:
    """The folder of a run."""

    def __init__(self, folder: Path) -> None:
        """Name it; nothing is written before `prepare`."""
        self.folder = folder

    @property
    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            UsageError: There is none.
        """
        if not (self.folder / MANIFEST).is_file():
            raise UsageError(f"{self.folder} holds no run at scale; name the folder that --out named")
        return Manifest(self.folder / MANIFEST)

    @property
    def settings_hash(self) -> str | None:
        """Hash of the settings of its last driver; None where none began."""
        try:
            return str(json.loads((self.folder / FACTS).read_bytes())["settings"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def prepare(self, write: WriteManifest, *, resume: bool, shard: Shard) -> Manifest:
        """Make the folder and its manifest. Shards take the manifest that is there; one process writes its own anew.

        Args:
            write: Writes the manifest.
            resume: Whether what an earlier run left is gone on with.
            shard: Which part of the rows is to be done.

        Raises:
            UsageError: The folder holds an earlier run, and ``resume`` is not set; or something else.
        """
        log = self.folder / COMMITS / f"{shard.name}.jsonl"
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        begun = [name for name in names if name.startswith(".") and MANIFEST in name]  # by another shard, or one killed
        if len(begun) < len(names) and not (self.folder / MANIFEST).is_file():
            raise UsageError(f"{self.folder} holds files that are no run at scale; name a folder of its own with --out")
        if not resume and log.is_file() and log.stat().st_size:
            raise UsageError(f"{self.folder} holds an earlier run; go on with --resume, or name another folder")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / MANIFEST
        if shard.count == 1:
            write(path)
        elif not path.is_file():
            own = path.with_name(f".{os.getpid()}-{shard.name}.{MANIFEST}")
            try:
                write(own)
                os.link(own, path)  # the first of several shards wins, and all take its manifest
            except FileExistsError:
                pass
            finally:
                own.unlink(missing_ok=True)
        return self.manifest

    def note_settings(self, settings_hash: str, resume: bool) -> None:
        """Write down with which settings rows are done.

        Raises:
            UsageError: Another driver of this run has others, and ``resume`` is not set.
        """
        if self.settings_hash not in (None, settings_hash) and not resume:
            raise UsageError(
                f"{self.folder} was begun with other models or settings, or another version of unmask; use the same "
                "for all shards, or begin anew in another folder, or do all again with --resume"
            )
        facts = {"unmask": __version__, "settings": settings_hash}
        write_file(self.folder / FACTS, json.dumps(facts).encode() + b"\n")

    def index(self) -> SealedIndex:
        """Return where the lines of all shards are."""
        index = Index(self.settings_hash)
        read_commits(self.folder, index)
        return index.sealed()


def work_through(
    run: Run,
    engine: Engine,
    make_work: MakeWork,
    *,
    shard: Shard = Shard(),  # noqa: B008 - frozen
    resume: bool = False,
    say: Callable[[str], None] = lambda _: None,
    metrics: Path | None = None,
) -> int:
    """Do what is left of a shard of a run; return how many rows there were to do.

    Args:
        run: Its folder, with a manifest.
        engine: Gives the workers; closed in the end.
        make_work: Loads the work, in a worker.
        shard: Which of the rows.
        resume: Whether rows may be there already, with these settings or others.
        say: Takes a line a minute.
        metrics: File for Prometheus.

    Raises:
        UsageError: The work cannot be loaded, workers do not agree, or another driver does this shard.
        OSError: Something cannot be written.
    """
    manifest, index = run.manifest, Index()
    meters = Meters(len(manifest), say, metrics)
    with closing(Driver(engine, make_work, run.folder / PARTS / shard.name, meters)) as driver:
        settings_hash = driver.settings_hash()
        run.note_settings(settings_hash, resume)
        index = Index(settings_hash)
        read_commits(run.folder, index, but=shard.name)
        with CommitLog(run.folder, shard.name, index) as log:
            if shard.count == 1:
                sweep(run.folder)  # what a killed driver left; of several shards each may be writing there
            if index.foreign_rows:
                say(f"{index.foreign_rows} rows were made with other models or settings; they are done again")
            done = index.sealed()
            with closing(Plan(manifest, done, shard)) as plan:
                contents = Contents(done, plan.lengths, plan.repeated)
                driver.run(Leases(plan, plan.count, plan.cost, engine.size(), contents), log)
                return plan.count
