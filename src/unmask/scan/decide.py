"""From the scores of single faces to a verdict in words: people, thresholds, reasons."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.crop import crop_region
from unmask.models import Card, fuse
from unmask.models.clip_fusion import deciding_faces, fuse_clip_and_people
from unmask.models.fusion import fuse_person
from unmask.models.passages import strongest_run
from unmask.scan.reasons import pool_reasons, reasons, why_not_real
from unmask.scan.unjudged import SmallFace, find_unjudged, median_quality
from unmask.types import CropSpec, Face, FrameScore, ImageHW3, Label, Passage, PersonVerdict, ScoredFace, UnjudgedPerson


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the scored faces of one video amount to."""

    label: Label
    fake_probability: float
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    faces: tuple[PersonVerdict, ...]
    frames: tuple[FrameScore, ...]
    unjudged: tuple[UnjudgedPerson, ...] = ()


def judge(
    scored: Sequence[ScoredFace],
    cards: Sequence[Card],
    small: Sequence[SmallFace] = (),
    still: Collection[int] = (),
) -> Judgement:
    """Fuse the scores of faces by the rules of the first card's `Fusion`, and say why.

    Each person is judged on their own, so one manipulated face among many is found and named. A person seen in fewer
    than the card's ``min_frames``, or below its floor of quality, never decides a label while others can be judged.
    ``real`` needs everybody to be judged, and nobody above the threshold; see `unmask.scan.unjudged`.

    Args:
        scored: At least one face, in order of time.
        cards: One for each model. The first one's fusion, thresholds and floor hold for the ensemble.
        small: Faces that were too small to be scored, in order of time.
        still: Numbers of the people who never move.
    """
    lead = cards[0]
    people: dict[int, list[ScoredFace]] = {}
    for face in scored:
        people.setdefault(face.person, []).append(face)
    unjudged = find_unjudged(people, small, still, lead)
    why = {person.person: person.why for person in unjudged}
    deciding = deciding_faces(
        [face.person for face in scored],
        [face.index for face in scored],
        [face.face.side_px for face in scored],
        lead.fusion,
        [why.get(face.person) != "blurred" for face in scored],
    )
    probability, evidence_P = fuse_clip_and_people(
        _scores(scored), deciding, lead.fusion, _weights(cards), _times(scored)
    )
    numbers = [scored[faces[0]].person for faces in deciding.people]
    evidence = {} if evidence_P is None else dict(zip(numbers, evidence_P.tolist(), strict=True))
    faces = sorted(
        (_judge_person(group, cards, evidence.get(person), why.get(person)) for person, group in people.items()),
        key=lambda person: (why.get(person.person, "still") != "still", -person.fake_probability),
    )
    judged = [person for person in faces if why.get(person.person, "still") == "still"]
    label = deciding.limit(lead.thresholds.label(probability))
    if label == "real" and not lead.fusion.pooled and not _all_real(judged, unjudged, lead):
        label = "inconclusive"
    if deciding.pooled:
        words = (*pool_reasons(probability, len(deciding.people[0]), lead), *_gaps(label, unjudged, lead))
    else:
        words = reasons(label, probability, judged, unjudged, lead)
    return Judgement(
        label=label,
        fake_probability=probability,
        reasons=words,
        warnings=_warnings(faces, unjudged),
        faces=tuple(faces),
        unjudged=unjudged,
        frames=tuple(_frame_score(face) for face in scored),
    )


def _all_real(judged: Sequence[PersonVerdict], unjudged: Sequence[UnjudgedPerson], card: Card) -> bool:
    """Say whether everybody who matters was judged, and nobody is above the threshold of ``real``."""
    highest = max(person.fake_probability for person in judged)
    below = card.fusion.people != "max" or highest <= card.thresholds.real_below
    return below and not any(person.matters for person in unjudged)


def _gaps(label: Label, unjudged: Sequence[UnjudgedPerson], card: Card) -> tuple[str, ...]:
    """Say who of those that were judged together cannot be seen well enough."""
    if label == "fake" or card.fusion.pooled:
        return ()
    return why_not_real([person for person in unjudged if person.why != "brief"], card)


