"""The whole flow in one function: file -> frames -> faces -> people -> crops -> scores -> verdict."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Unpack

import numpy as np

from unmask.errors import UsageError
from unmask.faces import Detector, load_detector
from unmask.media import SignatureLog, Video, read_frames
from unmask.models import Card, Embedder, Fusion, find_fusion, load_network, model_folder
from unmask.runtime.parallel import prefetch
from unmask.scan.base import BaseScanner, PathLike
from unmask.scan.between import look_through
from unmask.scan.closer import CLOSE_SECONDS, ROUNDING_SECONDS, CloserLooks
from unmask.scan.completeness import completeness, damage_reason, damage_warnings, min_partial_frames
from unmask.scan.crops import Cutter
from unmask.scan.crowd import Crowd
from unmask.scan.decide import Judgement, judge
from unmask.scan.options import ScanKeywords, ScanOptions
from unmask.scan.people import number_people
from unmask.scan.pictures import pictures_of
from unmask.scan.reasons import why_unseen
from unmask.scan.sampler import KEYFRAMES, EvenSampler, KeyframeSampler, Sampler
from unmask.scan.scores import FaceScores
from unmask.scan.spans import with_spans
from unmask.scan.stillness import still_people
from unmask.scan.stills import as_picture, picture_card
from unmask.scan.stop import Adaptive, FullScan, Progress, Step, StopRule
from unmask.scan.timeline import max_gap_seconds, timeline_of, unseen_seconds
from unmask.scan.turning import (
    TriedFrames,
    Turn,
    find_turn,
    looks_upright,
    no_face_reason,
    turn_warnings,
    turned_video,
)
from unmask.sentences import coded
from unmask.types import DetectorSpec, Frame, ScoredFace, Status, Verdict


class Scanner(BaseScanner):
    """Judges videos with one model or an ensemble.

        scanner = Scanner()                                  # the bundled model
        scanner = Scanner("bundled", frames=16)              # fewer frames; see `ScanOptions` for all that can be set
        scanner = Scanner(["models/a", "models/b"])          # an ensemble: the mean of its members
        verdict = scanner.scan("clip.mp4")

    `scan_video` is the flow; the parts it puts together are made once, here: sampler, detector, cutter, networks, stop
    rule. Safe to use from several threads; loading takes about a second, so keep it.
    """

    max_faces: int | None = None
    """Faces that are judged in one video, at most; None for no limit."""
    finds_lost_turns: bool = True
    """Whether a video without upright faces is tried in the other orientations."""
    needs_every_second: bool = True
    """Whether a video is called real only where frames of each second were looked at; else an early stop is enough."""

    def __init__(
        self,
        models: PathLike | Sequence[PathLike] = "bundled",
        options: ScanOptions | None = None,
        **changes: Unpack[ScanKeywords],
    ) -> None:
        """Load the models and the face detector that their cards name.

        Args:
            models: A model's name or folder, or several for an ensemble. The first one's card sets fusion and
                thresholds; all must share the detector settings.
            options: How to scan; None for the defaults.
            changes: Fields of `ScanOptions`, which replace those of ``options``.

        Raises:
            ModelError: A model is missing or damaged, or its card names an unknown fusion rule.
            UsageError: An option makes no sense, a model is no judge, or the models search faces in different ways.
        """
        names = [models] if isinstance(models, (str, os.PathLike)) else list(models)
        if not names:
            raise UsageError("a scan needs at least one model; name one, or several for an ensemble")
        self.options = (options or ScanOptions()).changed(**changes)
        folders = [model_folder(name) for name in names]
        self.networks = tuple(load_network(folder, self.options.precision, self.options.device) for folder in folders)
        self.cards = _fused_by([network.card for network in self.networks], self.options.fuse)
        _check_cards(self.cards)
        self.embedder = Embedder(self.options.identity) if self.options.identity is not None else None
        self._same_below = self.embedder.card.same_below if self.embedder else None
        self.sampler = self.make_sampler(self.options)
        self.detector = self.make_detector(self.cards[0].crop.detection)
        self.search_seconds = self.cards[0].crop.detection.search_seconds
        self.cutter = Cutter(self.cards, self.embedder, pictures=self.options.pictures)
        self.stop_rule = self.make_stop_rule(self.options)
        models_used = [
            {"name": card.name, "version": card.version, "sha256": card.files[network.weights_file].sha256}
            for card, network in zip(self.cards, self.networks, strict=True)
        ]
        super().__init__(
            models_used,
            self._settings(),
            workers=self.options.workers,
            limits=self.options.limits,
            colours=self.cards[0].crop.colours,
            trust=self.options.trust,
        )

    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge an open video: the flow, from its frames to its verdict."""
        card, log, scored = self.cards[0], SignatureLog(), list[ScoredFace]()
        scores = FaceScores(self.networks, max_faces=self.max_faces, pictures=self.options.pictures)
        crowd = Crowd(self.detector, self.limits.seconds, video.facts.duration_seconds)
        tried = TriedFrames()
        signed, known = (
            0,
            dict[int, list[int]](),
        )  # frames whose signatures the shots are made of; who is in which frame
        progress = Progress(
            wanted=self.sampler.pick(video),
            looked=np.empty(0, np.int64),
            all_members=len(self.networks),
            members=0,
            judgement=None,
            is_whole=True,
            thresholds=card.thresholds,
            is_pooled=card.fusion.pooled,
            min_frames=card.fusion.min_frames,
            timeline=timeline_of(video),
        )
        while (step := self.stop_rule.next_step(progress)) is not None:
            scores.ask(step.members)
            tried.expect(step.frames)
            least_side_px = partial(_least_side_px, scores, step)
            frames = prefetch(read_frames(video, step.frames, log))  # file -> frames
            for frame, faces in look_through(crowd, frames, least_side_px, self.search_seconds):  # frames -> faces
                crops = self.cutter.cut(frame, faces)  # faces -> crops
                scores.add(frame, crops)  # crops -> scores, in batches, while further frames are decoded
                tried.add(frame)
            timeline = progress.timeline.with_shots(log) if len(log) > signed else progress.timeline
            signed = len(log)
            people = number_people(scores.frames(), timeline.shots, self._same_below, known)  # faces -> people
            known = {seen.index: numbers for seen, numbers in zip(scores.frames(), people, strict=True)}
            scored = scores.scored_faces(people)
            looked = np.concatenate([progress.looked, step.frames])
            progress = replace(
                progress,
                looked=looked,
                members=scores.members,
                judgement=crowd.limit(self._judgement(video, scores, people, scored)),  # scores -> verdict
                is_whole=self._status(video, scores.decoded, len(looked))[0] == "ok",
                timeline=timeline,
                decoded=scores.decoded,
                decoded_indices=np.array([frame.index for frame in scores.frames()], np.int64),
                small_faces=scores.small_faces,
                dropped_faces=scores.dropped_faces,
                crowd_warnings=crowd.warnings(),
            )
        if not draft.turned_degrees and (turn := self._lost_turn(tried, scores)):
            return self.scan_video(turned_video(video, turn), replace(draft, turned_degrees=turn))
        verdict = with_spans(self.conclude(video, draft, progress), progress.decoded_indices, progress.timeline.shots)
        if video.facts.is_picture:
            verdict = as_picture(verdict, card)
        return replace(verdict, pictures=pictures_of(verdict.faces, scored, scores.small_frames()))

    def conclude(self, video: Video, draft: Verdict, progress: Progress) -> Verdict:
        """Put the judgement into words: status, reasons and warnings of the whole file."""
        status, asked = self._status(video, progress.decoded, len(progress.looked))
        judgement = progress.judgement
        known = replace(
            draft,
            models=self.models[: progress.members],
            frames_asked=asked,
            frames_decoded=progress.decoded,
            max_gap_seconds=max_gap_seconds(progress.decoded_indices, progress.timeline),
            frames_with_faces=len({frame.index for frame in judgement.frames}) if judgement else 0,
            warnings=(
                *damage_warnings(video.facts, status),
                *turn_warnings(draft.turned_degrees),
                *_image_warnings(video, progress),
            ),
        )
        if status == "unreadable":
            return replace(known, status=status, reasons=(damage_reason(progress.decoded, asked),))
        if judgement is None:
            least = self.cards[0].crop.min_side_px
            small = coded(
                "faces_too_small", f"The faces are too small to judge: below {least} pixels.", min_side_px=least
            )
            reason = (
                small if progress.small_faces else no_face_reason(progress.decoded, is_picture=video.facts.is_picture)
            )
            return replace(known, status="no_face", reasons=(reason,))
        early = _early_stop_reason(progress)
        is_settled = bool(early) and not self.needs_every_second
        unseen = _unseen_reason(judgement, progress, is_settled=is_settled)
        return replace(
            known,
            status=status,
            label="inconclusive" if unseen and judgement.label == "real" and not is_settled else judgement.label,
            fake_probability=judgement.fake_probability,
            reasons=(*judgement.reasons, *early, *unseen),
            warnings=(*known.warnings, *judgement.warnings),
            faces=judgement.faces,
            unjudged=judgement.unjudged,
            frames=judgement.frames,
        )

    def make_sampler(self, options: ScanOptions) -> Sampler:
        """Return what chooses the frames of a full scan; a subclass may choose others."""
        if options.sampling == KEYFRAMES:
            return KeyframeSampler(options.frames)
        return EvenSampler(options.frames, options.sampling)

    def make_detector(self, spec: DetectorSpec) -> Detector:
        """Return what finds faces; a subclass may find them otherwise."""
        return load_detector(spec)

    def make_stop_rule(self, options: ScanOptions) -> StopRule:
        """Return what decides how a scan goes on and when it stops; a subclass may decide otherwise."""
        rule = Adaptive() if options.adaptive is True else options.adaptive or FullScan()
        return CloserLooks(rule, options.frames, options.most_frames) if options.sampling == "time" else rule

    def min_decoded(self, asked: int) -> int:
        """Return how many of ``asked`` frames of a damaged video are worth a verdict; a subclass may ask for others."""
        return min_partial_frames(asked)

    def _judgement(
        self, video: Video, scores: FaceScores, people: Sequence[Sequence[int]], scored: Sequence[ScoredFace]
    ) -> Judgement | None:
        """Judge the faces so far; None where there is none that can be."""
        if not scored:
            return None
        frames = scores.frames()
        place_of = {seen.index: place for place, seen in enumerate(frames)}
        still = still_people(
            [face.person for face in scored],
            [place_of[face.index] for face in scored],
            [face.face.xyxy_px for face in scored],
            [seen.still for seen in frames],
            [seen.time_seconds for seen in frames],
        )
        cards = [picture_card(card) for card in self.cards] if video.facts.is_picture else self.cards
        return judge(scored, cards[: scores.members], scores.small(people), still)

    def _lost_turn(self, tried: TriedFrames, scores: FaceScores) -> Turn:
        """Return the turn that the video lacks; 0 where its faces stand upright, or none is found any way up."""
        faces = [[cut.face for cut in seen.faces] for seen in scores.frames()]
        if not self.finds_lost_turns or not tried.images or looks_upright(faces):
            return 0
        return find_turn(tried.images, self.detector)

    def _status(self, video: Video, decoded: int, looked: int) -> tuple[Status, int]:
        """Return the status that the number of decoded frames earns, and how many there should have been."""
        facts, frames, asked = video.facts, self.options.frames, looked
        if facts.is_picture:
            return completeness(facts, decoded, asked, 1), asked
        if facts.cut_short:
            asked = max(looked, min(frames, facts.frames_claimed or frames))
        return completeness(facts, decoded, asked, self.min_decoded(asked)), asked

    def _settings(self) -> dict[str, Any]:
        """Return all that is needed to repeat a scan, JSON-ready."""
        rule = self.stop_rule.rule if isinstance(self.stop_rule, CloserLooks) else self.stop_rule
        adaptive = rule if isinstance(rule, Adaptive) else None
        return {
            "scanner": type(self).__name__,
            "frames": self.options.frames,
            "max_frames": self.options.most_frames if isinstance(self.stop_rule, CloserLooks) else None,
            "sampling": self.options.sampling,
            "adaptive": asdict(adaptive) if adaptive else None,
            "limits": asdict(self.options.limits),
            "identity": asdict(self.embedder.card) if self.embedder else None,
            "precision": [network.precision for network in self.networks],
            "crops": [asdict(card.crop) for card in self.cards],
            "fusion": asdict(self.cards[0].fusion),
            "thresholds": asdict(self.cards[0].thresholds),
            "calibration": [asdict(card.calibration) for card in self.cards],
        }


