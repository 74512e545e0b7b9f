"""Short excerpts of clips around one face, whose copies are scored by the thousand.

An excerpt holds a few runs of consecutive frames, cut to the surroundings of the largest face. Copies of it are made in
memory, and their faces cut as a scan does it. Excerpts, crops and scores can be kept: another model with the same crop
rule costs its network's time alone, and is calibrated on thousands of copies within minutes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.augment.copies import COPIES, copy_frames
from unmask.faces import Detector, crop_face
from unmask.faces.quality import measure_quality
from unmask.media import open_video, read_frames
from unmask.models import QueuedNetwork
from unmask.storage.arrays import read_arrays
from unmask.storage.atomic import atomic_file
from unmask.types import CropSpec, DetectorSpec, Face, FaceQuality, ImageHW3

RUN_FRAMES, SCORED = 11, (2, 6, 10)
"""Length of a run, and the places of its frames that are scored."""
RUN_STARTS = (0.1, 0.8)
"""Where in a clip the runs begin, as shares of its frames."""
IMAGE_RUNS = 1
"""Runs that are made of an image: its views are alike."""
MIN_SIDE_PX, MAX_SIDE_PX = 40, 200
"""Faces below are left out; larger ones are made smaller, which saves time and changes the copies little."""
_SURROUNDINGS = 0.85


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive frames around a face."""

    images: list[ImageHW3]
    """`RUN_FRAMES` images, (H, W, 3) uint8 RGB, all of one size."""
    faces: list[Face]
    """The face in each of the `SCORED` frames."""
    frame_width_px: float
    """Width of the whole frame, in pixels of the images."""


@dataclass(frozen=True, slots=True)
class CutCopies:
    """The faces of all copies of one excerpt, before a model scores them. N faces of all copies."""

    copy_N: NDArray[np.int64]
    """(N,) which copy, place among `COPIES`."""
    crops_NSS3: NDArray[np.uint8]
    """(N, S, S, 3) RGB."""
    qualities: list[FaceQuality]
    """N measures."""


@dataclass(frozen=True, slots=True)
class ScoredCopies:
    """What one model says of the copies of one excerpt. N faces of all copies."""

    copy_N: NDArray[np.int64]
    """(N,) which copy, place among `COPIES`."""
    raw_N: NDArray[np.float64]
    """(N,) logits of the network, not calibrated."""
    qualities: list[FaceQuality]
    """N measures."""


def excerpt_of_video(path: Path, detector: Detector) -> list[Run]:
    """Cut an excerpt out of a video; empty where it is too short or its faces are too small."""
    runs = []
    with open_video(path) as video:
        total = len(video.index)
        for start in sorted({int(share * max(0, total - RUN_FRAMES)) for share in RUN_STARTS}):
            indices = np.arange(start, min(total, start + RUN_FRAMES), dtype=np.int64)
            images = [frame.image_HW3 for frame in read_frames(video, indices)]
            if len(images) == RUN_FRAMES and (run := cut_run(images, detector)) is not None:
                runs.append(run)
    return runs


