"""Explore a dataset: the media facts of every clip, and the faces of a sample of clips as several detectors find them.

What the challenge's exploration notebook showed of DFDC, for any indexed dataset, with or without sound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.datasets.index import Clip, Index, require_clips
from unmask.datasets.parquet import require_pyarrow
from unmask.errors import InputError, UsageError
from unmask.evidence.labels import labels_of, read_labels
from unmask.evidence.signature import checked, extra_version, read_trust
from unmask.explore.agreement import Agreement
from unmask.explore.audio import copy_audio
from unmask.explore.changed import FrameChanges, open_reference
from unmask.explore.records import ExploredClip
from unmask.faces import Detector, load_detector
from unmask.facts import DeclaredLabel
from unmask.media import Limits, Video, hashed, open_clip, open_regular, open_video_file, read_frames
from unmask.prepare.layout import encode_image
from unmask.prepare.manifest import FileStamp
from unmask.runtime.opencv import one_thread
from unmask.runtime.parallel import Failure, Stopped, cores, map_items, stop_check
from unmask.storage.atomic import atomic_folder, is_output_fault, sweep
from unmask.storage.rowlog import Row, RowLog
from unmask.types import DetectorSpec

log = logging.getLogger(__name__)

LOG = "explore.jsonl"
_FORM = 3
"""Form of a row; rows of another one are made again."""
_TRIED_AGAIN = ("internal_error", "crashed", "timeout", "rejected_limit")
"""Statuses that the same bytes may not get again, under other limits or with less load on the machine."""
DETECTORS = ("mtcnn", "haar", "dlib")
"""Compared where installed, the most trusted first."""


def installed_detectors() -> tuple[str, ...]:
    """Return those of `DETECTORS` that can run here."""
    return tuple(name for name in DETECTORS if name != "dlib" or find_spec("dlib"))


@dataclass(frozen=True, slots=True)
class ExploreSettings:
    """Which clips and frames are searched for faces, how, and what is extracted."""

    sample: int = 100
    """Number of clips whose faces are looked for, spread over labels and methods."""
    frames_per_second: float = 0.5
    """Frames of these clips that are searched in a second of video."""
    detectors: tuple[str, ...] = ("mtcnn", "haar")
    """Names of the detectors, the most trusted first."""
    extract_frames: bool = False
    """Keep the frames that are searched, as ``frames/<id>/output_0001.png`` and so on."""
    extract_audio: bool = False
    """Keep the sound of the sample as it is, in ``audio/``."""
    seed: int = 0
    """Seed of the draw of the sample, and of the examples on the page."""
    limits: Limits = field(default_factory=Limits)
    """Limits on time, memory and pixels of one clip."""
    trust: str | os.PathLike[str] | None = None
    """PEM file of the certificates whose owners are trusted to sign C2PA manifests; None for nobody."""


class Exploration:
    """A run of ``unmask explore``.

    with Exploration(index, Path("eda")) as exploration:
        for clip in exploration.run():
            print(clip.id, clip.status)
        clips = exploration.clips()            # again, for tables and page
    """

    def __init__(
        self,
        index: Index,
        out: Path,
        settings: ExploreSettings | None = None,
        *,
        workers: int | None = None,
        resume: bool = False,
    ) -> None:
        """Claim the output folder.

        Args:
            index: The dataset.
            out: Where the log and extracted files go.
            settings: What is searched and extracted.
            workers: Clips under way at a time; None for one per core.
            resume: Go on with what an earlier run left in ``out``.

        Raises:
            UsageError: An argument makes no sense, or ``out`` is in use or holds an earlier run.
        """
        self._index, self._out, self.settings = index, out, settings or ExploreSettings()
        self._trust = None if self.settings.trust is None else read_trust(self.settings.trust)
        self._workers, self._stopping = workers or cores(), threading.Event()
        require_clips(index)
        self._by_id = {clip.id: clip for clip in index.clips}
        if not 0 < self.settings.frames_per_second <= 1000 or self.settings.sample < 0:
            raise UsageError("frames a second must be above 0 and at most 1000, and the sample not below 0")
        require_pyarrow()
        names = self.settings.detectors
        if not names or len(set(names)) < len(names):
            raise UsageError(f"cannot compare the detectors {', '.join(names) or '(none)'}; name each once")
        self.sample = draw_sample(index.clips, self.settings.sample, self.settings.seed)
        if self.sample:
            _ = self._detectors  # a missing one is reported before the work
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / LOG, _usable_key)
        if not resume and not self._log.was_empty:
            self._log.close()
            raise UsageError(f"{out} holds an earlier run; go on with --resume, or name another folder")
        self._keys: dict[str, str] = {}
        if not self._log.was_empty:
            sweep(out, out / "frames", out / "audio")

    @cached_property
    def _detectors(self) -> dict[str, Detector]:
        return {name: load_detector(detector_spec(name)) for name in self.settings.detectors}

    def run(self) -> Iterator[ExploredClip]:
        """Explore all clips and yield what was found out about each."""
        with one_thread():
            for _, outcome in map_items(self._explore, self._index.clips, self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield outcome

    def clips(self) -> list[ExploredClip]:
        """Return what was found out about each clip after `run`, in the order of the index."""
        rows = self._log.rows(self._keys[clip.id] for clip in self._index.clips)
        return [ExploredClip.from_row(row) for row in rows]

    def finish(self) -> None:
        """Tidy the log."""
        self._log.tidy(self._keys[clip.id] for clip in self._index.clips)

    def _key(self, clip: Clip) -> str:
        """Hash all that a row depends on; size and time of the clip stand for its bytes."""
        found = FileStamp.of(self._index.path_of(clip))
        stamp = [] if found.size_bytes is None else [found.size_bytes, found.mtime_ns]
        settings = asdict(self.settings) if clip.id in self.sample else None
        beside = [asdict(FileStamp.of(path)) for path in self._beside(clip) if settings is not None]
        if settings is not None:
            del settings["sample"], settings["seed"], settings["limits"], settings["trust"]
        known = [__version__, _FORM, clip.id, clip.path, stamp, settings, beside, self._trust, extra_version()]
        text = json.dumps(known, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _explore(self, clip: Clip) -> ExploredClip:
        key, path = self._key(clip), self._index.path_of(clip)
        self._keys[clip.id] = key
        row = self._log.get(key)
        if row is not None and self._has_extracts(known := ExploredClip.from_row(row)):
            return known
        explored = ExploredClip(key, clip.id)
        try:
            if clip.id in self.sample:
                explored = self._find_faces(explored, clip, path)
            else:
                explored = self._find_facts(explored, path)
        except InputError as error:
            explored = replace(explored, status=error.status, reason=str(error))
        except (Stopped, UsageError):
            raise
        except Exception as error:
            if is_output_fault(error, self._out):
                raise
            log.exception("exploring %r failed", clip.path)
            reason = f"unmask failed: {type(error).__name__}: {error}"
            explored = replace(explored, status="internal_error", reason=reason)
        row = explored.to_row()
        self._log.append(key, row)
        return ExploredClip.from_row(row)

    @contextmanager
    def _open(self, path: Path) -> Iterator[tuple[Video, tuple[DeclaredLabel, ...]]]:
        """Open a clip; yield it with what it declares."""
        limits, check = self.settings.limits, stop_check(self._stopping)
        if path.is_dir():
            with open_clip(path, limits, check=check) as video:
                yield video, ()
            return
        with (
            open_regular(path) as file,
            hashed(file, limits.file_bytes, check) as sha256,
            open_video_file(file, sha256, limits, readers=[read_labels]) as video,
        ):
            yield video, checked(labels_of(video), file, self._trust, limits)

    def _has_extracts(self, explored: ExploredClip) -> bool:
        """Tell whether the files that were extracted from a clip are still there."""
        if explored.id not in self.sample or explored.media is None:
            return True
        if self.settings.extract_frames and not (self._out / "frames" / explored.id).is_dir():
            return False
        silent = explored.media.audio is None or bool(explored.oddities)
        if silent or not self.settings.extract_audio:
            return True
        return any((self._out / "audio").glob(f"{escape(explored.id)}.*"))

    def _find_facts(self, explored: ExploredClip, path: Path) -> ExploredClip:
        """Find out what the file is and declares, without a look at its frames."""
        with self._open(path) as (video, declared):
            return replace(explored, media=video.facts, declared=declared)

    def _original_of(self, clip: Clip) -> Clip | None:
        return None if clip.original is None else self._by_id.get(clip.original)

    def _beside(self, clip: Clip) -> list[Path]:
        """Return what a clip is compared with."""
        original = self._original_of(clip)
        paths = self._index.mask_of(clip), None if original is None else self._index.path_of(original)
        return [path for path in paths if path is not None and clip.label == "fake"]

    def _find_faces(self, explored: ExploredClip, clip: Clip, path: Path) -> ExploredClip:
        """Find the faces in some frames, and compare a fake's with its original's; keep frames and sound when asked."""
        agreement = Agreement(self.settings.detectors)
        searched: list[int] = []
        changes: list[FrameChanges] = []
        try:
            with ExitStack() as stack:
                video, declared = stack.enter_context(self._open(path))
                wanted = frames_at_rate(video, self.settings.frames_per_second)
                explored = replace(explored, media=video.facts, declared=declared, frames_asked=len(wanted))
                reference = stack.enter_context(
                    open_reference(self._index, clip, self._original_of(clip), wanted, self.settings.limits)
                )
                folder = None
                if self.settings.extract_frames:
                    folder = stack.enter_context(atomic_folder(self._out / "frames" / explored.id))
                for frame in read_frames(video, wanted):
                    if self._stopping.is_set():
                        raise Stopped
                    found = {name: each.detect(frame.image_HW3) for name, each in self._detectors.items()}
                    agreement.add(frame, found)
                    searched.append(frame.index)
                    if (change := reference.compare(frame, found[self.settings.detectors[0]])) is not None:
                        changes.append(change)
                    if folder is not None:
                        name = f"output_{len(searched):04d}.png"
                        (folder / name).write_bytes(encode_image(frame.image_HW3, "png"))
        except InputError as error:  # what is known so far is kept
            return replace(explored, frames=tuple(searched), status=error.status, reason=str(error))
        faces, oddities = tuple(agreement.result()), self._extract_audio(explored, path)
        return replace(explored, frames=tuple(searched), faces=faces, changes=tuple(changes), oddities=oddities)

    def _extract_audio(self, explored: ExploredClip, path: Path) -> tuple[str, ...]:
        """Copy the sound when asked to; return why it could not be copied."""
        if not self.settings.extract_audio or explored.media is None or explored.media.audio is None:
            return ()
        try:
            copy_audio(path, self._out / "audio", explored.id, self.settings.limits)
        except InputError as error:
            return (str(error),)
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()


def detector_spec(name: str) -> DetectorSpec:
    """Return how a detector searches: Haar the whole frame, as the notebook did, all others at their usual scale."""
    return DetectorSpec(detector=name, scale=1.0 if name == "haar" else "adaptive")


def draw_sample(clips: Sequence[Clip], count: int, seed: int) -> frozenset[str]:
    """Draw ids of clips, as evenly over labels and methods as there are clips of each."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for clip in clips:
        groups[clip.label or "", clip.method or ""].append(clip.id)
    rng = random.Random(seed)  # noqa: S311 - no secret
    piles = [rng.sample(groups[key], len(groups[key])) for key in sorted(groups)]
    drawn: list[str] = []
    while len(drawn) < count and any(piles):
        drawn += [pile.pop() for pile in piles if pile]
    return frozenset(drawn[:count])


def frames_at_rate(video: Video, frames_per_second: float) -> NDArray[np.int64]:
    """Return the indices of the frames on show at 0, 1/rate, 2/rate ... seconds, each once."""
    # Moments before each frame, and before the end: a frame is on show where there is one more before the next. The
    # moments themselves are not listed: a file may claim to be a thousand years long.
    step_seconds = 1 / frames_per_second
    before = np.ceil((video.index.times_seconds - 1e-6).clip(0) / step_seconds)
    return np.flatnonzero(np.diff(before, append=np.ceil(video.index.end_seconds / step_seconds)) > 0)


def _usable_key(row: Row) -> str | None:
    """Return the key of a row, None when its clip is to be explored again."""
    try:
        explored = ExploredClip.from_row(row)
    except AttributeError:  # a value of another type
        return None
    return None if explored.status in _TRIED_AGAIN else explored.key
