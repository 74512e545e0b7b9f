"""The whole flow on one page: file -> frames -> faces -> people -> crops -> scores -> verdict."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import unmask.report  # noqa: F401 - gives Verdict.save its forms
from unmask._version import __version__
from unmask.engine import Failure, Stopped, cores, map_items, prefetch
from unmask.errors import InputError, ModelError, UsageError
from unmask.faces import Tracker, crop_face, load_detector
from unmask.inputs import list_inputs
from unmask.judge import Sighting, judge
from unmask.media import SAMPLINGS, Video, open_video, pick_frames, read_frames
from unmask.models import BATCH_CROPS, FUSE_RULES, CropScore, QueuedNetwork, load_network, model_folder
from unmask.types import Face, Frame, ImageHW3, Status, Verdict

log = logging.getLogger(__name__)

PathLike = str | os.PathLike[str]

MIN_PARTIAL_FRAMES = 8
MIN_PARTIAL_SHARE = 0.25


class Scanner:
    """Judges videos with one model or an ensemble.

        scanner = Scanner()                                  # the bundled model
        scanner = Scanner(["models/a", "models/b"])          # an ensemble: the mean of its members
        verdict = scanner.scan("clip.mp4")

    Safe to use from several threads; loading takes about a second, so keep it.
    """

    def __init__(
        self,
        models: PathLike | Sequence[PathLike] = "bundled",
        *,
        frames: int = 32,
        sampling: str = "time",
        precision: str = "auto",
        device: str = "auto",
        workers: int | None = None,
    ) -> None:
        """Load the models and the face detector that their cards name.

        Args:
            models: A model's name or folder, or several for an ensemble. The first one's card sets fusion and
                thresholds; all must share the detector settings.
            frames: Frames to look at in each video, at least 1.
            sampling: ``time`` spreads them over the time stamps; ``reference`` takes the challenge winner's.
            precision: ``fp32``, ``bf16`` or ``auto`` (bf16 where the card allows it and the processor computes in it);
                ``int8`` on a processor, ``fp16`` on a graphics card.
            device: ``cpu``, ``cuda``, ``cuda:N``, or ``auto``: the graphics card where there is one, see
                `unmask.models.load_network`.
            workers: Videos that `scan_many` has under way at a time; None for one per core.

        Raises:
            ModelError: A model is missing or damaged, or its card names an unknown fusion rule.
            UsageError: An argument makes no sense, or the models search faces in different ways.
        """
        names = [models] if isinstance(models, (str, os.PathLike)) else list(models)
        if not names or frames < 1 or (workers is not None and workers < 1) or sampling not in SAMPLINGS:
            raise UsageError(
                "a scan needs a model, at least one frame, at least one worker, and a sampling out of "
                + ", ".join(SAMPLINGS)
            )
        self.networks = tuple(load_network(model_folder(name), precision, device) for name in names)
        self.cards = tuple(network.card for network in self.networks)
        self.frames, self.sampling, self.workers = frames, sampling, workers or cores()
        detection = self.cards[0].crop.detection
        if self.cards[0].fusion.frames not in FUSE_RULES:
            raise ModelError(
                f"card of {names[0]!r}: fusion {self.cards[0].fusion.frames!r} is not one of {[*FUSE_RULES]}"
            )
        if any(card.crop.detection != detection for card in self.cards):
            raise UsageError("these models search faces with different settings and cannot share one scan")
        self.detector = load_detector(detection)
        self.settings: dict[str, Any] = {
            "frames": frames,
            "sampling": sampling,
            "precision": [network.precision for network in self.networks],
            "crops": [asdict(card.crop) for card in self.cards],
            "fusion": asdict(self.cards[0].fusion),
            "thresholds": asdict(self.cards[0].thresholds),
            "calibration": [asdict(card.calibration) for card in self.cards],
        }
        self.models = tuple(
            {"name": card.name, "version": card.version, "sha256": card.files[network.weights_file].sha256}
            for card, network in zip(self.cards, self.networks, strict=True)
        )

    @property
    def settings_hash(self) -> str:
        """Hash of models and settings: verdicts with the same hash can stand in one table."""
        text = json.dumps([__version__, self.settings, self.models], sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def scan(self, path: PathLike) -> Verdict:
        """Judge one video.

        A file that cannot be judged gives a verdict with a status and a reason, not an exception.

        Raises:
            ModelError: The model gave something that is not a number.
        """
        return self._scan(path, threading.Event())

    def scan_many(
        self,
        inputs: PathLike | Iterable[PathLike],
        *,
        recursive: bool = False,
        on_verdict: Callable[[Verdict], None] | None = None,
    ) -> Iterator[Verdict]:
        """Judge many videos: one verdict for each input, in order, whatever happens to any of them.

        Args:
            inputs: Files and folders; of a folder, the files whose suffix is that of a video, sorted by name.
            recursive: Also look into the folders of folders.
            on_verdict: Called with each verdict as soon as it is there, in any order and from several threads.
        """
        named = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
        paths = (item.path for item in list_inputs(named, recursive=recursive))
        stopping = threading.Event()

        def scan(path: str) -> Verdict:
            try:
                verdict = self._scan(path, stopping)
            except Stopped:
                raise
            except Exception as error:
                log.exception("scanning %r failed", path)
                reason = f"unmask failed, not the file: {type(error).__name__}: {error}"
                verdict = replace(self._blank(path), reasons=(reason,))
            if on_verdict is not None:
                on_verdict(verdict)
            return verdict

        for _, outcome in map_items(scan, paths, self.workers, stopping):
            if isinstance(outcome, Failure):
                raise outcome.error  # on_verdict could not take it
            yield outcome

    def _scan(self, path: PathLike, stopping: threading.Event) -> Verdict:
        started, blank = time.perf_counter(), self._blank(path)
        try:
            with open_video(path) as video:
                verdict = self._judge(blank, video, self._look(video, stopping))
        except InputError as error:
            verdict = replace(blank, status=error.status, reasons=(str(error),))
        return replace(verdict, elapsed_seconds=time.perf_counter() - started)

    def _blank(self, path: PathLike) -> Verdict:
        settings = self.settings | {"hash": self.settings_hash}
        return Verdict(os.fspath(path), "internal_error", None, None, models=self.models, settings=settings)

    def _look(self, video: Video, stopping: threading.Event) -> _Seen:
        """Frames -> faces -> people -> crops -> scores, frame by frame."""
        wanted = pick_frames(video, self.frames, self.sampling)
        seen, tracker = _Seen(self.networks, len(wanted)), Tracker()
        for frame in prefetch(read_frames(video, wanted)):
            if stopping.is_set():
                raise Stopped
            faces = self.detector.detect(frame.image_HW3)
            for face, person in zip(faces, tracker.update(frame, faces), strict=True):
                seen.note(frame, face, person)
            seen.decoded += 1
        return seen

    def _judge(self, blank: Verdict, video: Video, seen: _Seen) -> Verdict:
        """Scores -> verdict."""
        sightings = seen.sightings()
        status, asked = _completeness(video, seen, self.frames)
        known = replace(
            blank,
            media=video.facts,
            frames_asked=asked,
            frames_decoded=seen.decoded,
            frames_with_faces=len({sighting.index for sighting in sightings}),
            warnings=tuple(_media_warnings(video, seen, status)),
        )
        if status == "unreadable":
            reason = f"The file is damaged: {seen.decoded} of {asked} frames could be decoded."
            return replace(known, status=status, reasons=(reason,))
        if not sightings:
            small = f"The faces are too small to judge: below {self.cards[0].crop.min_side_px} pixels."
            reason = small if seen.small else f"No face was found in {seen.decoded} frames."
            return replace(known, status="no_face", reasons=(reason,))
        result = judge(sightings, seen.portraits, self.cards)
        return replace(
            known,
            status=status,
            label=result.label,
            fake_probability=result.fake_probability,
            reasons=result.reasons,
            warnings=(*known.warnings, *result.warnings),
            faces=result.faces,
            frames=result.frames,
        )


class _Seen:
    """What was seen so far in one video: crops go to the networks batch by batch, only scores stay."""

    def __init__(self, networks: Sequence[QueuedNetwork[Any]], wanted: int) -> None:
        self.wanted = wanted
        self.decoded = 0
        self.small = 0
        self.portraits: dict[int, ImageHW3] = {}
        self._networks = networks
        self._best: dict[int, float] = {}
        self._faces: list[Callable[[tuple[CropScore, ...]], Sighting]] = []
        self._held: list[list[ImageHW3]] = [[] for _ in networks]
        self._scores: list[list[Future[CropScore]]] = [[] for _ in networks]

    def note(self, frame: Frame, face: Face, person: int) -> None:
        """Cut a face out of its frame, for each network."""
        if face.side_px < max(network.card.crop.min_side_px for network in self._networks):
            self.small += 1
            return
        self._faces.append(partial(Sighting, person, frame.index, frame.time_seconds, face))
        for held, network in zip(self._held, self._networks, strict=True):
            held.append(crop_face(frame.image_HW3, face, network.card.crop))
        if face.side_px * face.confidence > self._best.get(person, 0.0):
            self._best[person], self.portraits[person] = face.side_px * face.confidence, self._held[0][-1]
        if len(self._held[0]) >= BATCH_CROPS:
            self._submit()

    def sightings(self) -> list[Sighting]:
        """Wait for the scores."""
        self._submit()
        by_face = zip(*([score.result() for score in scores] for scores in self._scores), strict=True)
        return [with_scores(scores) for with_scores, scores in zip(self._faces, by_face, strict=True)]

    def _submit(self) -> None:
        for held, scores, network in zip(self._held, self._scores, self._networks, strict=True):
            scores += network.submit(held)
            held.clear()


def _completeness(video: Video, seen: _Seen, frames: int) -> tuple[Status, int]:
    """Return the status that the number of decoded frames earns, and how many there should have been."""
    facts, asked = video.facts, seen.wanted
    if facts.cut_short:
        asked = min(frames, max(seen.wanted, facts.frames_claimed or frames))
    elif seen.decoded == seen.wanted:
        return "ok", asked
    enough = seen.decoded >= max(MIN_PARTIAL_FRAMES, MIN_PARTIAL_SHARE * asked)
    return ("ok_partial" if enough else "unreadable"), asked


def _media_warnings(video: Video, seen: _Seen, status: Status) -> list[str]:
    facts, found = video.facts, []
    if facts.cut_short:
        found.append(f"The file is cut short: its header promises more than the {facts.frames} frames that are there.")
    elif status != "ok":
        found.append("The file is damaged: some frames could not be decoded.")
    if seen.small:
        found.append(f"{seen.small} faces were too small to judge.")
    if not 0.9 < facts.sample_aspect_ratio < 1.1:
        found.append(f"Pixels are not square ({facts.sample_aspect_ratio:.2f}): faces look squeezed to the model.")
    return found
