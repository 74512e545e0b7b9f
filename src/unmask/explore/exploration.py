"""A first look at a dataset: every clip's facts, and the faces of a sample of clips as several detectors see them.

What the challenge's exploration notebook showed of DFDC, for any indexed dataset, with or without sound.
"""

from __future__ import annotations

import hashlib
import json
import logging
import random
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import cached_property
from glob import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.datasets.index import Clip, Index, require_clips
from unmask.datasets.parquet import require_pyarrow
from unmask.errors import DISK_FAULTS, InputError, UsageError
from unmask.explore.extract import copy_audio
from unmask.explore.vote import Agreement, Vote
from unmask.faces import Detector, load_detector
from unmask.media import Limits, Video, open_video, probe, read_frames
from unmask.prepare.layout import encode_image
from unmask.runtime.opencv import one_thread
from unmask.runtime.parallel import Failure, Stopped, cores, map_items
from unmask.storage.atomic import atomic_folder, sweep
from unmask.storage.rowlog import Row, RowLog
from unmask.types import DetectorSpec

log = logging.getLogger(__name__)

LOG = "explore.jsonl"
_LOOKED_AT_AGAIN = ("internal_error", "crashed", "timeout", "rejected_limit")
"""Statuses that the same bytes need not get again, under other limits or on a calmer machine."""
DETECTORS = ("mtcnn", "haar", "dlib")
"""Compared where installed, the most trusted first."""


def installed_detectors() -> tuple[str, ...]:
    """Return those of `DETECTORS` that can run here."""
    return tuple(name for name in DETECTORS if name != "dlib" or find_spec("dlib"))


@dataclass(frozen=True, slots=True)
class LookSettings:
    """What is looked at."""

    sample: int = 100
    """Number of clips whose faces are looked for, spread over labels and methods."""
    frames_per_second: float = 0.5
    """How many frames of them are looked at in a second of video."""
    detectors: tuple[str, ...] = ("mtcnn", "haar")
    """Which detectors look, the most trusted first."""
    extract_frames: bool = False
    """Keep the frames that are looked at, as ``frames/<id>/output_0001.png`` and so on."""
    extract_audio: bool = False
    """Keep the sound of the sample as it is, in ``audio/``."""
    seed: int = 0
    """Of the sample."""
    limits: Limits = field(default_factory=Limits)
    """What one clip may cost."""


