"""From the scores of single faces to a verdict in words: people, thresholds, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.crop import crop_region
from unmask.models import Card, fuse
from unmask.models.fusion import deciding_faces, fuse_clip, fuse_person
from unmask.types import CropSpec, Face, FrameScore, ImageHW3, Label, PersonVerdict, ScoredFace


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scored faces of one video amount to."""

    label: Label
    """What the thresholds, and how much was seen, make of ``fake_probability``."""
    fake_probability: float
    """Fused over frames, people and models, 0 real to 1 fake."""
    reasons: tuple[str, ...]
    """Why, in sentences, most important first."""
    warnings: tuple[str, ...]
    """What limits the answer, in sentences."""
    faces: tuple[PersonVerdict, ...]
    """One entry for each person, most suspicious first; those seen in too few frames come last."""
    frames: tuple[FrameScore, ...]
    """One entry for each judged face in each frame, in order of time."""


def judge(scored: Sequence[ScoredFace], cards: Sequence[Card]) -> Judgement:
    """Fuse scored faces by the rules of the first card's `Fusion`, and say why.

    Each person is judged on their own, so one manipulated face among many is found and named. A person seen
    in fewer than the card's ``min_frames`` never decides a label while another was seen in enough.

    Args:
        scored: At least one face, in order of time.
        cards: One for each model. The first one's fusion and thresholds hold for the ensemble.
    """
    lead = cards[0]
    people: dict[int, list[ScoredFace]] = {}
    for face in scored:
        people.setdefault(face.person, []).append(face)
    faces = sorted(
        (_judge_person(group, cards) for group in people.values()),
        key=lambda face: (face.frames < lead.fusion.min_frames, -face.fake_probability),
    )
    deciding = deciding_faces(
        [face.person for face in scored],
        [face.index for face in scored],
        [face.face.side_px for face in scored],
        lead.fusion,
    )
    probability = fuse_clip(_scores(scored), deciding, lead.fusion, _weights(cards))
    label = deciding.limit(lead.thresholds.label(probability))
    if deciding.pooled:
        reasons = _pool_reasons(probability, len(deciding.people[0]), lead)
    else:
        steady = [face for face in faces if face.frames >= lead.fusion.min_frames]
        reasons = _reasons(label, probability, steady, lead)
    return Judgement(
        label=label,
        fake_probability=probability,
        reasons=reasons,
        warnings=_warnings(faces, cards),
        faces=tuple(faces),
        frames=tuple(_frame_score(face) for face in scored),
    )


def _frame_score(scored: ScoredFace) -> FrameScore:
    face = scored.face
    return FrameScore(
        scored.person, scored.index, scored.time_seconds, face.xyxy_px, face.confidence, scored.fake_probability
    )


def _scores(scored: Sequence[ScoredFace]) -> NDArray[np.float64]:
    """Fake probabilities (M, n) of M models and n faces."""
    return np.array([[score.fake_probability for score in face.scores] for face in scored]).T


def _weights(cards: Sequence[Card]) -> list[float]:
    return [card.fusion.weight for card in cards]


def _judge_person(group: Sequence[ScoredFace], cards: Sequence[Card]) -> PersonVerdict:
    lead, scores_Mn = cards[0], _scores(group)
    probability = fuse_person(scores_Mn, lead.fusion, _weights(cards))
    label = lead.thresholds.label(probability) if len(group) >= lead.fusion.min_frames else "inconclusive"
    portrait = max(group, key=lambda scored: scored.clarity).portrait_SS3
    return PersonVerdict(
        person=group[0].person,
        label=label,
        fake_probability=probability,
        start_seconds=group[0].time_seconds,
        end_seconds=group[-1].time_seconds,
        frames=len(group),
        models=_by_model(scores_Mn, cards),
        thumbnail_jpeg=thumbnail_jpeg(portrait),
        region=_region(group, lead.crop) if label == "fake" else None,
    )


