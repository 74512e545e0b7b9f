"""What all scanners share: a file or an address in, exactly one verdict out, whatever happens to it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BufferedReader
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.errors import ChangedError, DownloadError, InputError, UsageError
from unmask.evidence.labels import labels_of, read_labels
from unmask.evidence.signature import checked, extra_version, read_trust
from unmask.evidence.traces import read_traces, traces_of
from unmask.media import (
    Limits,
    SignatureLog,
    Video,
    hashed,
    is_playlist,
    open_frames_folder,
    open_pieces_folder,
    open_playlist,
    open_video_file,
    video_of_arrays,
)
from unmask.net.address import is_address, without_password
from unmask.runtime.parallel import Failure, Stopped, cores, map_items, stop_check
from unmask.scan.films import judge_films
from unmask.scan.inputs import Input, list_inputs, open_input
from unmask.types import SCHEMA_VERSION, Colours, Frame, ImageHW3, Status, Verdict

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]

READERS = (read_labels, read_traces)
"""What looks at each file beside the frames, within its decoder."""


class BaseScanner(ABC):
    """Judges videos: one verdict for each input, in order.

    A scanner overrides `scan_video`, and nothing else has to be written: opening files, fetching addresses, errors,
    threads and order are here. A scanner is safe to use from several threads where its `scan_video` is.
    """

    def __init__(
        self,
        models: Sequence[dict[str, str]],
        settings: Mapping[str, Any],
        *,
        workers: int | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        colours: Colours = "tagged",
        trust: PathLike | None = None,
    ) -> None:
        """Remember what every verdict says of its scan.

        Args:
            models: Name, version and sha256 of each model.
            settings: All else that is needed to repeat a scan, as JSON-ready values.
            workers: Videos that `scan_many` has under way at a time, at least 1; None for one per core.
            limits: What one file may cost.
            colours: How frames are decoded, see `unmask.types.Colours`.
            trust: PEM file of the certificates whose owners are trusted to sign C2PA manifests; None for nobody.

        Raises:
            UsageError: There is less than one worker, or ``trust`` is no trust list.
        """
        if workers is not None and workers < 1:
            raise UsageError(f"a scan cannot have {workers} workers; it needs at least one")
        self.trust = None if trust is None else read_trust(trust)
        trusted = None if self.trust is None else hashlib.sha256(self.trust.encode()).hexdigest()
        signatures = {"c2pa": extra_version(), "trust_sha256": trusted}
        self.models, self.settings = tuple(models), {**settings, "signatures": signatures}
        self.workers, self.limits, self.colours = workers or cores(), limits, colours

    @abstractmethod
    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge an open video.

        What it raises becomes a row, too: an `InputError` one with its status, anything else ``internal_error``.

        Args:
            video: Its frames can be read more than once; reading raises `Stopped` when nobody waits for the verdict
                any more.
            draft: A verdict that holds path, hash, models and settings, to be completed.
        """

    @property
    def settings_hash(self) -> str:
        """Hash of version, models and settings: verdicts with the same hash can stand in one table."""
        text = json.dumps([__version__, SCHEMA_VERSION, self.settings, self.models], sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def scan(self, path: PathLike) -> Verdict:
        """Judge one video: a file, or an https address, which is fetched first.

        What cannot be judged gives a verdict with a status and a reason, not an exception.

        Raises:
            ModelError: The model gave something that is not a number.
        """
        return self._scan(path, threading.Event())

    def scan_many(
        self,
        inputs: PathLike | Iterable[PathLike],
        *,
        recursive: bool = False,
        follow_links: bool = False,
        on_verdict: Callable[[Verdict], None] | None = None,
    ) -> Iterator[Verdict]:
        """Judge many videos: one verdict for each input, in order, whatever happens to any of them.

        Args:
            inputs: Files, https addresses and folders; of a folder, the files whose suffix is that of a video, sorted
                by name.
            recursive: Also look into the folders of folders.
            follow_links: Also follow links within folders; see `unmask.scan.inputs`.
            on_verdict: Called with each verdict as soon as it is there, in any order and from several threads.
        """
        named = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
        items = list_inputs(named, recursive=recursive, follow_links=follow_links)
        stopping = threading.Event()

        def scan(path: PathLike) -> Verdict:
            verdict = self._scan_or_fail(path, stopping)
            if on_verdict is not None:
                on_verdict(verdict)
            return verdict

        for _, outcome in map_items(scan, items, self.workers, stopping):
            if isinstance(outcome, Failure):
                raise outcome.error  # on_verdict could not take it
            yield outcome

    def scan_input(self, path: PathLike) -> Verdict:
        """Judge one input as `scan_many` does, but in the calling thread.

        A process that goes on for long takes this for inputs that come one by one: `scan_many` starts threads each
        time, and OpenCV keeps 0.9 kB for good of each thread that it ever ran in.

        Args:
            path: A file, an https address, or an `unmask.scan.inputs.Input`; no folder is looked into.
        """
        return self._scan_or_fail(path, threading.Event())

    def scan_frames(
        self,
        frames: Sequence[ImageHW3] | NDArray[np.uint8],
        times_seconds: Sequence[float] | None = None,
        *,
        name: str = "frames",
    ) -> Verdict:
        """Judge frames that are in memory as one clip.

        Args:
            frames: n upright RGB images, (H, W, 3) uint8 each, or one array (n, H, W, 3); at least one.
            times_seconds: Rising seconds, one for each; None counts 25 frames a second.
            name: What the verdict calls them.

        Raises:
            UsageError: A frame has another form, or the times do not fit.
            ModelError: The model gave something that is not a number.
        """
        started, video = time.perf_counter(), video_of_arrays(frames, times_seconds)
        verdict = self._judge(video, replace(self._draft(name), sha256=video.facts.sha256), threading.Event())
        return replace(verdict, elapsed_seconds=time.perf_counter() - started)

    def unscanned(self, path: PathLike, reason: str, status: Status = "internal_error") -> Verdict:
        """Return the verdict on a file that was not scanned, and is not opened.

        Args:
            path: The file.
            reason: Why, as a sentence.
            status: The word for it.
        """
        return replace(self._draft(path), status=status, reasons=(reason,))

    def _scan_or_fail(self, path: PathLike, stopping: threading.Event) -> Verdict:
        """Judge one input; a fault of ours is a verdict as well."""
        try:
            return self._scan(path, stopping)
        except Stopped:
            raise
        except Exception as error:
            log.exception("scanning %r failed", os.fspath(path))
            what = (str(error).splitlines() or [""])[0][:300]  # all of it is in the log
            return self.unscanned(path, f"unmask failed, not the file: {type(error).__name__}: {what}")

    def _scan(self, path: PathLike, stopping: threading.Event) -> Verdict:
        started, draft = time.perf_counter(), self._draft(path)
        try:
            if (parts := self._open_parts(path, stopping)) is not None:
                with parts as video:
                    draft = replace(draft, sha256=video.facts.sha256, declared=labels_of(video))
                    verdict = self._judge(video, draft, stopping)
                return replace(verdict, elapsed_seconds=time.perf_counter() - started)
            with (
                open_input(path, self.limits.download_bytes, stopping.is_set) as file,
                hashed(file, self.limits.file_bytes, stop_check(stopping)) as sha256,
            ):
                known = draft = replace(draft, sha256=sha256)
                verdict = judge_films(lambda film: self._scan_film(file, sha256, film, known, stopping))
        except (InputError, DownloadError) as error:
            if stopping.is_set():  # what went wrong may be that nobody waits any more
                raise Stopped from None
            verdict = replace(draft, status=error.status, reasons=(str(error),))
            if isinstance(error, ChangedError):
                verdict = replace(verdict, sha256=None)
        return replace(verdict, elapsed_seconds=time.perf_counter() - started)

    def _open_parts(self, path: PathLike, stopping: threading.Event) -> AbstractContextManager[Video] | None:
        """Open what is more than one file: a folder of frames or pieces, a play list; None for all else."""
        item = path if isinstance(path, Input) else Input(os.fspath(path), "")
        settings, links = (self.limits, self.colours, stop_check(stopping)), item.below is None
        if item.is_frames:
            return open_frames_folder(item, *settings, follow_links=links)
        if item.is_pieces:
            return open_pieces_folder(item, *settings, (read_labels,), follow_links=links)
        if is_playlist(item) and not is_address(item.path):
            return open_playlist(item, *settings, (read_labels,))
        return None

    def _scan_film(
        self, file: BufferedReader, sha256: str, film: int, draft: Verdict, stopping: threading.Event
    ) -> Verdict:
        """Judge one of the films of a file."""
        with open_video_file(file, sha256, self.limits, self.colours, film, READERS) as video:
            declared = checked(labels_of(video), file, self.trust, self.limits)
            return self._judge(video, replace(draft, declared=declared, traces=traces_of(video)), stopping)

    def _judge(self, video: Video, draft: Verdict, stopping: threading.Event) -> Verdict:
        return self.scan_video(_stoppable(video, stopping), replace(draft, media=video.facts))

    def _draft(self, path: PathLike) -> Verdict:
        """Return a verdict without an answer, as it stands should the scan fail."""
        settings = self.settings | {"hash": self.settings_hash}
        return Verdict(
            without_password(os.fspath(path)), "internal_error", None, None, models=self.models, settings=settings
        )


class WrappingScanner(BaseScanner):
    """Judges by another scanner, of which it says what that one says of itself."""

    def __init__(self, scanner: BaseScanner) -> None:
        """Take over what the verdicts of a scanner say."""
        self.models, self.settings, self.trust = scanner.models, scanner.settings, scanner.trust
        self.workers, self.limits, self.colours = scanner.workers, scanner.limits, scanner.colours


def _stoppable(video: Video, stopping: threading.Event) -> Video:
    """Return a video that stops to be read when ``stopping`` is set."""

    def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        for frame in video.decode(indices, log):
            if stopping.is_set():
                raise Stopped
            yield frame

    return replace(video, decode=decode)
