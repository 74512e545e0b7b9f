"""Recompute the fake probabilities of scanned clips under another calibration, as a scan would compute them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UsageError
from unmask.evaluation.labels import LabelledPrediction
from unmask.models import Card
from unmask.models.card import Calibration
from unmask.models.clip_fusion import DecidingFaces, deciding_faces, fuse_clip
from unmask.models.fusion import logit, probability
from unmask.models.quality import at_quality
from unmask.types import FaceQuality

AS_IT_IS = "as it is"
"""Name of the degradation of clips whose labels name none."""
_MIN_PROBABILITY = 5e-7
"""Verdicts round to six digits, so nothing nearer to 0 or 1 is known."""


class ScoredClips:
    """Labelled clips that one model scored face by face.

    Attributes:
        fake_C: (C,) whether each of C clips is fake.
        sources: Source video of each clip.
        degradations: Degradation of each clip, `AS_IT_IS` where the labels name none.
        can_be_fake_C: (C,) whether enough was seen of each clip for the label ``fake``.
        can_be_real_C: (C,) whether enough was seen of each clip for the label ``real``.
    """

    def __init__(self, labelled: Sequence[LabelledPrediction], card: Card) -> None:
        """Take the model's present calibration out of the scores of the faces.

        Args:
            labelled: Predictions of the card's model with scores of faces; those without a probability are left out.
            card: The model's card.

        Raises:
            UsageError: Scores of faces are missing, or another model gave them.
        """
        answered = [pair for pair in labelled if pair.prediction.fake_probability is not None]
        for prediction, _ in answered:
            if not prediction.faces or prediction.calibration is None:
                raise UsageError(
                    f"{prediction.name!r} has no frame scores of a single model; calibrate with the JSON of "
                    "unmask scan --model MODEL --json, or with --model and --data"
                )
            if prediction.model_sha256 not in card.weights_hashes:
                raise UsageError(f"{prediction.name!r} was not scored by the model {card.name!r}; scan with that one")
        self.fake_C = np.array([truth.label == "fake" for _, truth in answered], bool)
        self.sources = [truth.source for _, truth in answered]
        self.degradations = [truth.traits.get("degradation", AS_IT_IS) for _, truth in answered]
        self._fusion = card.fusion
        self._terms = card.calibration.quality
        self._logits_F = np.zeros(0)
        self._qualities: list[FaceQuality] = []
        self._deciding: list[DecidingFaces] = []
        self._scores: dict[Calibration, NDArray[np.float64]] = {}
        self._read_faces(answered)
        self.can_be_fake_C = np.array(["fake" in deciding.labels for deciding in self._deciding], bool)
        self.can_be_real_C = np.array(["real" in deciding.labels for deciding in self._deciding], bool)

    def __len__(self) -> int:
        return len(self.sources)

    def fake_probabilities(self, calibration: Calibration) -> NDArray[np.float64]:
        """Return the fake probability of each clip under a calibration, (C,) in 0..1.

        What a lack of quality does stays as the card says.
        """
        calibration = replace(calibration, quality=self._terms)
        if calibration not in self._scores:
            scores_1F = probability(self._at_quality(calibration.apply(self._logits_F)))[None]
            fused = [fuse_clip(scores_1F, deciding, self._fusion, (1.0,)) for deciding in self._deciding]
            self._scores[calibration] = np.array(fused, np.float64)
        return self._scores[calibration]

    def _at_quality(self, logits_F: NDArray[np.float64]) -> NDArray[np.float64]:
        return at_quality(logits_F, self._qualities, self._terms)

    def _read_faces(self, answered: Sequence[LabelledPrediction]) -> None:
        """Lay the logits of all clips' faces in one array, and choose the faces that decide each clip."""
        logits: list[NDArray[np.float64]] = []
        start = 0
        for prediction, _ in answered:
            faces, calibration = prediction.faces, prediction.calibration or Calibration()
            scores_n = np.clip([face.fake_probability for face in faces], _MIN_PROBABILITY, 1 - _MIN_PROBABILITY)
            qualities = [face.quality or FaceQuality(face.side_px, 1.0, 1.0) for face in faces]
            self._qualities += qualities
            logits.append(calibration.undo(calibration.undo_quality(logit(scores_n), qualities)))
            deciding = deciding_faces(
                [face.person for face in faces],
                [face.frame for face in faces],
                [face.side_px for face in faces],
                self._fusion,
            )
            people = tuple(faces_n + start for faces_n in deciding.people)
            self._deciding.append(DecidingFaces(people, deciding.pooled, deciding.labels))
            start += len(faces)
        self._logits_F = np.concatenate(logits) if logits else self._logits_F