def _least_side_px(scores: FaceScores, step: Step, frame: Frame) -> float:
    """Return the side from which on faces are looked for; 0 for all."""
    return scores.large_side_px if frame.index in step.quick else 0.0


def _fused_by(cards: Sequence[Card], fuse: str | Fusion | None) -> tuple[Card, ...]:
    """Replace the cards' fusion, all but the weights, where ``fuse`` says so."""
    if fuse is None:
        return tuple(cards)
    fusion = find_fusion(fuse) if isinstance(fuse, str) else fuse
    return tuple(replace(card, fusion=replace(fusion, weight=card.fusion.weight)) for card in cards)


def _check_cards(cards: Sequence[Card]) -> None:
    """Refuse models that do not judge, or that do not fit together."""
    for card in cards:
        if card.kind != "judge":
            raise UsageError(f"{card.name} is a {card.kind} and scores no faces; unmask models list tells the judges")
    if any(card.crop.detection != cards[0].crop.detection for card in cards):
        raise UsageError("these models search faces with different settings and cannot share one scan")
    if len(colours := {card.crop.colours for card in cards}) > 1:
        raise UsageError(f"these models see different colours, {' and '.join(sorted(colours))}; scan with one kind")


def _image_warnings(video: Video, progress: Progress) -> list[str]:
    """Say what in the images limits the answer."""
    found, ratio = [], video.facts.sample_aspect_ratio
    if progress.small_faces:
        small = progress.small_faces
        found.append(f"{small} faces were too small to judge." if small > 1 else "One face was too small to judge.")
    found += progress.crowd_warnings
    if not 0.9 < ratio < 1.1:
        found.append(f"Pixels are not square ({ratio:.2f}): faces look squeezed to the model.")
    if video.facts.high_range:
        found.append(
            f"The footage is of high dynamic range ({video.facts.high_range}): the model saw it brought to ordinary "
            "brightness, as no footage it was trained with."
        )
    if video.facts.is_followed:
        found.append("Another recording follows in the file, and was not looked at: files were joined; split it again.")
    if video.facts.interlaced:
        found.append("The footage is interlaced: where rows show two moments, the model saw one, at half the detail.")
    return found


def _unseen_reason(judgement: Judgement, progress: Progress, *, is_settled: bool) -> tuple[str, ...]:
    """Say how far frames are apart, where a manipulation of a second may lie between them and nobody is accused.

    Args:
        judgement: Of the video.
        progress: What was looked at.
        is_settled: Whether the video is called real all the same.
    """
    if judgement.label == "fake":
        return ()
    gap_seconds = unseen_seconds(progress.decoded_indices, progress.timeline)
    if gap_seconds <= CLOSE_SECONDS + ROUNDING_SECONDS:
        return ()
    return (
        why_unseen(gap_seconds, progress.timeline.end_seconds, is_clean=judgement.label == "real" and not is_settled),
    )


def _early_stop_reason(progress: Progress) -> tuple[str, ...]:
    """Say how much of a full scan was enough, where something was left out."""
    looked, frames = int(np.isin(progress.wanted, progress.looked).sum()), len(progress.wanted)
    if (looked, progress.members) == (frames, progress.all_members):
        return ()
    used, models = progress.members, progress.all_members
    text = f"{looked} of {frames} frames and {used} of {models} models were enough to tell."
    return (coded("stopped_early", text, looked=looked, asked=frames, used_models=used, all_models=models),)
