"""Measure by how much the parts of an authentic person's film differ: ``own_tail`` of a card's passages.

    python scripts/passage_tail.py MODEL --data DATA [--frames 48]

DATA is laid out as for ``scripts/calibration_sources.py``, which says which people no training saw. Of each authentic
clip the largest face of so many evenly spread frames is scored. The strongest run of six frames lies above the whole of
12, 24 and 48 of them, which are 2, 4 and 8 places where it could lie; where the tail is exponential, the mean excess
over the logarithm of the number of places is the same for each, and is the tail.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np
from calibration_sources import devset, devset2, videos
from numpy.typing import NDArray

from unmask import Scanner
from unmask.errors import InputError
from unmask.faces import crop_face
from unmask.faces.quality import measure_quality
from unmask.media import open_video, pick_frames, read_frames
from unmask.models.fusion import logit, probability

RUN = 6


def scores(scanner: Scanner, path: Path, count: int) -> NDArray[np.float64]:
    """Return the fake probabilities of the largest face of evenly spread frames."""
    network, card = scanner.networks[0], scanner.cards[0]
    crops, qualities = [], []
    with open_video(path) as video:
        for frame in read_frames(video, pick_frames(video, count)):
            faces = scanner.detector.detect(frame.image_HW3)
            if faces and faces[0].side_px >= card.crop.min_side_px:
                crops.append(crop_face(frame.image_HW3, faces[0], card.crop))
                qualities.append(measure_quality(frame.image_HW3, faces[0], quantiser=frame.quantiser))
    logits = [score.logit for score in network.score(crops)]
    return probability(card.calibration.at_quality(logits, qualities)) if crops else np.empty(0)


def excesses(scores_n: NDArray[np.float64], frames: int) -> list[float]:
    """Return how far the strongest run lies above the whole, for each stretch of so many frames."""
    found = []
    for start in range(0, len(scores_n) - frames + 1, frames // 4):
        stretch = scores_n[start : start + frames]
        best = np.convolve(stretch, np.full(RUN, 1 / RUN), "valid").max()
        found.append(float(logit(best) - logit(stretch.mean())))
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=48)
    given = parser.parse_args()
    scanner, clips = Scanner(given.model), 0
    by_frames: dict[int, list[float]] = defaultdict(list)
    for rows in (devset, devset2, videos):
        for path, label, *_ in rows(given.data):
            if label != "real":
                continue
            try:
                found = scores(scanner, Path(path), given.frames)
            except InputError as error:
                print(f"{path}: {error}")
                continue
            clips += 1
            for frames in (2 * RUN, 4 * RUN, 8 * RUN):
                by_frames[frames] += excesses(found, frames)
    print(f"{clips} authentic clips")
    for frames, found_n in by_frames.items():
        places = frames / RUN
        mean, high = np.mean(found_n), np.quantile(found_n, 0.95)
        print(f"{places:.0f} places: excess {mean:.3f}, 95th percentile {high:.2f}; tail {mean / np.log(places):.3f}")


if __name__ == "__main__":
    main()
