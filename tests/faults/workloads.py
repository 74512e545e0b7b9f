"""What is done while calls fail: commands that write, with stand-ins for their costly parts, so that they take little.

Each of them begins anew or goes on with what an earlier run left in a folder, and says which files there are its
outputs: what a reader may open at any time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np

from tests.faults.processes import contents
from tests.media_factory import pattern, write_video
from unmask.cli import app
from unmask.scale.rows import Answer, short
from unmask.scale.worker import _Parts
from unmask.scan.base import BaseScanner
from unmask.types import Face, Verdict

CLIPS = 20
OF_KILLED = ("*.tmp", ".*.lock", ".tmp-*")
"""Names of what a run leaves beside its outputs only when it is killed ..."""
OF_UNFINISHED = ("*.partial",)
"""... and of what one leaves that is not done."""


def unmask(*args: object) -> int:
    """Run a command in this process; return its exit code."""
    try:
        app([str(arg) for arg in args], standalone_mode=False)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def write_clips(folder: Path, count: int = CLIPS, kind: str = "clip") -> Path:
    """Write files of different contents, which the stub scanner takes for clips."""
    folder.mkdir(exist_ok=True)
    for number in range(count):
        (folder / f"{number:02d}.mp4").write_text(f"{kind} {number}")
    return folder


class StubScanner(BaseScanner):
    """Answers at once, by the content of a file."""

    def __init__(self) -> None:
        super().__init__([{"name": "stub", "version": "1", "sha256": "0" * 64}], {"system": "stub"}, workers=1)

    def scan_video(self, video, draft):
        raise NotImplementedError

    def _scan(self, path, stopping):
        from unmask.media import video_of_arrays

        content = Path(os.fspath(path)).read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        facts = video_of_arrays([np.zeros((16, 16, 3), np.uint8)], None).facts
        facts = replace(facts, sha256=sha256, size_bytes=len(content))
        probability = int(sha256[:4], 16) / 65536
        draft = replace(self._draft(path), sha256=sha256, media=facts, reasons=("The stub says so. " * 20,))
        return replace(draft, status="ok", label="inconclusive", fake_probability=round(probability, 4))


class Workload:
    """What all of them share."""

    logs_errors = False
    """Whether errors may be logged with their tracebacks."""

    def begin(self, out: Path) -> None:
        """Leave what an earlier run left; here nothing."""

    def may_be(self, name: str, data: bytes) -> bool:
        """Tell whether an output may be so that is neither what it was nor what it will be."""
        return False


class Scan(Workload):
    """A scan of twenty clips into JSON lines, a table and a folder of pages."""

    has_pages = True

    def __init__(self, base: Path) -> None:
        self.clips, self.fewer = write_clips(base / "clips"), write_clips(base / "fewer", 7, "another")

    def begin(self, out: Path) -> None:
        """Leave the outputs of an earlier run about other clips."""
        self._scan(self.fewer, out)

    def run(self, out: Path, resume: bool) -> int:
        return self._scan(self.clips, out, *["--resume"] * resume)

    def _scan(self, clips: Path, out: Path, *more: str) -> int:
        outputs = ["--json", out / "o.jsonl", "--csv", out / "s.csv", "--people", out / "p.csv"]
        outputs += ["--html", out / "html"] * self.has_pages
        with mock.patch("unmask.cli.scan._scanner", return_value=StubScanner()):
            return unmask("scan", clips, *outputs, "-q", *more)

    def outputs(self, out: Path) -> dict[str, bytes]:
        found = {name: data for name, data in contents(out).items() if "/." not in f"/{name}"}
        return {name: data for name, data in found.items() if not name.endswith(".partial")}  # the journal is no output


class Tables(Scan):
    """The same without pages, which tell the date of a scan only in the run that scanned."""

    has_pages = False


class InProcess:
    """An engine whose workers do their leases here."""

    def __init__(self, *_: object) -> None:
        pass

    def size(self) -> int:
        return 1

    def worker(self, make_work, parts, stopping):
        from unmask.scale.child import Hello
        from unmask.scale.rows import Ended, Spent

        class Worker:
            def ready(self):
                return Hello("stub", 1)

            def run(self, lease):
                held = _Parts(parts, lease.id, "stub")
                for row in lease.rows:
                    content = Path(row.uri).read_bytes()
                    sha256 = hashlib.sha256(content).hexdigest()
                    is_known = short(sha256) in lease.known[lease.rows.index(row)]
                    verdict = Verdict(row.uri, "ok", "inconclusive", 0.5, ("The stub says so.",), sha256=sha256)
                    line = b"" if is_known else json.dumps(verdict.to_dict()).encode()
                    held.add(row, Answer(sha256, "ok", line))
                held.flush()
                return Ended(tuple(held.commits), (), (), False, Spent(0.0, 0))

            def close(self):
                pass

        return Worker()

    def close(self) -> None:
        pass


class AtScale(Scan):
    """The same clips by an engine, in a folder of parts, and merged into JSON lines and a table."""

    def _scan(self, clips: Path, out: Path, *more: str) -> int:
        options = ["--engine", "local", "--out", out / "run", "--json", out / "o.jsonl", "--csv", out / "s.csv"]
        if clips == self.fewer:
            options[3] = out / "earlier"
        with mock.patch("unmask.cli.scale.Scale.open_engine", InProcess):
            return unmask("scan", clips, *options, "-q", *more)

    def run(self, out: Path, resume: bool) -> int:
        return super().run(out, resume and (out / "run").exists())

    def outputs(self, out: Path) -> dict[str, bytes]:
        return {name: (out / name).read_bytes() for name in ("o.jsonl", "s.csv") if (out / name).exists()}


class Merge(AtScale):
    """What an engine left, merged into JSON lines, a table and a Parquet dataset, which are there of another run."""

    def __init__(self, base: Path) -> None:
        super().__init__(base)
        (base / "done").mkdir()
        self.done = base / "done"
        super()._scan(self.clips, self.done)
        (base / "before").mkdir()
        self.before = base / "before"
        super()._scan(self.fewer, self.before)

    def begin(self, out: Path) -> None:
        self._merge(self.before / "earlier", out)

    def run(self, out: Path, resume: bool) -> int:
        return self._merge(self.done / "run", out)

    def _merge(self, run: Path, out: Path) -> int:
        with mock.patch("unmask.scale.merge._GROUP_ROWS", 1):  # more writes
            return unmask("merge", run, "--json", out / "o.jsonl", "--csv", out / "s.csv", "--parquet", out / "parquet")

    def outputs(self, out: Path) -> dict[str, bytes]:
        return {name: data for name, data in contents(out).items() if "/." not in f"/{name}"}


class OneFace:
    """Sees a face in the middle of each frame."""

    def detect(self, image_HW3):
        box = (20.0, 8.0, 44.0, 40.0)
        landmarks = np.array([[26.0, 18], [38, 18], [32, 25], [27, 32], [37, 32]])
        return [Face(box, 0.99, landmarks)]


class Prepare(Workload):
    """A few clips of four frames to boxes, crops, landmarks, masks and folds: more of them make no other calls."""

    def __init__(self, base: Path, clips: int = 3, group: int = 2) -> None:
        """Write clips, of which the first of each group is real, and the others are its fakes."""
        self.data = base / "dataset"
        self.data.mkdir()
        entries = {}
        for number in range(clips):
            name, original = f"{number:02d}.mp4", f"{number - number % group:02d}.mp4"
            is_fake = bool(number % group)
            images = [pattern(8 * number + frame, (64, 48)) for frame in range(4)]
            write_video(self.data / name, images, options={"preset": "ultrafast"})
            entries[name] = {"label": "FAKE", "original": original} if is_fake else {"label": "REAL"}
        (self.data / "metadata.json").write_text(json.dumps(entries))

    def run(self, out: Path, resume: bool) -> int:
        options = [
            "--every",
            2,
            "--fold-by",
            "group",
            "--workers",
            1,
            "--limits",
            "isolate=no",
            "-q",
            *["--resume"] * resume,
        ]
        with mock.patch("unmask.prepare.clip_steps.load_detector", return_value=OneFace()):
            return unmask("prepare", self.data, "--out", out / "prepared", *options)

    def outputs(self, out: Path) -> dict[str, bytes]:
        """Hidden folders are those of runs; the manifest is a log, and whole once the run is done."""
        found = {name: data for name, data in contents(out).items() if "/." not in f"/{name}"}
        return {name: data for name, data in found.items() if not name.endswith(("manifest.jsonl", "prepare.json"))}


class InProcessScans:
    """Scans in this process, where the service has another one for them."""

    def __init__(self, *_: object) -> None:
        self.settings_hash, self.slots, self.pid, self.starts = "stub", 1, 1, 1

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def scan(self, job_id: str, path: Path, name: str, out: Path):
        from unmask.errors import DISK_FAULTS
        from unmask.web.scan_process import summary_of, write_result
        from unmask.web.scanning import ResultLostError

        row = replace(StubScanner()._scan(path, threading.Event()), path=name).to_dict(timing=False, pictures=True)
        try:
            await asyncio.to_thread(write_result, row, out)
        except OSError as error:
            if error.errno in DISK_FAULTS:
                raise
            raise ResultLostError(str(error)) from error
        return summary_of(row)


class Serve(Workload):
    """Two files are handed in to a service, and scanned; on one a note is written."""

    logs_errors = True
    NAMES = ("a.png", "b.png")
    PATIENCE_SECONDS = (3.0, 40.0)
    """How long jobs may take while calls fail, and when nothing fails any more."""

    def __init__(self, base: Path) -> None:
        from tests.web.stub import PICTURE

        self.files = {name: PICTURE + name.encode() * 50 for name in self.NAMES}

    def run(self, out: Path, resume: bool) -> int:
        pauses = {"FULL_DISK_SECONDS": 0.01, "PAUSE_SECONDS": 0.01, "IDLE_SECONDS": 0.05}
        with mock.patch.multiple("unmask.web.service", ScanProcess=InProcessScans, **pauses):
            return asyncio.run(self._serve(out / "data", resume))

    async def _serve(self, data: Path, resume: bool) -> int:
        import httpx

        from unmask.errors import UsageError
        from unmask.web.app import create_app
        from unmask.web.service import Service
        from unmask.web.settings import ServeSettings

        try:
            service = Service(ServeSettings(data=data, min_free_bytes=1))
        except (OSError, UsageError):
            return 2
        guard, _ = create_app(service)
        transport = httpx.ASGITransport(guard, raise_app_exceptions=False, client=("127.0.0.1", 9))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", timeout=30) as client:
            try:
                await service.start()
                for _ in range(1 + resume):  # what failed is handed in again
                    taken = await self._hand_in(client)
                    done = await self._work(client, taken, self.PATIENCE_SECONDS[resume])
                    if done == len(self.NAMES):
                        break
            finally:
                await service.stop()
        return 0 if done == len(self.NAMES) else 2

    async def _hand_in(self, client) -> dict[str, str]:
        """Hand in what the service does not have; return the jobs by name."""
        known = (await client.get("/api/jobs")).json().get("jobs", [])
        taken = {job["name"]: job["id"] for job in known if job["state"] != "failed"}
        for name in self.NAMES:
            if name not in taken:
                answer = await client.post("/api/jobs", files={"file": (name, self.files[name])})
                if answer.status_code in (200, 202):
                    taken[name] = answer.json()["id"]
        return taken

    async def _work(self, client, taken: dict[str, str], seconds: float) -> int:
        """Wait until all is done, and write a note; return how many are done."""
        done = 0
        until = asyncio.get_running_loop().time() + seconds
        for name, job_id in taken.items():
            job = {"state": "queued"}
            while job.get("state") not in ("done", "failed") and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(0.002)
                answer = await client.get(f"/api/jobs/{job_id}")
                job = answer.json() if answer.status_code == 200 else job
            done += job.get("state") == "done"
            if name == "b.png":
                note = {"label": "real", "note": "seen"}
                done -= (await client.put(f"/api/jobs/{job_id}/review", json=note)).status_code != 200
        return done

    def outputs(self, out: Path) -> dict[str, bytes]:
        """Results, kept files, and what the database says of the jobs; an internal error is tried anew."""
        import sqlite3

        data, found = out / "data", {}
        for folder in ("media", "results"):
            for path in sorted((data / folder).rglob("*")):
                if path.is_file() and "/." not in str(path.relative_to(out)):
                    found[str(path.relative_to(out))] = contents(path.parent)[path.name]
        if (data / "jobs.sqlite").exists():
            with sqlite3.connect(data / "jobs.sqlite") as database:
                if database.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    found["jobs.sqlite is damaged"] = b""
                if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'jobs'").fetchone():
                    for name, state, label in database.execute(
                        "SELECT name, state, review_label FROM jobs ORDER BY created_at"
                    ):
                        found[f"job {name}"] = f"{state} {label}".encode()
            database.close()
        return found

    def may_be(self, name: str, data: bytes) -> bool:
        """Tell whether it is a job on its way, or one whose result the disk did not take: that is handed in again."""
        return data == b"done None" or data.startswith((b"queued", b"running", b"failed"))


class Train(Workload):
    """Two epochs of a step each of the smallest network, with a checkpoint after each."""

    def __init__(self, base: Path) -> None:
        from tests.training.conftest import SMALLEST, TINY
        from unmask.training.loop import Trainer
        from unmask.training.recipe import load_recipe

        Prepare(base, CLIPS, group=4).run(base, False)
        self.data, self.trainer = base / "prepared", Trainer
        self.recipe = load_recipe(TINY, SMALLEST | {"batches_per_epoch": 1, "batch_size": 2})

    def run(self, out: Path, resume: bool) -> int:
        with mock.patch("unmask.training.loop._open_board", return_value=None):
            try:
                for _ in self.trainer(self.recipe, self.data, out / "run", resume=resume, checkpoint_every=1).run():
                    pass
            except OSError as error:
                print(error, file=sys.stderr)
                return 2
        return 0

    def outputs(self, out: Path) -> dict[str, bytes]:
        """All but the log, whose last line may be torn; a checkpoint is whole, or reading it raises."""
        from unmask.training.checkpoint import load_checkpoint

        found = {name: data for name, data in contents(out).items() if "/." not in f"/{name}"}
        for facts in out.glob("run/[!.]*/checkpoint.json"):
            load_checkpoint(facts.parent)
        return {name: data for name, data in found.items() if not name.endswith("log.jsonl")}

    def may_be(self, name: str, data: bytes) -> bool:
        """Tell whether it is of a checkpoint that is replaced again and again; `outputs` has seen that it is whole."""
        return name.startswith(("run/last/", "run/best/"))


WORKLOADS = {
    "scan": Scan, "tables": Tables, "at scale": AtScale, "merge": Merge, "prepare": Prepare, "serve": Serve,
    "train": Train,
}  # fmt: skip
"""Name -> what is done."""
