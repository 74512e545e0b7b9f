"""What runs in the process that scans: one scanner, which takes orders and answers in lines of JSON.

A process of its own keeps the service's answers prompt while clips are judged, and outlives no server: it ends as soon
as its standard input does. Each file is decoded by a confined process in turn, see `unmask.media.decoder`.

    server:  {"scanner": "module:name", "options": {...}}         first of all
    process: {"ready": "<settings hash>", "slots": 2}             or {"failed": "a sentence"}
    server:  {"scan": "<id>", "path": "...", "name": "...", "out": "<folder>"}
    process: {"id": "<id>", "decoded": 8, "asked": 32}            now and then
    process: {"id": "<id>", "summary": {...}}                     once the files of the result lie in the folder
    process: {"id": "<id>", "error": "a sentence", "full": true}  when they could not be written
"""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import DISK_FAULTS, UnmaskError
from unmask.media import Limits, SignatureLog, Video
from unmask.report.html import write_page
from unmask.report.json import write_json
from unmask.scan.base import BaseScanner, WrappingScanner
from unmask.scan.inputs import Input
from unmask.storage.atomic import atomic_folder, write_file
from unmask.types import Frame, Verdict
from unmask.web.files import REPORT, THUMBNAIL, VERDICT

log = logging.getLogger(__name__)

TELL_SECONDS = 0.2
"""Shortest time between two messages on how far a scan is."""

Tell = Callable[[Mapping[str, Any]], None]


def bundled_scanner(models: list[str] | None = None, **options: Any) -> BaseScanner:
    """Return the scanner that the command line makes of the same options, see `unmask.scan.options.ScanOptions`."""
    from unmask.scan.scanner import Scanner

    if "limits" in options:
        options["limits"] = Limits(**options["limits"])
    return Scanner(models or "bundled", **options)


class WatchedScanner(WrappingScanner):
    """Scans as another scanner does, and tells how many frames it has seen."""

    def __init__(self, scanner: BaseScanner, on_frames: Callable[[str, int, int], None]) -> None:
        """Watch a scanner.

        Args:
            scanner: What judges.
            on_frames: Called with the path, the frames that were decoded so far and those that were asked for.
        """
        super().__init__(scanner)
        self._scanner, self._on_frames = scanner, on_frames

    @property
    def settings_hash(self) -> str:
        """The other scanner's."""
        return self._scanner.settings_hash

    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge an open video; see the base class."""
        counts = {"decoded": 0, "asked": 0}

        def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
            counts["asked"] += len(indices)
            for frame in video.decode(indices, log):
                counts["decoded"] += 1
                self._on_frames(draft.path, counts["decoded"], counts["asked"])
                yield frame

        return self._scanner.scan_video(replace(video, decode=decode), draft)


class Orders:
    """Does what the server orders, several scans at a time."""

    def __init__(self, scanner: BaseScanner, tell: Tell) -> None:
        """Take orders for a scanner; ``tell`` is called from several threads."""
        self._scanner = WatchedScanner(scanner, self._on_frames)
        self._tell, self._ids, self._told = tell, dict[str, str](), dict[str, float]()
        self._pool = ThreadPoolExecutor(scanner.workers, thread_name_prefix="unmask-job")

    def take(self, order: Mapping[str, Any]) -> None:
        """Begin a scan as soon as there is a thread for it."""
        self._pool.submit(self._scan, order)

    def _on_frames(self, path: str, decoded: int, asked: int) -> None:
        now = time.monotonic()
        if now - self._told.get(path, 0.0) >= TELL_SECONDS:
            self._told[path] = now
            self._tell({"id": self._ids[path], "decoded": decoded, "asked": asked})

    def _scan(self, order: Mapping[str, Any]) -> None:
        job_id, path = order["scan"], order["path"]
        self._ids[path] = job_id
        try:
            verdict = self._scanner.scan_input(Input(path, order["name"]))
            reasons = tuple(  # no path goes out
                reason.replace(path, order["name"]) if path in reason else reason for reason in verdict.reasons
            )
            row = replace(verdict, path=order["name"], reasons=reasons).to_dict(timing=True, pictures=True)
            write_result(row, Path(order["out"]))
            self._tell({"id": job_id, "summary": summary_of(row)})
        except OSError as error:
            self._tell({"id": job_id, "error": str(error.strerror), "full": error.errno in DISK_FAULTS})
        except Exception as error:
            log.exception("job %s failed", job_id)
            self._tell({"id": job_id, "error": type(error).__name__, "full": False})
        finally:
            self._ids.pop(path, None)
            self._told.pop(path, None)


def write_result(row: Mapping[str, Any], folder: Path) -> None:
    """Write verdict, page and thumbnail of one verdict (`Verdict.to_dict`, with pictures) as one folder."""
    with atomic_folder(folder) as temporary:
        write_json(row, temporary / VERDICT)
        write_page(row, temporary / REPORT)
        if (picture := _thumbnail(row)) is not None:
            write_file(temporary / THUMBNAIL, base64.b64decode(picture))


def summary_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the table of jobs keeps of a verdict."""
    return {
        "status": row["status"],
        "label": row["label"],
        "fake_probability": row["fake_probability"],
        "reason": row["reasons"][0] if row["reasons"] else None,
        "people": len(row["faces"]),
        "duration_seconds": row["media"]["duration_seconds"] if row["media"] else None,
    }


def _thumbnail(row: Mapping[str, Any]) -> str | None:
    """Return a picture of the most suspicious person as base64: the frame, else the face."""
    scenes = (each["scene"]["jpeg"] for each in row["pictures"] if each["scene"])
    faces = (face["thumbnail_jpeg"] for face in row["faces"])
    return next(scenes, None) or next(faces, None)


def make_scanner(reference: str, options: Mapping[str, Any]) -> BaseScanner:
    """Call the function ``module:name``."""
    module, _, name = reference.partition(":")
    scanner: BaseScanner = getattr(import_module(module), name)(**options)
    return scanner


def serve(orders: IO[bytes], answers: IO[bytes]) -> None:
    """Load a scanner and take orders, until there are no more."""
    lock = threading.Lock()

    def tell(message: Mapping[str, Any]) -> None:
        with lock:
            try:
                answers.write(json.dumps(message).encode() + b"\n")
                answers.flush()
            except BrokenPipeError:  # the server was killed
                os._exit(1)

    if not (line := orders.readline()):
        return
    first = json.loads(line)
    try:
        scanner = make_scanner(first["scanner"], first["options"])
    except (UnmaskError, ModuleNotFoundError) as error:
        tell({"failed": str(error)})
        return
    desk = Orders(scanner, tell)
    tell({"ready": scanner.settings_hash, "slots": scanner.workers})
    for line in orders:
        desk.take(json.loads(line))


def main() -> None:
    """Serve on the standard streams, which nothing else in this process writes to."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    code = 0
    try:
        serve(orders, answers)
    except BaseException:
        log.exception("the process that scans failed")
        code = 1
    sys.stderr.flush()
    os._exit(code)  # at once: nobody waits for the scans that are under way


if __name__ == "__main__":
    main()