class Exploration:
    """A run of ``unmask explore``.

    with Exploration(index, Path("eda")) as exploration:
        for row in exploration.run():          # one for each clip
            print(row["id"], row["status"])
        rows = exploration.rows()              # again, for tables and page
    """

    def __init__(
        self,
        index: Index,
        out: Path,
        settings: LookSettings | None = None,
        *,
        workers: int | None = None,
        resume: bool = False,
    ) -> None:
        """Claim the output folder.

        Args:
            index: The dataset.
            out: Where the log and extracted files go.
            settings: What is looked at.
            workers: Clips under way at a time; None for one per core.
            resume: Go on with what an earlier run left in ``out``.

        Raises:
            UsageError: An argument makes no sense, or ``out`` is in use or holds an earlier run.
        """
        self._index, self._out, self.settings = index, out, settings or LookSettings()
        self._workers, self._stopping = workers or cores(), threading.Event()
        require_clips(index)
        if not 0 < self.settings.frames_per_second <= 1000 or self.settings.sample < 0:
            raise UsageError("frames a second must be above 0 and at most 1000, and the sample not below 0")
        require_pyarrow()
        names = self.settings.detectors
        if not names or len(set(names)) < len(names):
            raise UsageError(f"cannot compare the detectors {', '.join(names) or '(none)'}; name each once")
        self.sample = draw_sample(index.clips, self.settings.sample, self.settings.seed)
        if self.sample:
            _ = self._detectors  # a missing one is told before the work
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / LOG, lambda row: row["key"] if row["status"] not in _LOOKED_AT_AGAIN else None)
        if not resume and not self._log.was_empty:
            self._log.close()
            raise UsageError(f"{out} holds an earlier run; go on with --resume, or name another folder")
        self._keys: dict[str, str] = {}
        if not self._log.was_empty:
            sweep(out, out / "frames", out / "audio")

    @cached_property
    def _detectors(self) -> dict[str, Detector]:
        return {name: load_detector(DetectorSpec(detector=name)) for name in self.settings.detectors}

    def run(self) -> Iterator[Row]:
        """Look at all clips and yield one row for each."""
        with one_thread():
            for _, outcome in map_items(self._look, self._index.clips, self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield outcome

    def rows(self) -> list[Row]:
        """Return the rows of all clips after `run`, in the order of the index."""
        return list(self._log.rows(self._keys[clip.id] for clip in self._index.clips))

    def finish(self) -> None:
        """Tidy the log."""
        self._log.tidy(self._keys[clip.id] for clip in self._index.clips)

    def _key(self, clip: Clip) -> str:
        """Name a row by all that it depends on, apart from the bytes of the clip, which its size and time stand for."""
        try:
            facts = self._index.path_of(clip).stat()
            stamp = [facts.st_size, facts.st_mtime_ns]
        except OSError:
            stamp = []
        settings = asdict(self.settings) if clip.id in self.sample else None
        if settings is not None:
            del settings["sample"], settings["seed"], settings["limits"]
        text = json.dumps([__version__, clip.id, clip.path, stamp, settings], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:24]

    def _look(self, clip: Clip) -> Row:
        key, path = self._key(clip), self._index.path_of(clip)
        self._keys[clip.id] = key
        known = self._log.get(key)
        if known is not None and self._has_extracts(known):
            return known
        row: Row = {"key": key, "id": clip.id, "status": "ok", "reason": None, "media": None}
        row |= {"asked": 0, "frames": [], "faces": [], "oddities": []}
        try:
            if clip.id in self.sample:
                self._look_closely(clip, path, row)
            else:
                row["media"] = asdict(probe(path, self.settings.limits))
        except InputError as error:
            row |= {"status": error.status, "reason": str(error)}
        except (Stopped, UsageError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno in DISK_FAULTS:
                raise
            log.exception("looking at %r failed", clip.path)
            row |= {"status": "internal_error", "reason": f"unmask failed: {type(error).__name__}: {error}"}
        self._log.append(key, row)
        return row

    def _has_extracts(self, row: Row) -> bool:
        """Whether the files that were taken out of a clip are still there."""
        if row["id"] not in self.sample or not row["media"]:
            return True
        frames = not self.settings.extract_frames or (self._out / "frames" / row["id"]).is_dir()
        silent = not self.settings.extract_audio or row["media"]["audio"] is None or bool(row["oddities"])
        return frames and (silent or any((self._out / "audio").glob(f"{escape(row['id'])}.*")))

    def _look_closely(self, clip: Clip, path: Path, row: Row) -> None:
        """Find the faces in some frames; keep frames and sound when asked to."""
        agreement = Agreement(self.settings.detectors)
        with ExitStack() as stack:
            video = stack.enter_context(open_video(path, self.settings.limits))
            row["media"] = asdict(video.facts)
            folder = None
            if self.settings.extract_frames:
                folder = stack.enter_context(atomic_folder(self._out / "frames" / clip.id))
            wanted = frames_at_rate(video, self.settings.frames_per_second)
            row["asked"] = len(wanted)
            for number, frame in enumerate(read_frames(video, wanted), 1):
                if self._stopping.is_set():
                    raise Stopped
                agreement.add(
                    frame, {name: detector.detect(frame.image_HW3) for name, detector in self._detectors.items()}
                )
                row["frames"].append(frame.index)
                if folder is not None:
                    (folder / f"output_{number:04d}.png").write_bytes(encode_image(frame.image_HW3, "png"))
        row["faces"] = [_face_row(vote) for vote in agreement.result()]
        if self.settings.extract_audio and row["media"]["audio"]:
            try:
                copy_audio(path, self._out / "audio", clip.id, self.settings.limits)
            except InputError as error:
                row["oddities"].append(str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()


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
    times_seconds = video.index.times_seconds
    moments = np.arange(0, video.index.end_seconds, 1 / frames_per_second)
    shown = np.searchsorted(times_seconds, moments + 1e-6, side="right") - 1
    return np.unique(np.clip(shown, 0, len(times_seconds) - 1)).astype(np.int64)


def _face_row(vote: Vote) -> dict[str, Any]:
    return {
        "frame": vote.frame_index,
        "time_seconds": round(vote.time_seconds, 6),
        "votes": vote.votes,
        "doubts": list(vote.doubts),
        "found": {
            name: {
                "xyxy_px": [round(edge, 2) for edge in face.xyxy_px],
                "confidence": round(face.confidence, 4),
                "landmarks_px": None if face.landmarks_px is None else face.landmarks_px.round(1).tolist(),
            }
            for name, face in vote.faces.items()
        },
    }
