"""The whole flow on one page: file -> frames -> faces -> people -> crops -> scores -> verdict."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.errors import DownloadError, InputError, UsageError
from unmask.faces import load_detector
from unmask.media import SAMPLINGS, Limits, Video, open_video_file, pick_frames, read_frames, sha256_of
from unmask.models import FUSIONS, Card, Embedder, Fusion, load_network, model_folder
from unmask.runtime.parallel import Failure, Stopped, cores, map_items, prefetch
from unmask.scan.decide import Judgement, judge
from unmask.scan.faces import Seen
from unmask.scan.inputs import list_inputs, open_input
from unmask.scan.stop import Adaptive, Step
from unmask.systems.winner import released
from unmask.types import MediaFacts, Status, Verdict

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

    exact: bool = False
    """Whether the faults of a released code are repeated, see `unmask.systems.winner.released`."""

    def __init__(
        self,
        models: PathLike | Sequence[PathLike] = "bundled",
        *,
        frames: int = 32,
        sampling: str = "time",
        precision: str = "auto",
        device: str = "auto",
        workers: int | None = None,
        fuse: str | Fusion | None = None,
        adaptive: bool | Adaptive = False,
        identity: PathLike | None = None,
        exact: bool = False,
        limits: Limits = Limits(),  # noqa: B008 - frozen
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
            fuse: How scores become one number: a name in `unmask.models.FUSIONS`, or rules; None for the first card's.
            adaptive: Look at frames and ask members only while the verdict is open; see `Adaptive` for the rule.
            identity: Folder of a face embedder, which joins the tracks of one person across shots; see
                `unmask.models.embedder`.
            exact: With the faults of the challenge winner's released code; see `unmask.systems.winner.released`.
            limits: What one file may cost.

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
        if adaptive and exact:
            raise UsageError("an exact scan looks at everything; leave out adaptive")
        self.networks = tuple(load_network(model_folder(name), precision, device) for name in names)
        self.cards = _with_fusion([network.card for network in self.networks], fuse)
        self.frames, self.sampling, self.workers = frames, sampling, workers or cores()
        self.adaptive = Adaptive() if adaptive is True else adaptive or None
        self.embedder = Embedder(identity) if identity is not None else None
        self.exact, self.limits = exact, limits
        detection = self.cards[0].crop.detection
        if any(card.crop.detection != detection for card in self.cards):
            raise UsageError("these models search faces with different settings and cannot share one scan")
        self.detector = released.HalfSize(detection) if exact else load_detector(detection)
        self.settings: dict[str, Any] = {
            "frames": frames,
            "sampling": sampling,
            "adaptive": asdict(self.adaptive) if self.adaptive else None,
            "exact": exact,
            "limits": asdict(limits),
            "identity": asdict(self.embedder.card) if self.embedder else None,
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
            try:
                verdict = self._scan(path, stopping)
            except Stopped:
                raise
            except Exception as error:
                log.exception("scanning %r failed", os.fspath(path))
                reason = f"unmask failed, not the file: {type(error).__name__}: {error}"
                verdict = replace(self._blank(path), reasons=(reason,))
            if on_verdict is not None:
                on_verdict(verdict)
            return verdict

        for _, outcome in map_items(scan, items, self.workers, stopping):
            if isinstance(outcome, Failure):
                raise outcome.error  # on_verdict could not take it
            yield outcome

    def _scan(self, path: PathLike, stopping: threading.Event) -> Verdict:
        started, blank = time.perf_counter(), self._blank(path)
        try:
            with open_input(path, self.limits.download_bytes, stopping.is_set) as file:
                blank = replace(blank, sha256=(sha256 := sha256_of(file)))
                with open_video_file(file, sha256, self.limits) as video:
                    verdict = self._examine(blank, video, stopping)
        except (InputError, DownloadError) as error:
            if stopping.is_set():  # what went wrong may be that nobody waits any more
                raise Stopped from None
            verdict = self._restated(replace(blank, status=error.status, reasons=(str(error),)))
        return replace(verdict, elapsed_seconds=time.perf_counter() - started)

    def _examine(self, blank: Verdict, video: Video, stopping: threading.Event) -> Verdict:
        seen = self._look(video, stopping)
        return self._restated(self._judge(blank, video, seen), seen.dropped)

    def _restated(self, verdict: Verdict, dropped: int = 0) -> Verdict:
        return released.restate(verdict, self.frames, dropped) if self.exact else verdict

    def _blank(self, path: PathLike) -> Verdict:
        settings = self.settings | {"hash": self.settings_hash}
        return Verdict(os.fspath(path), "internal_error", None, None, models=self.models, settings=settings)

    def _look(self, video: Video, stopping: threading.Event) -> Seen:
        """Frames -> faces -> people -> crops -> scores, frame by frame; stage by stage where the scan is adaptive."""
        wanted = self._pick(video)
        everybody = 1 if self.adaptive else len(self.networks)
        most = released.MOST_FACES if self.exact else None
        seen = Seen(self.networks, everybody, most_faces=most, embedder=self.embedder)
        stages = self.adaptive.stages(wanted) if self.adaptive else [wanted]
        step: Step = "frames"
        while step != "stop":
            if step == "frames":
                self._note(video, seen, stages.pop(0), stopping)
            else:
                seen.ask_another()
            step = self._next_step(video, seen, len(wanted))
        return seen

    def _note(self, video: Video, seen: Seen, indices: NDArray[np.int64], stopping: threading.Event) -> None:
        seen.asked += len(indices)
        for frame in prefetch(read_frames(video, indices)):
            if stopping.is_set():
                raise Stopped
            seen.note(frame, self.detector.detect(frame.image_HW3))

    def _pick(self, video: Video) -> NDArray[np.int64]:
        if self.exact:
            return released.stalled_frames(video, self.frames)
        return pick_frames(video, self.frames, self.sampling)

    def _next_step(self, video: Video, seen: Seen, wanted: int) -> Step:
        """Return what to look at next; a damaged video is looked at as a whole."""
        if self.adaptive is None:
            return "stop"
        frames_left, members_left = 1 - seen.asked / wanted, 1 - seen.members / len(self.networks)
        if not (frames_left or members_left):
            return "stop"
        judgement = self._judgement(seen)
        if judgement is not None and self._completeness(video, seen)[0] == "ok":
            return self.adaptive.next_step(judgement, self.cards[0], frames_left, members_left)
        if frames_left:
            return "frames"
        return "stop" if judgement is None else "member"

    def _judgement(self, seen: Seen) -> Judgement | None:
        sightings = seen.sightings()
        return judge(sightings, self.cards[: seen.members]) if sightings else None

    def _judge(self, blank: Verdict, video: Video, seen: Seen) -> Verdict:
        """Scores -> verdict."""
        judgement = self._judgement(seen)
        status, asked = self._completeness(video, seen)
        known = replace(
            blank,
            media=video.facts,
            models=self.models[: seen.members],
            frames_asked=asked,
            frames_decoded=seen.decoded,
            frames_with_faces=len({frame.index for frame in judgement.frames}) if judgement else 0,
            warnings=tuple(_media_warnings(video, seen, status)),
        )
        if status == "unreadable":
            reason = f"The file is damaged: {seen.decoded} of {asked} frames could be decoded."
            return replace(known, status=status, reasons=(reason,))
        if judgement is None:
            small = f"The faces are too small to judge: below {self.cards[0].crop.min_side_px} pixels."
            reason = small if seen.small else f"No face was found in {seen.decoded} frames."
            return replace(known, status="no_face", reasons=(reason,))
        return replace(
            known,
            status=status,
            label=judgement.label,
            fake_probability=judgement.fake_probability,
            reasons=(*judgement.reasons, *self._spared(video, seen)),
            warnings=(*known.warnings, *judgement.warnings),
            faces=judgement.faces,
            frames=judgement.frames,
        )

    def _spared(self, video: Video, seen: Seen) -> tuple[str, ...]:
        """Say how much of a full scan was enough."""
        frames, members = len(self._pick(video)), len(self.networks)
        if (seen.asked, seen.members) == (frames, members):
            return ()
        return (f"{seen.asked} of {frames} frames and {seen.members} of {members} models were enough to tell.",)

    def _completeness(self, video: Video, seen: Seen) -> tuple[Status, int]:
        """Return the status that the number of decoded frames earns, and how many there should have been."""
        facts, asked = video.facts, seen.asked
        if facts.cut_short:
            asked = min(self.frames, max(asked, facts.frames_claimed or self.frames))
        return completeness(facts, seen.decoded, asked, 1 if self.exact else None), asked


def completeness(facts: MediaFacts, decoded: int, asked: int, least: int | None = None) -> Status:
    """Return the status that the number of decoded frames earns.

    Args:
        facts: Of the video.
        decoded: Frames.
        asked: Frames.
        least: Frames of a damaged video that are worth a verdict; None for the usual number.
    """
    if decoded == asked and not facts.cut_short:
        return "ok"
    least = least or max(MIN_PARTIAL_FRAMES, math.ceil(MIN_PARTIAL_SHARE * asked))
    return "ok_partial" if decoded >= least else "unreadable"


def damages(facts: MediaFacts, status: Status) -> list[str]:
    """Say in a sentence what is missing of a video."""
    if facts.cut_short:
        return [f"The file is cut short: its header promises more than the {facts.frames} frames that are there."]
    return [] if status == "ok" else ["The file is damaged: some frames could not be decoded."]


def _with_fusion(cards: Sequence[Card], fuse: str | Fusion | None) -> tuple[Card, ...]:
    """Replace the cards' fusion, all but the weights, where ``fuse`` says so."""
    if isinstance(fuse, str):
        if fuse not in FUSIONS:
            raise UsageError(f"unknown fusion {fuse!r}; use one of {', '.join(FUSIONS)}")
        fuse = FUSIONS[fuse]
    if fuse is None:
        return tuple(cards)
    return tuple(replace(card, fusion=replace(fuse, weight=card.fusion.weight)) for card in cards)


def _media_warnings(video: Video, seen: Seen, status: Status) -> list[str]:
    facts = video.facts
    found = damages(facts, status)
    if seen.small:
        found.append(f"{seen.small} faces were too small to judge.")
    if not 0.9 < facts.sample_aspect_ratio < 1.1:
        found.append(f"Pixels are not square ({facts.sample_aspect_ratio:.2f}): faces look squeezed to the model.")
    return found
