"""Predictions and labels made up for tests."""

import numpy as np

from unmask.evaluation import Labels, PredictedFace, Prediction, Truth


def made_up(sources=40, seed=0):
    """A real clip and two fakes from each source, told apart fairly well."""
    rng = np.random.default_rng(seed)
    clips, predictions = [], []
    for i in range(sources):
        split = "train" if i < sources // 2 else "test"
        for method in (None, "Deepfakes", "FaceSwap"):
            name = f"{method or 'original'}/{i:03}.mp4"
            traits = {"split": split, "method": method or "youtube"}
            clips.append(Truth(name, "fake" if method else "real", f"original/{i:03}", traits))
            p = float(np.clip(rng.normal(0.7 if method else 0.3, 0.2), 0, 1))
            predictions.append(Prediction(name, p))
    return predictions, Labels(tuple(clips))


def faces(*people):
    """Return the faces of people with these fake probabilities, person after person, one face a frame."""
    scores = [(person, p) for person, scores in enumerate(people, 1) for p in scores]
    return tuple(PredictedFace(person, frame, 100.0, float(p)) for frame, (person, p) in enumerate(scores))