def excerpt_of_image(image_HW3: ImageHW3, detector: Detector, seed: int) -> list[Run]:
    """Film an image of one face with a camera that is not quite still, with sensor noise."""
    rng, runs = np.random.default_rng(seed), []
    edge = max(16, image_HW3.shape[0] // 4) // 2 * 2
    wide_HW3 = cv2.copyMakeBorder(image_HW3, edge, edge, edge, edge, cv2.BORDER_REFLECT_101)
    height, width = wide_HW3.shape[:2]
    for _ in range(IMAGE_RUNS):
        drift_2, place_2 = rng.normal(0, 0.25, 2), rng.normal(0, 2, 2)
        turn, turning, zooming = rng.normal(0, 1.5), rng.normal(0, 0.15), rng.normal(0, 8e-4)
        images = []
        for step in range(RUN_FRAMES):
            view_23 = cv2.getRotationMatrix2D((width / 2, height / 2), turn + turning * step, 1 + zooming * step)
            view_23[:, 2] += place_2 + drift_2 * step
            seen_HW3 = cv2.warpAffine(
                wide_HW3, view_23, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
            )
            noisy_HW3 = seen_HW3 + rng.normal(0, 1.2, seen_HW3.shape)
            images.append(np.clip(np.rint(noisy_HW3), 0, 255).astype(np.uint8))
        if (run := cut_run(images, detector)) is not None:
            runs.append(run)
    return runs


def cut_run(images: Sequence[ImageHW3], detector: Detector) -> Run | None:
    """Cut consecutive frames to the surroundings of their largest face; None where it is missing or too small."""
    found = [max(detector.detect(images[k]), key=lambda face: face.side_px, default=None) for k in SCORED]
    faces = [face for face in found if face is not None]
    side = max((face.side_px for face in faces), default=0.0)
    if len(faces) < len(SCORED) or side < MIN_SIDE_PX:
        return None
    boxes_K4 = np.array([face.xyxy_px for face in faces])
    centres_K2 = (boxes_K4[:, :2] + boxes_K4[:, 2:]) / 2
    centre_2 = centres_K2.mean(0)
    reach = _SURROUNDINGS * side + float(np.abs(centres_K2 - centre_2).max())
    height, width = images[0].shape[:2]
    left, top = (max(0, int(value)) for value in centre_2 - reach)
    right, bottom = min(width, int(centre_2[0] + reach)), min(height, int(centre_2[1] + reach))
    scale = min(1.0, MAX_SIDE_PX / side)
    size = max(2, int((right - left) * scale) // 2 * 2), max(2, int((bottom - top) * scale) // 2 * 2)
    cut = [cv2.resize(image_HW3[top:bottom, left:right], size, interpolation=cv2.INTER_AREA) for image_HW3 in images]
    factors_4 = np.tile([size[0] / (right - left), size[1] / (bottom - top)], 2)
    moved_K4 = (boxes_K4 - [left, top, left, top]) * factors_4
    placed = [
        Face((float(a), float(b), float(c), float(d)), face.confidence)
        for (a, b, c, d), face in zip(moved_K4, faces, strict=True)
    ]
    return Run(cut, placed, width * scale)


def cut_copies(runs: Sequence[Run], spec: CropSpec) -> CutCopies:
    """Make all copies of an excerpt, at least one run, and cut their faces by a crop rule."""
    copies, qualities, crops = [], [], []
    for place, name in enumerate(COPIES):
        for run in runs:
            copy = copy_frames(run.images, name, run.frame_width_px)
            if len(copy.images) != RUN_FRAMES:
                continue
            factors_2 = np.array(copy.images[0].shape[1::-1]) / np.array(run.images[0].shape[1::-1])
            for k, face in zip(SCORED, run.faces, strict=True):
                a, b, c, d = (float(value) for value in np.array(face.xyxy_px) * np.tile(factors_2, 2))
                seen = Face((a, b, c, d), face.confidence)
                copies.append(place)
                qualities.append(measure_quality(copy.images[k], seen, quantiser=copy.quantisers[k]))
                crops.append(crop_face(copy.images[k], seen, spec))
    return CutCopies(np.array(copies, np.int64), np.stack(crops), qualities)


def score_copies(cut: CutCopies, network: QueuedNetwork[Any]) -> ScoredCopies:
    """Score the faces of all copies of an excerpt."""
    calibrated = [score.logit for score in network.score(cut.crops_NSS3)]
    return ScoredCopies(cut.copy_N, network.card.calibration.undo(calibrated), cut.qualities)


def save_runs(runs: Sequence[Run], path: Path) -> None:
    """Keep an excerpt."""
    arrays: dict[str, NDArray[Any]] = {}
    for place, run in enumerate(runs):
        arrays[f"images{place}"] = np.stack(run.images)
        arrays[f"boxes{place}"] = np.array([(*face.xyxy_px, face.confidence) for face in run.faces])
        arrays[f"width{place}"] = np.array(run.frame_width_px)
    with atomic_file(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # numpy 2 takes the names of arrays so


def load_runs(path: Path) -> list[Run]:
    """Return the excerpt that `save_runs` kept."""
    runs = []
    arrays = read_arrays(path)
    for place in range(len(arrays) // 3):
        boxes_K5 = arrays[f"boxes{place}"].tolist()
        faces = [Face((a, b, c, d), min(1.0, confidence)) for a, b, c, d, confidence in boxes_K5]
        runs.append(Run(list(arrays[f"images{place}"]), faces, float(arrays[f"width{place}"])))
    return runs


def save_cut(cut: CutCopies, path: Path) -> None:
    """Keep the faces of copies, without loss: some 150 kB for each."""
    with atomic_file(path) as file:
        np.savez(file, copy=cut.copy_N, crops=cut.crops_NSS3, measures=_measures(cut.qualities))


def load_cut(path: Path) -> CutCopies:
    """Return what `save_cut` kept."""
    arrays = read_arrays(path)
    return CutCopies(arrays["copy"], arrays["crops"], _qualities(arrays["measures"]))


def save_scores(scored: ScoredCopies, path: Path) -> None:
    """Keep what a model says of an excerpt."""
    with atomic_file(path) as file:
        np.savez(file, copy=scored.copy_N, raw=scored.raw_N, measures=_measures(scored.qualities))


def load_scores(path: Path) -> ScoredCopies:
    """Return what `save_scores` kept."""
    arrays = read_arrays(path)
    return ScoredCopies(arrays["copy"], arrays["raw"], _qualities(arrays["measures"]))


def _measures(qualities: Sequence[FaceQuality]) -> NDArray[np.float64]:
    return np.array([(q.side_px, q.sharpness, q.confidence, np.nan if q.quantiser is None else q.quantiser)
                     for q in qualities])  # fmt: skip


def _qualities(measures_N4: NDArray[np.float64]) -> list[FaceQuality]:
    return [
        FaceQuality(side, sharp, confidence, quantiser=None if np.isnan(quantiser) else quantiser)
        for side, sharp, confidence, quantiser in measures_N4.tolist()
    ]


def excerpts_key(detection: DetectorSpec) -> str:
    """Return a short hash of how excerpts are cut, for the names of kept ones."""
    return _key([asdict(detection), RUN_FRAMES, SCORED, RUN_STARTS, IMAGE_RUNS, MIN_SIDE_PX, MAX_SIDE_PX])


def copies_key(spec: CropSpec) -> str:
    """Return a short hash of how copies are made and their faces cut, for the names of kept ones."""
    said = {
        name: [(step.codec, step.options, step.scale, getattr(step.filter, "__name__", None)) for step in steps]
        for name, steps in COPIES.items()
    }
    return _key([said, asdict(spec), excerpts_key(spec.detection)])


def _key(said: list[Any]) -> str:
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:8]
