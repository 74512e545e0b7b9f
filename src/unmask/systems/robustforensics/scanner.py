"""RobustForensics' whole flow: file -> frames -> faces -> tubes -> aligned crops -> eleven models -> verdict.

    scanner = RobustScanner()                       # those of its models that are installed
    verdict = scanner.scan("clip.mp4")

The fourth place of the challenge links boxes to tubes, cuts every frame of a tube at one size, and shows the tubes to
video and image models. `rules` beside this file has its rules, `members` the table of its models.

Source: Siyu-C/RobustForensics. Shape letters: F frames of a tube, S side of a crop.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError, UnreadableError, UsageError
from unmask.faces import load_detector
from unmask.faces.tubes import AlignedCrop, AlignedFaces, boxes_of_faces, plan_tubes
from unmask.media import Limits, Video, read_frames
from unmask.models import Card, Network, model_folder, model_names
from unmask.models.clip_network import ClipNetwork
from unmask.models.fusion import by_majority, clearest, probability
from unmask.runtime.parallel import prefetch
from unmask.scan.base import BaseScanner, PathLike
from unmask.scan.completeness import completeness, damage_reason, damage_warnings
from unmask.scan.decide import thumbnail_jpeg
from unmask.sentences import coded
from unmask.systems.robustforensics.members import COLOURS, DETECTION, MEMBERS, Member
from unmask.systems.robustforensics.rules import (
    MAX_FACES,
    MAX_FRAMES,
    every_nth,
    fuse_members,
    group_scores,
    image_frames,
    shrink,
)
from unmask.types import THUMBNAIL_PX, DetectorSpec, FrameScore, ImageHW3, PersonVerdict, Status, Verdict

log = logging.getLogger(__name__)

AlignedTube = tuple[AlignedCrop, ...]
CropsByPosition = dict[int, ImageHW3]
"""Position within the tube -> crop, (S, S, 3)."""


class RobustScanner(BaseScanner):
    """Judges videos as RobustForensics did, with whichever of its models are installed.

    A model that is missing or fails is left out, and the verdict's warnings say so; the others' weights then count for
    more. Where none is left there is no score. Safe to use from several threads.
    """

    def __init__(
        self,
        models: Mapping[str, PathLike] | None = None,
        *,
        members: Sequence[Member] = MEMBERS,
        detection: DetectorSpec = DETECTION,
        precision: str = "auto",
        workers: int | None = None,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        trust: PathLike | None = None,
    ) -> None:
        """Load the models and the face detector.

        Args:
            models: Member's name -> name or folder of its model; None for those that are installed under
                ``robustforensics-<name>``.
            members: The ensemble; for tests and for ensembles of one's own.
            detection: How faces are looked for. Another detector than RetinaFace changes the scores.
            precision: ``fp32``, ``bf16`` or ``auto``.
            workers: Videos that `scan_many` has under way at a time; None for one per core.
            limits: What one file may cost.
            trust: PEM file of the certificates whose owners are trusted to sign C2PA manifests; None for nobody.

        Raises:
            ModelError: No model, or not the detector's, is installed.
            UsageError: An argument makes no sense.
        """
        unknown = sorted(set(models or ()) - {member.name for member in members})
        if unknown:
            known = ", ".join(member.name for member in members)
            raise UsageError(f"the models of this ensemble are {known}; {unknown[0]!r} is none of them")
        self.members = tuple(members)
        self._absent: list[str] = []
        self._unusable: list[str] = []
        self._networks: dict[str, Network | ClipNetwork] = {}
        for member in members:
            self._load(member, models, precision)
        if not self._networks:
            raise ModelError(
                f"no model of the ensemble can be used; {' '.join(self._left_out())} Import the published checkpoints, "
                "see: unmask models import --help"
            )
        self.cards = tuple(network.card for network in self._networks.values())
        self.detector = load_detector(detection)
        settings = {
            "scanner": type(self).__name__,
            "system": "robustforensics",
            "limits": asdict(limits),
            "frames": MAX_FRAMES,
            "faces": MAX_FACES,
            "colours": COLOURS,
            "detection": asdict(detection),
            "precision": {name: network.precision for name, network in self._networks.items()},
            "members": [asdict(member) for member in members if member.name in self._networks],
            "thresholds": asdict(self.cards[0].thresholds),
        }
        models_used = [
            {"name": card.name, "version": card.version, "sha256": card.files["model.onnx"].sha256}
            for card in self.cards
        ]
        super().__init__(models_used, settings, workers=workers, limits=limits, colours=COLOURS, trust=trust)

    def _load(self, member: Member, models: Mapping[str, PathLike] | None, precision: str) -> None:
        """Load a member, or remember why it cannot be."""
        if member.name not in models if models is not None else member.model not in model_names():
            self._absent.append(member.name)
            return
        try:
            folder = model_folder(member.model if models is None else models[member.name])
            network = ClipNetwork(folder, precision) if member.group == "video" else Network(folder, precision)
            if network.card.crop.size_px != member.side_px:
                raise ModelError(f"it takes crops of {network.card.crop.size_px} pixels, not of {member.side_px}")
        except ModelError as error:
            self._unusable.append(f"The model {member.name} is left out: {error}.")
        else:
            self._networks[member.name] = network

    def _left_out(self) -> list[str]:
        """Say which members are not asked, in sentences."""
        names = ", ".join(self._absent)
        absent = [f"{len(self._absent)} of {len(self.members)} models are not installed and left out: {names}."]
        return (absent if self._absent else []) + self._unusable

    def scan_video(self, video: Video, draft: Verdict) -> Verdict:
        """Judge an open video: the flow, from its frames to its verdict."""
        plan, asked = self._find_tubes(video)  # file -> frames -> faces -> tubes, by their boxes alone
        status = completeness(video.facts, plan.num_frames, asked)
        known = replace(
            draft,
            frames_asked=asked,
            frames_decoded=plan.num_frames,
            warnings=(*self._left_out(), *damage_warnings(video.facts, status)),
        )
        if status == "unreadable":
            return replace(known, status=status, reasons=(damage_reason(plan.num_frames, asked),))
        tubes = plan.crops[:MAX_FACES]
        if not tubes:
            frames = plan.num_frames
            reason = coded("mostly_no_face", f"Most of {frames} frames show no face.", frames=frames)
            return replace(known, status="no_face", reasons=(reason,))
        cut = _cut(video, tubes, self._sides())  # file -> frames -> crops
        answers = self._ask(cut, plan.num_frames)  # crops -> scores
        with_faces = {member.position for tube in plan.tubes[:MAX_FACES] for member in tube}
        known = replace(known, frames_with_faces=len(with_faces))
        return _verdict(known, status, video, plan, answers, self.cards[0], self.members)  # scores -> verdict

    def _find_tubes(self, video: Video) -> tuple[AlignedFaces, int]:
        """Look for faces and keep their boxes alone; also return how many frames were wanted."""
        wanted = np.array(every_nth(len(video.index), MAX_FRAMES), np.int64)
        boxes = {
            frame.index: boxes_of_faces(self.detector.detect(frame.image_HW3))
            for frame in prefetch(read_frames(video, wanted))
        }
        return plan_tubes(boxes, max(2, video.facts.height), max(2, video.facts.width)), len(wanted)

    def _sides(self) -> dict[int, bool]:
        """Return the sides of the crops that are needed, and whether of all frames or of the image models' alone."""
        sides: dict[int, bool] = {}
        for member in self.members:
            if member.name in self._networks:
                sides[member.side_px] = sides.get(member.side_px, False) or member.group == "video"
        return sides

    def _ask(self, cut: list[dict[int, CropsByPosition]], frames: int) -> _Answers:
        """Show the tubes to the models, one after the other; a model that fails is left out."""
        answers = _Answers(cut)
        for member in self.members:
            network = self._networks.get(member.name)
            try:
                if isinstance(network, ClipNetwork):
                    answers.scores[member.name] = [
                        _score_clip(network, crops_by_side[member.side_px]) for crops_by_side in cut
                    ]
                elif network is not None:
                    logits = [_logits(network, member, crops_by_side[member.side_px], frames) for crops_by_side in cut]
                    answers.scores[member.name] = [by_majority(group_scores(logits_F)) for logits_F in logits]
                    answers.logits[member.name] = logits
            except Exception as error:  # whatever it is, the other models can still answer
                log.exception("model %r failed", member.name)
                answers.failures.append(f"The model {member.name} failed and is left out: {error}")
        return answers