def _frame_score(scored: ScoredFace) -> FrameScore:
    face, probability = scored.face, scored.fake_probability
    where = (scored.person, scored.index, scored.time_seconds, face.xyxy_px, face.confidence)
    return FrameScore(*where, probability, scored.quality)


def _scores(scored: Sequence[ScoredFace]) -> NDArray[np.float64]:
    """Fake probabilities (M, n) of M models and n faces."""
    return np.array([[score.fake_probability for score in face.scores] for face in scored]).T


def _times(scored: Sequence[ScoredFace]) -> NDArray[np.float64]:
    """Times (n,) of n faces in seconds."""
    return np.array([face.time_seconds for face in scored])


def _weights(cards: Sequence[Card]) -> list[float]:
    return [card.fusion.weight for card in cards]


def _judge_person(
    group: Sequence[ScoredFace], cards: Sequence[Card], evidence: float | None, why: str | None
) -> PersonVerdict:
    """Judge one person over all their frames.

    Args:
        group: Their faces, in order of time.
        cards: One for each model.
        evidence: Their fake probability, discounted for the number of people who can be accused; None where all of it
            counts.
        why: Why the person cannot be judged, None if they can.
    """
    lead, scores_Mn = cards[0], _scores(group)
    probability = fuse_person(scores_Mn, lead.fusion, _weights(cards), _times(group))
    label = _label(probability, evidence, lead) if why in (None, "still") else "inconclusive"
    portrait = max(group, key=lambda scored: scored.clarity).portrait_SS3
    passage = _passage(group, scores_Mn, cards)
    traces = (
        group
        if passage is None
        else [face for face in group if passage.start_seconds <= face.time_seconds <= passage.end_seconds]
    )
    return PersonVerdict(
        person=group[0].person,
        label="inconclusive" if (label, why) == ("real", "still") else label,
        fake_probability=probability,
        start_seconds=group[0].time_seconds,
        end_seconds=group[-1].time_seconds,
        frames=len(group),
        models=_by_model(scores_Mn, cards),
        thumbnail_jpeg=thumbnail_jpeg(portrait),
        region=_region(traces, lead.crop) if label == "fake" else None,
        quality=median_quality(group),
        passage=passage,
    )


def _label(probability: float, evidence: float | None, card: Card) -> Label:
    label = card.thresholds.label(probability)
    if label == "fake" and evidence is not None and card.thresholds.label(evidence) != "fake":
        return "inconclusive"
    return label


def _passage(group: Sequence[ScoredFace], scores_Mn: NDArray[np.float64], cards: Sequence[Card]) -> Passage | None:
    """Return where the traces are, None where they fill all frames or are not searched for."""
    rule = cards[0].fusion.passages
    if rule is None:
        return None
    run = strongest_run(np.average(scores_Mn, axis=0, weights=_weights(cards)), rule, _times(group))
    if run.stop - run.start == len(group):
        return None
    first, last = group[run.start], group[run.stop - 1]
    return Passage(first.time_seconds, last.time_seconds, run.stop - run.start, run.mean)


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


def _warnings(faces: Sequence[PersonVerdict], unjudged: Sequence[UnjudgedPerson]) -> tuple[str, ...]:
    found = []
    if fleeting := [person for person in unjudged if person.why == "brief"]:
        were = "was" if len(fleeting) == 1 else "were"
        found.append(f"{len(fleeting)} of {len(faces)} people {were} seen in too few frames to be judged.")
    if background := [person for person in unjudged if person.why == "small" and not person.matters]:
        several = len(background) > 1
        count = f"{len(background)} small faces" if several else "One small face"
        found.append(f"{count} in the background {'were' if several else 'was'} not judged.")
    if split := [face for face in faces if max(face.models.values()) - min(face.models.values()) > 0.5]:
        found.append(f"The models disagree about person {', '.join(str(face.person) for face in split)}.")
    return tuple(found)
