"""From the scores of single faces to a verdict in words: people, thresholds, reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces.crop import crop_region
from unmask.models import Card, CropScore, fuse
from unmask.types import CropSpec, Face, FaceVerdict, FrameScore, ImageHW3, Label

THUMBNAIL_PX = 96


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame, with what each model says of it."""

    person: int
    """Number of the person, from 1."""
    index: int
    """Frame index, see `unmask.types.Frame.index`."""
    time_seconds: float
    """Time since the first frame."""
    face: Face
    """Where it is."""
    scores: tuple[CropScore, ...]
    """One for each model."""

    @property
    def fake_probability(self) -> float:
        """Mean over the models, 0 real to 1 fake."""
        return float(np.mean([score.fake_probability for score in self.scores]))


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the sightings of one video amount to."""

    label: Label
    fake_probability: float
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    faces: tuple[FaceVerdict, ...]
    frames: tuple[FrameScore, ...]


def judge(sightings: Sequence[Sighting], portraits: dict[int, ImageHW3], cards: Sequence[Card]) -> Judgement:
    """Fuse sightings by person, then people by video, and say why.

    Each person is judged on their own, so one manipulated face among many is found and named. A person seen
    in fewer than the card's ``min_frames`` never decides a label while another was seen in enough.

    Args:
        sightings: At least one, in order of time.
        portraits: Crop of each person for the thumbnail, (S, S, 3).
        cards: One for each model. The first one's fusion and thresholds hold for the ensemble.
    """
    lead = cards[0]
    groups: dict[int, list[Sighting]] = {}
    for sighting in sightings:
        groups.setdefault(sighting.person, []).append(sighting)
    faces = sorted(
        (_judge_person(group, portraits[person], cards) for person, group in groups.items()),
        key=lambda face: (face.frames < lead.fusion.min_frames, -face.fake_probability),
    )
    steady = [face for face in faces if face.frames >= lead.fusion.min_frames]
    if steady and lead.fusion.people == "max":
        probability = steady[0].fake_probability
        label = lead.thresholds.label(probability)
        reasons = _reasons(label, probability, steady, lead)
    else:
        probability = float(np.mean(list(_by_model(sightings, cards).values())))
        label, reasons = _judge_pool(probability, len(sightings), lead)
    return Judgement(
        label=label,
        fake_probability=probability,
        reasons=reasons,
        warnings=_warnings(faces, cards),
        faces=tuple(faces),
        frames=tuple(
            FrameScore(s.person, s.index, s.time_seconds, s.face.xyxy_px, s.face.confidence, s.fake_probability)
            for s in sightings
        ),
    )


def _by_model(sightings: Sequence[Sighting], cards: Sequence[Card]) -> dict[str, float]:
    """Fuse over frames with each model's scores; a name that occurs twice is numbered."""
    rule, result = cards[0].fusion.frames, {}
    for i, card in enumerate(cards):
        name = card.name if card.name not in result else f"{card.name}-{i + 1}"
        result[name] = fuse([sighting.scores[i].fake_probability for sighting in sightings], rule)
    return result


def _judge_person(group: Sequence[Sighting], portrait: ImageHW3, cards: Sequence[Card]) -> FaceVerdict:
    lead, by_model = cards[0], _by_model(group, cards)
    probability = float(np.mean(list(by_model.values())))
    label = lead.thresholds.label(probability) if len(group) >= lead.fusion.min_frames else "inconclusive"
    small = cv2.resize(portrait, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode(".jpg", cv2.cvtColor(small, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return FaceVerdict(
        person=group[0].person,
        label=label,
        fake_probability=probability,
        start_seconds=group[0].time_seconds,
        end_seconds=group[-1].time_seconds,
        frames=len(group),
        models=by_model,
        thumbnail_jpeg=jpeg.tobytes(),
        region=_region(group, lead.crop) if label == "fake" else None,
    )


def _region(group: Sequence[Sighting], spec: CropSpec) -> str | None:
    """Name the part of the face nearest to where the first model's maps, averaged, are strongest."""
    maps = [sighting.scores[0].map_hw for sighting in group if sighting.scores[0].map_hw is not None]
    parts = [part for sighting in group if (part := _landmarks_in_crop(sighting.face, spec)) is not None]
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


def _reasons(label: Label, probability: float, faces: Sequence[FaceVerdict], card: Card) -> tuple[str, ...]:
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    if label == "inconclusive":
        whose = f"The fake probability {probability:.2f} of person {faces[0].person}"
        return (f"{whose} lies between {low:.2f} and {high:.2f}, where this model cannot tell.",)
    if label == "real":
        who = "The one person" if len(faces) == 1 else f"All {len(faces)} people"
        return (f"{who} scored at most {probability:.2f} (threshold {low:.2f}): no trace of manipulation was found.",)
    return tuple(_accusation(face, high) for face in faces if face.label == "fake")


def _judge_pool(probability: float, count: int, card: Card) -> tuple[Label, tuple[str, ...]]:
    """Judge all faces of a video together: by choice of the card, or because nobody stays for long.

    In a video of short shots one manipulated shot would drown among the others: it may be called fake, not real.
    """
    low, high = card.thresholds.real_below, card.thresholds.fake_above
    label = card.thresholds.label(probability)
    together = f"All {count} faces together score {probability:.2f} (thresholds {low:.2f} and {high:.2f})."
    if card.fusion.people == "pool":
        return (label if count >= card.fusion.min_frames else "inconclusive"), (together,)
    fleeting = f"Nobody was seen in {card.fusion.min_frames} frames or more."
    if count < 2 * card.fusion.min_frames:
        return "inconclusive", (f"{fleeting} That is too few to judge.",)
    return ("fake" if label == "fake" else "inconclusive"), (f"{fleeting} {together}",)


def _accusation(face: FaceVerdict, threshold: float) -> str:
    when = f"from {face.start_seconds:.1f} s to {face.end_seconds:.1f} s"
    score = f"fake probability {face.fake_probability:.2f} over {face.frames} frames (threshold {threshold:.2f})"
    where = f" The strongest traces are at the {face.region}." if face.region else ""
    return f"Person {face.person} looks manipulated {when}: {score}.{where}"


def _warnings(faces: Sequence[FaceVerdict], cards: Sequence[Card]) -> tuple[str, ...]:
    found = []
    if fleeting := [face for face in faces if face.frames < cards[0].fusion.min_frames]:
        found.append(f"{len(fleeting)} of {len(faces)} people were seen in too few frames to be judged.")
    if split := [face for face in faces if max(face.models.values()) - min(face.models.values()) > 0.5]:
        found.append(f"The models disagree about person {', '.join(str(face.person) for face in split)}.")
    return tuple(found)