@dataclass(slots=True)
class _Answers:
    """What the models answer about the tubes of one video."""

    cut: list[dict[int, CropsByPosition]]
    """For each tube: side in pixels -> its crops."""
    scores: dict[str, list[float]] = field(default_factory=dict)
    """Member -> score of each tube."""
    logits: dict[str, list[NDArray[np.float64]]] = field(default_factory=dict)
    """Image member -> logits (F,) of each tube's frames."""
    failures: list[str] = field(default_factory=list)
    """Models that failed, and why, in sentences."""


def _cut(video: Video, tubes: Sequence[AlignedTube], sides: Mapping[int, bool]) -> list[dict[int, CropsByPosition]]:
    """Second pass: cut the crops out of their frames, resized linearly. They alone stay in memory."""
    chosen = set(image_frames(len(tubes[0])))
    wanted: dict[int, list[tuple[int, int]]] = {}  # frame -> tube and position of each crop that comes from it
    for number, tube in enumerate(tubes):
        for position, crop in enumerate(tube):
            if position in chosen or any(sides.values()):
                wanted.setdefault(crop.source_index, []).append((number, position))
    cut: list[dict[int, CropsByPosition]] = [{side: {} for side in sides} for _ in tubes]
    for frame in prefetch(read_frames(video, np.array(sorted(wanted), np.int64))):
        for number, position in wanted.pop(frame.index, ()):
            x, y, side_px = tubes[number][position].xy_side_px
            patch_HW3 = frame.image_HW3[y : y + side_px, x : x + side_px]
            for side, whole in sides.items():
                if whole or position in chosen:
                    resized = cv2.resize(patch_HW3, (side, side), interpolation=cv2.INTER_LINEAR)
                    cut[number][side][position] = resized
    if wanted:
        raise UnreadableError("frames that could be decoded once cannot be decoded again; the file may have changed")
    return cut