def thumbnail_jpeg(portrait_SS3: ImageHW3) -> bytes:
    """Encode the portrait of a person as it stands in a verdict."""
    bgr_SS3 = cv2.cvtColor(portrait_SS3, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr_SS3, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()


def _by_model(scores_Mn: NDArray[np.float64], cards: Sequence[Card]) -> dict[str, float]:
    """Fuse each model's scores over frames; a name that occurs twice is numbered."""
    rule, result = cards[0].fusion.frames, {}
    for i, (card, scores_n) in enumerate(zip(cards, scores_Mn, strict=True)):
        name = card.name if card.name not in result else f"{card.name}-{i + 1}"
        result[name] = fuse(scores_n, rule)
    return result


def _region(group: Sequence[ScoredFace], spec: CropSpec) -> str | None:
    """Name the part of the face nearest to where the first model's maps, averaged, are strongest."""
    maps = [scored.scores[0].map_hw for scored in group if scored.scores[0].map_hw is not None]
    parts = [part for scored in group if (part := _landmarks_in_crop(scored.face, spec)) is not None]
    if not maps or not parts:
        return None
    mean_hw: NDArray[np.float32] = np.mean(maps, axis=0)
    row, column = np.unravel_index(int(mean_hw.argmax()), mean_hw.shape)
    peak_xy = (np.array([column, row]) + 0.5) / np.array(mean_hw.shape[::-1])
    parts_52: NDArray[np.float64] = np.mean(parts, axis=0)
    eye_distance = float(np.linalg.norm(parts_52[0] - parts_52[1]))
    distance = np.linalg.norm(parts_52 - peak_xy, axis=1)
    nearest = int(distance.argmin())
    if distance[nearest] > 0.6 * eye_distance:
        return "outline"
    return ("eyes", "eyes", "nose", "mouth", "mouth")[nearest]


def _landmarks_in_crop(face: Face, spec: CropSpec) -> NDArray[np.float64] | None:
    """Landmarks (5, 2) as shares of the crop's sides, None where the detector gave none."""
    if face.landmarks_px is None:
        return None
    left, top, right, bottom = crop_region(face, spec)
    side = max(right - left, bottom - top)
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return (face.landmarks_px.astype(np.float64) - centre) / side + 0.5


def _reasons(label: Label, probability: float, faces: Sequence[PersonVerdict], card: Card) -> tuple[str, ...]:
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    accused = tuple(_accusation(face, high) for face in faces if face.label == "fake")
    if card.fusion.people != "max":
        who = "The one person scores" if len(faces) == 1 else f"All {len(faces)} people together score"
        return (f"{who} {probability:.2f} (thresholds {low:.2f} and {high:.2f}).", *accused)
    if label == "inconclusive":
        whose = f"The fake probability {probability:.2f} of person {faces[0].person}"
        return (f"{whose} lies between {low:.2f} and {high:.2f}, where this model cannot tell.",)
    if label == "real":
        who = "The one person" if len(faces) == 1 else f"All {len(faces)} people"
        return (f"{who} scored at most {probability:.2f} (threshold {low:.2f}): no trace of manipulation was found.",)
    return accused


def _pool_reasons(probability: float, count: int, card: Card) -> tuple[str, ...]:
    """Say why all faces were judged together: by choice of the card, or because everyone is seen too briefly."""
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    together = f"All {count} faces together score {probability:.2f} (thresholds {low:.2f} and {high:.2f})."
    if card.fusion.pooled:
        return (together,)
    fleeting = f"Nobody was seen in {card.fusion.min_frames} frames or more."
    if count < 2 * card.fusion.min_frames:
        return (f"{fleeting} That is too few to judge.",)
    return (f"{fleeting} {together}",)


def _accusation(face: PersonVerdict, threshold: float) -> str:
    when = f"from {face.start_seconds:.1f} s to {face.end_seconds:.1f} s"
    score = f"fake probability {face.fake_probability:.2f} over {face.frames} frames (threshold {threshold:.2f})"
    where = f" The strongest traces are at the {face.region}." if face.region else ""
    return f"Person {face.person} looks manipulated {when}: {score}.{where}"


def _warnings(faces: Sequence[PersonVerdict], cards: Sequence[Card]) -> tuple[str, ...]:
    found = []
    if fleeting := [face for face in faces if face.frames < cards[0].fusion.min_frames]:
        found.append(f"{len(fleeting)} of {len(faces)} people were seen in too few frames to be judged.")
    if split := [face for face in faces if max(face.models.values()) - min(face.models.values()) > 0.5]:
        found.append(f"The models disagree about person {', '.join(str(face.person) for face in split)}.")
    return tuple(found)
