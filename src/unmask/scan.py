"""The whole flow on one page: file -> frames -> faces -> people -> crops -> scores -> verdict."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict
from functools import partial
from typing import Any

import unmask.report  # noqa: F401 - gives Verdict.save its forms
from unmask.engine import Failure, map_items, prefetch
from unmask.errors import InputError, UnreadableError, UsageError
from unmask.faces import Tracker, crop_face, load_detector
from unmask.inputs import list_inputs
from unmask.judge import Sighting, judge
from unmask.media import SAMPLINGS, Video, open_video, pick_frames, read_frames
from unmask.models import CropScore, Network, model_folder
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
        workers: int | None = None,
    ) -> None:
        """Load the models and the face detector that their cards name.

        Args:
            models: A model's name or folder, or several for an ensemble. The first one's card sets fusion and
                thresholds; all must share the detector settings.
            frames: Frames to look at in each video, at least 1.
            sampling: ``time`` spreads them over the time stamps; ``reference`` takes the challenge winner's.
            precision: ``fp32``, ``bf16`` or ``auto`` (bf16 where the card allows it and the processor computes in it).
            workers: Videos that `scan_many` has under way at a time; None for one per core.

        Raises:
            ModelError: A model is missing, damaged, or searches faces in another way than the first.
            UsageError: An argument makes no sense.
        """
        names = [models] if isinstance(models, (str, os.PathLike)) else list(models)
        if not names or frames < 1 or (workers is not None and workers < 1) or sampling not in SAMPLINGS:
            raise UsageError(
                "a scan needs a model, at least one frame, at least one worker, and a sampling out of "
                + ", ".join(SAMPLINGS)
            )
        self.networks = tuple(Network(model_folder(name), precision) for name in names)
        self.cards = tuple(network.card for network in self.networks)
        self.frames, self.sampling, self.workers = frames, sampling, workers or os.cpu_count() or 1
        detection = self.cards[0].crop.detection
        if any(card.crop.detection != detection for card in self.cards):
            raise UsageError("these models search faces with different settings and cannot share one scan")
        self.detector = load_detector(detection)
        self.settings: dict[str, Any] = {
            "frames": frames,
            "sampling": sampling,
            "precision": self.networks[0].precision,
            "crops": [asdict(card.crop) for card in self.cards],
            "fusion": asdict(self.cards[0].fusion),
            "thresholds": asdict(self.cards[0].thresholds),
            "calibration": [asdict(card.calibration) for card in self.cards],
        }
        self.models = tuple(
            {"name": card.name, "version": card.version, "sha256": card.files["model.onnx"].sha256}
            for card in self.cards
        )

    @property
    def settings_hash(self) -> str:
        """Hash of models and settings: verdicts with the same hash can stand in one table."""
        text = json.dumps([self.settings, self.models], sort_keys=True, default=list)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def scan(self, path: PathLike) -> Verdict:
        """Judge one video.

        A file that cannot be judged gives a verdict with a status and a reason, not an exception.

        Raises:
            ModelError: The model gave something that is not a number.
        """
        started = time.perf_counter()
        try:
            with open_video(path) as video:
                return self._judge(path, video, started)
        except InputError as error:
            return self._failed(path, error.status, str(error), started)  # type: ignore[arg-type]

    def scan_many(self, inputs: PathLike | Iterable[PathLike], *, recursive: bool = False) -> Iterator[Verdict]:
        """Judge many videos: one verdict for each input, in order, whatever happens to any of them.

        Args:
            inputs: Files and folders; of a folder, the files whose suffix is that of a video, sorted by name.
            recursive: Also look into the folders of folders.
        """
        named = [inputs] if isinstance(inputs, (str, os.PathLike)) else inputs
        paths = (item.path for item in list_inputs(named, recursive=recursive))
        for path, outcome in map_items(self.scan, paths, self.workers):
            if isinstance(outcome, Failure):
                log.error("scanning %r failed", path, exc_info=outcome.error)
                reason = f"unmask failed, not the file: {type(outcome.error).__name__}: {outcome.error}"
                outcome = self._failed(path, "internal_error", reason, time.perf_counter())
            yield outcome

    def _judge(self, path: PathLike, video: Video, started: float) -> Verdict:
        wanted = pick_frames(video, self.frames, self.sampling)
        seen = _Seen()
        tracker = Tracker()
        for frame in prefetch(read_frames(video, wanted)):
            faces = self.detector.detect(frame.image_HW3)
            for face, person in zip(faces, tracker.update(frame, faces), strict=True):
                seen.note(frame, face, person, self.networks)
            seen.decoded += 1
        status = _status(seen.decoded, len(wanted), video.facts.cut_short)
        sightings, common = seen.sightings(), self._common(path, started)
        common |= {"media": video.facts, "frames_asked": len(wanted), "frames_decoded": seen.decoded}
        if not sightings:
            reason = f"No face was found in {seen.decoded} frames."
            if seen.small:
                reason = f"The faces are too small to judge: below {self.cards[0].crop.min_side_px} pixels."
            return Verdict(**common, status="no_face", label=None, fake_probability=None, reasons=(reason,))
        result = judge(sightings, seen.portraits, self.cards)
        return Verdict(
            **common,
            status=status,
            label=result.label,
            fake_probability=result.fake_probability,
            reasons=result.reasons,
            warnings=(*_media_warnings(video, seen, status), *result.warnings),
            faces=result.faces,
            frames=result.frames,
            frames_with_faces=len({sighting.index for sighting in sightings}),
        )

    def _failed(self, path: PathLike, status: Status, reason: str, started: float) -> Verdict:
        common = self._common(path, started)
        return Verdict(**common, status=status, label=None, fake_probability=None, reasons=(reason,))

    def _common(self, path: PathLike, started: float) -> dict[str, Any]:
        return {
            "path": os.fspath(path),
            "models": self.models,
            "settings": self.settings | {"hash": self.settings_hash},
            "elapsed_seconds": time.perf_counter() - started,
        }


class _Seen:
    """What was seen so far in one video: crops are handed to the networks at once, only scores stay."""

    def __init__(self) -> None:
        self.decoded = 0
        self.small = 0
        self.portraits: dict[int, ImageHW3] = {}
        self._best: dict[int, float] = {}
        self._pending: list[tuple[Callable[[tuple[CropScore, ...]], Sighting], list[Future[CropScore]]]] = []

    def note(self, frame: Frame, face: Face, person: int, networks: Sequence[Network]) -> None:
        if face.side_px < max(network.card.crop.min_side_px for network in networks):
            self.small += 1
            return
        crops = [crop_face(frame.image_HW3, face, network.card.crop) for network in networks]
        scores = [network.submit(crop) for network, crop in zip(networks, crops, strict=True)]
        self._pending.append((partial(Sighting, person, frame.index, frame.time_seconds, face), scores))
        if face.side_px * face.confidence > self._best.get(person, 0.0):
            self._best[person], self.portraits[person] = face.side_px * face.confidence, crops[0]

    def sightings(self) -> list[Sighting]:
        """Wait for the scores."""
        return [with_scores(tuple(score.result() for score in scores)) for with_scores, scores in self._pending]


def _status(decoded: int, wanted: int, cut_short: bool) -> Status:
    if decoded == wanted:
        return "ok_partial" if cut_short else "ok"
    if decoded < max(MIN_PARTIAL_FRAMES, MIN_PARTIAL_SHARE * wanted):
        raise UnreadableError(f"the file is damaged: {decoded} of {wanted} frames could be decoded")
    return "ok_partial"


def _media_warnings(video: Video, seen: _Seen, status: Status) -> list[str]:
    facts, found = video.facts, []
    if facts.cut_short:
        found.append(
            f"The file is cut short: its header lists {facts.frames_claimed} frames, {facts.frames} are there."
        )
    elif status == "ok_partial":
        found.append("The file is damaged: some frames could not be decoded.")
    if seen.small:
        found.append(f"{seen.small} faces were too small to judge.")
    if not 0.9 < facts.sample_aspect_ratio < 1.1:
        found.append(f"Pixels are not square ({facts.sample_aspect_ratio:.2f}): faces look squeezed to the model.")
    return found