def _score_clip(network: ClipNetwork, crops: CropsByPosition) -> float:
    clip_FSS3 = np.stack([crops[position] for position in sorted(crops)])
    return network.score(clip_FSS3[None])[0].fake_probability


def _logits(network: Network, member: Member, crops: CropsByPosition, frames: int) -> NDArray[np.float64]:
    """Return the logits (F,) of a tube's frames that image models see."""
    crops_FSS3 = np.stack([crops[position] for position in image_frames(frames)])
    logits_F = np.array([score.logit for score in network.score(crops_FSS3)])
    if not member.mirrored:
        return logits_F
    return (logits_F + [score.logit for score in network.score(crops_FSS3[:, :, ::-1])]) / 2


def _verdict(
    known: Verdict,
    status: Status,
    video: Video,
    plan: AlignedFaces,
    answers: _Answers,
    card: Card,
    members: Sequence[Member],
) -> Verdict:
    """Scores of the models -> verdict."""
    known = replace(known, warnings=(*known.warnings, *answers.failures))
    if not answers.scores:
        reason = coded("every_model_failed", "Every model failed; the warnings say how.")
        return replace(known, status="internal_error", reasons=(reason,))
    faces = _faces(video, plan, answers, card, members)
    fused = _fuse({name: clearest(np.array(values)) for name, values in answers.scores.items()}, members)
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    people = "one person" if len(faces) == 1 else f"{len(faces)} people"
    text = (
        f"{len(answers.scores)} models together give {people} a fake probability of {fused:.2f} (thresholds "
        f"{low:.2f} and {high:.2f})."
    )
    reason = coded(
        "models_together", text, models=len(answers.scores), people=len(faces), probability=fused, real_below=low,
        fake_above=high,
    )  # fmt: skip
    return replace(
        known,
        status=status,
        label=card.thresholds.label(fused),
        fake_probability=fused,
        reasons=(reason,),
        faces=tuple(sorted(faces, key=lambda face: -face.fake_probability)),
        frames=tuple(_frame_scores(video, plan, answers)),
    )


def _fuse(scores: Mapping[str, float], members: Sequence[Member]) -> float:
    shrunk = {member.name for member in members if member.shrunk}
    return fuse_members({name: shrink(s) if name in shrunk else s for name, s in scores.items()}, members)


def _faces(
    video: Video, plan: AlignedFaces, answers: _Answers, card: Card, members: Sequence[Member]
) -> list[PersonVerdict]:
    """Judge each tube by itself, by the same rule of fusion."""
    faces = []
    for number, tube in enumerate(plan.tubes[:MAX_FACES]):
        scores = {name: values[number] for name, values in answers.scores.items()}
        fused = _fuse(scores, members)
        start, end = (float(video.index.times_seconds[plan.frame_indices[m.position]]) for m in (tube[0], tube[-1]))
        thumbnail = _thumbnail(plan.crops[number], answers.cut[number])
        label = card.thresholds.label(fused)
        faces.append(PersonVerdict(number + 1, label, fused, start, end, len(tube), scores, thumbnail))
    return faces


def _frame_scores(video: Video, plan: AlignedFaces, answers: _Answers) -> list[FrameScore]:
    """Return the plain mean of the image models' scores of each frame, in order of time."""
    found = []
    for number, tube in enumerate(plan.crops[:MAX_FACES] if answers.logits else ()):
        logits_MF = np.array([logits[number] for logits in answers.logits.values()])
        scores_F = probability(logits_MF).mean(0).tolist()
        for position, score in zip(image_frames(plan.num_frames), scores_F, strict=True):
            crop = tube[position]
            if crop.source_index == crop.frame_index:  # the face was seen in this very frame
                box = crop.member.box
                seconds = float(video.index.times_seconds[crop.frame_index])
                found.append(FrameScore(number + 1, crop.frame_index, seconds, box.corners, min(1.0, box.score), score))
    return sorted(found, key=lambda frame: (frame.index, frame.person))


def _thumbnail(tube: AlignedTube, crops_by_side: Mapping[int, CropsByPosition]) -> bytes:
    """Return the crop in which the detector was surest of the face, as JPEG."""
    crops = max(crops_by_side.values(), key=len)
    position = max(crops, key=lambda position: tube[position].member.box.score)
    small = cv2.resize(crops[position], (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return thumbnail_jpeg(small)
