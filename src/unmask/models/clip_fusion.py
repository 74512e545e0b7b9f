"""From the scores of all faces of a clip to its fake probability: the one rule of scan and calibration.

Shape letters: n faces of a clip, M models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unmask.models.fusion import Floats, Fusion, fuse_person, fuse_video
from unmask.models.passages import discounted
from unmask.types import Label

ALL_LABELS: tuple[Label, ...] = ("real", "inconclusive", "fake")


@dataclass(frozen=True, slots=True)
class DecidingFaces:
    """Which faces of a clip decide its fake probability, and which labels they can carry."""

    people: tuple[NDArray[np.intp], ...]
    """Positions (n,) of each deciding person's faces among the clip's faces, in order of time."""
    pooled: bool
    """Whether all deciding faces are fused as one person's; then ``people`` has one entry."""
    labels: tuple[Label, ...]
    """Labels that the thresholds may give; any other becomes ``inconclusive``."""

    def limit(self, label: Label) -> Label:
        """Return the label of the thresholds, or ``inconclusive`` where too little was seen to give it."""
        return label if label in self.labels else "inconclusive"


def deciding_faces(
    person_n: ArrayLike, frame_n: ArrayLike, side_px_n: ArrayLike, fusion: Fusion, clear_n: ArrayLike | None = None
) -> DecidingFaces:
    """Choose the faces that decide the fake probability of a clip.

    People who are clear enough and seen in ``min_frames`` or more decide, each fused alone. Under a pooled rule, and
    where no person was seen that often, all faces are fused together. In a clip of short shots one manipulated shot
    would drown among the others, so such a clip may be called fake but not real, and with fewer than
    ``2 * min_frames`` faces neither; nor if no face is clear.

    Args:
        person_n: Number of the person of each of n faces, at least one face, in order of time.
        frame_n: Index of the frame of each face.
        side_px_n: Longer side of each face's box; the rule ``largest`` keeps the largest face of each frame.
        fusion: Rules of the first model's card.
        clear_n: Whether each face belongs to a person who is clear enough to be judged; None if all do.
    """
    person, frame, side_px = (np.asarray(values) for values in (person_n, frame_n, side_px_n))
    positions = np.arange(len(person))
    if fusion.pooled:
        pool = _largest_of_each_frame(frame, side_px) if fusion.people == "largest" else positions
        return DecidingFaces((pool,), True, ALL_LABELS if len(pool) >= fusion.min_frames else ("inconclusive",))
    clear = np.ones(len(person), bool) if clear_n is None else np.asarray(clear_n, bool)
    if not clear.any():
        return DecidingFaces((positions,), True, ("inconclusive",))
    people = [np.flatnonzero(person == number) for number in dict.fromkeys(person.tolist())]
    steady = tuple(faces for faces in people if len(faces) >= fusion.min_frames and clear[faces[0]])
    if steady:
        return DecidingFaces(steady, False, ALL_LABELS)
    positions = np.flatnonzero(clear)
    enough = len(positions) >= 2 * fusion.min_frames
    return DecidingFaces((positions,), True, ("inconclusive", "fake") if enough else ("inconclusive",))


def fuse_clip(
    scores_Mn: Floats,
    deciding: DecidingFaces,
    fusion: Fusion,
    weights_M: Sequence[float],
    times_n: Floats | None = None,
) -> float:
    """Return the fake probability of a clip, 0 to 1, the first value of `fuse_clip_and_people`."""
    return fuse_clip_and_people(scores_Mn, deciding, fusion, weights_M, times_n)[0]


def fuse_clip_and_people(
    scores_Mn: Floats,
    deciding: DecidingFaces,
    fusion: Fusion,
    weights_M: Sequence[float],
    times_n: Floats | None = None,
) -> tuple[float, Floats | None]:
    """Fuse the scores of all faces of a clip into its fake probability, and where it is searched, those of its people.

    Where passages are searched, the clip has that of the person of most evidence. Faces of several people that are
    fused together are not searched.

    Args:
        scores_Mn: Fake probabilities (M, n) of the n faces by M models, in order of time.
        deciding: What `deciding_faces` chose.
        fusion: The rules of the first model's card.
        weights_M: Weights of the models, above 0.
        times_n: (n,) times of the faces in seconds; None where the frames are evenly spread.

    Returns:
        The clip's, 0 to 1; and those (P,) of the deciding people, discounted for their number, None where nothing is
        searched.
    """
    if deciding.pooled:
        return fuse_person(scores_Mn[:, deciding.people[0]], replace(fusion, passages=None), weights_M), None
    people_PMn = [scores_Mn[:, faces] for faces in deciding.people]
    if fusion.passages is None:
        return fuse_video(people_PMn, fusion, weights_M), None
    times_Pn = [None if times_n is None else times_n[faces] for faces in deciding.people]
    fused = [
        fuse_person(person_Mn, fusion, weights_M, person_times_n)
        for person_Mn, person_times_n in zip(people_PMn, times_Pn, strict=True)
    ]
    evidence_P = discounted(fused, fusion.passages)
    return float(evidence_P.max()), evidence_P


def _largest_of_each_frame(frame_n: NDArray[np.int64], side_px_n: Floats) -> NDArray[np.intp]:
    """Return the positions of the largest face of each frame, the first of equals, in order of time."""
    by_frame_and_side = np.lexsort((-side_px_n, frame_n))
    _, first = np.unique(frame_n[by_frame_and_side], return_index=True)
    return np.sort(by_frame_and_side[first])
