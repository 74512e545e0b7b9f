"""Shrinking a frame and finding its faces: ours against PIL's half size and facenet-pytorch (P7).

    python benchmarks/bench_faces.py --clips CLIPS --out benchmarks/results/faces.json --reference-python PYTHON

Wall seconds a frame on one thread each, the same decoded frames, both at half size. Agreement is measured apart, on
frames that are already at half size: there both must find the same boxes and landmarks. The floors are the
arithmetic of P-net's image pyramid at the matrix rate of one core and, within a clip, what the networks alone take.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from numpy.typing import NDArray

from common import (
    Clip,
    Goal,
    Measure,
    Reference,
    clips_of,
    interleave,
    mean_ratio,
    measure,
    median,
    one_opencv_thread,
    open_reference,
    parser,
    row,
    write,
)
from unmask.faces import Detector, load_detector
from unmask.faces.mtcnn_networks import Networks
from unmask.media import open_video, pick_frames, read_frames
from unmask.models import load_card, model_folder
from unmask.runtime.openvino import op, ov
from unmask.scan.between import look_through
from unmask.scan.crowd import Crowd
from unmask.types import DetectorSpec, Face, Frame

TIMED_FRAMES = 8
MIN_IOU = 0.9


def main() -> None:
    arguments = parser(__doc__, reference=True).parse_args()
    detector, as_is = load_detector(DetectorSpec(scale=0.5)), load_detector(DetectorSpec(scale=1.0))
    clips: dict[str, dict[str, Any]] = {}
    with open_reference(arguments) as reference, one_opencv_thread():
        for clip in clips_of(arguments):
            with open_video(clip.path) as video:
                frames = list(read_frames(video, pick_frames(video, 32, "reference")))
            costs = compare(clip, frames[:: max(1, len(frames) // TIMED_FRAMES)], detector, reference, arguments.rounds)
            costs |= within_clip(frames, detector)
            clips[clip.name] = costs | (agreement(frames, as_is, reference) if reference is not None else {})
            row(clip.name, clips[clip.name])
        ms = median(clip["ours_cpu_ms"] for clip in clips.values())
        goals = [Goal.watched("P7", "CPU milliseconds of shrinking a frame and finding its faces", ms)]
        goals += compared(clips, arguments.seed) if reference is not None else []
        rates = {name: matrix_rate(name) for name in ("f32", "bf16")}
        floor_ms = {name: median(c["pnet_gflop"] for c in clips.values()) / rate * 1e3 for name, rate in rates.items()}
        floors = {"matrix_gflop_per_second": rates, "pnet_median_ms": floor_ms}
        write(arguments, goals, clips, reference, floors=floors)


def compared(clips: dict[str, dict[str, Any]], seed: int) -> list[Goal]:
    """Judge speed beside the reference, and how far both agree."""
    ratios = [clip["reference_ms"] / clip["ours_ms"] for clip in clips.values()]
    found = sum(clip["reference_faces"] for clip in clips.values())
    share = sum(clip["matched_faces"] for clip in clips.values()) / found
    worst = max(clip["worst_landmark_px"] for clip in clips.values())
    within = sum(clip["landmarks_within_1px"] for clip in clips.values()) / found
    in_a_clip = [clip["reference_ms"] / clip["within_ms"] for clip in clips.values()]
    floors = [clip["reference_ms"] / clip["within_networks_ms"] for clip in clips.values()]
    floor, _ = mean_ratio(floors, seed, at_most=False)
    kept = sum(clip["within_equal"] for clip in clips.values()) / sum(clip["within_faces"] for clip in clips.values())
    return [
        Goal.of_clips("N10", "facenet-pytorch's time / ours in a clip", in_a_clip, seed, 6.0, 10.0, at_most=False),
        Goal.watched("N10", "floor: facenet-pytorch's time / what our networks alone take", floor, at_most=False),
        Goal.single("N10", "share of all boxes that are found in a clip", kept, 0.995, None, at_most=False),
        Goal.of_clips("P7", "facenet-pytorch's time / ours", ratios, seed, 3.0, 6.0, at_most=False),
        Goal.single("P7", f"share of its {found} boxes at IoU {MIN_IOU}", share, 0.995, None, at_most=False),
        Goal.single("P7", "share with all landmarks within 1 pixel", within, 0.995, None, at_most=False),
        Goal.single("P7", "worst distance of a landmark, pixels", worst, 1.0, None, at_most=True),
    ]


def compare(
    clip: Clip, frames: list[Frame], detector: Detector, reference: Reference | None, rounds: int
) -> dict[str, Any]:
    """Return each one's median milliseconds a frame and the arithmetic of the pyramid."""

    def ours() -> Measure:
        return measure(lambda: [detector.detect(frame.image_HW3) for frame in frames])[0]

    def theirs(indices: list[int]) -> Measure:
        assert reference is not None
        answer = reference.ask(op="detect", path=str(clip.path), indices=indices)
        return Measure(answer["wall_seconds"], answer["cpu_seconds"])

    contestants = [ours] + ([partial(theirs, [frame.index for frame in frames])] if reference is not None else [])
    interleave(1, *contestants)  # warm up: kernels are compiled for each new size
    own, *others = interleave(rounds, *contestants)
    height, width = frames[0].image_HW3.shape[:2]
    return {
        f"reference_{name}ms": median(getattr(run, f"{kind}_seconds") for run in other) / len(frames) * 1e3
        for other in others
        for name, kind in (("", "wall"), ("cpu_", "cpu"))
    } | {
        "ours_ms": median(run.wall_seconds for run in own) / len(frames) * 1e3,
        "ours_cpu_ms": median(run.cpu_seconds for run in own) / len(frames) * 1e3,
        "pnet_gflop": pnet_gflop(height // 2, width // 2),
    }


def within_clip(frames: list[Frame], detector: Detector) -> dict[str, Any]:
    """Return milliseconds a frame where some are searched everywhere alone, and how many boxes are found as in all."""
    seconds = load_card(model_folder("bundled")).crop.detection.search_seconds

    def search() -> list[list[Face]]:
        crowd = Crowd(detector, 60.0, frames[-1].time_seconds)
        return [faces for _, faces in look_through(crowd, frames, lambda _: 0.0, seconds)]

    search()
    with timed_networks() as networks_seconds:
        cost, found = measure(search)
    boxes = [(frame, face.xyxy_px) for frame in frames for face in detector.detect(frame.image_HW3)]
    known = {frame.index: faces for frame, faces in zip(frames, found, strict=True)}
    equal = sum(any(iou(face, list(box)) >= MIN_IOU for face in known[frame.index]) for frame, box in boxes)
    return {
        "within_ms": cost.wall_seconds / len(frames) * 1e3,
        "within_networks_ms": sum(networks_seconds) / len(frames) * 1e3,
        "within_faces": len(boxes),
        "within_equal": equal,
    }


@contextmanager
def timed_networks() -> Iterator[list[float]]:
    """Note the seconds that each inference of the detector's networks takes."""
    infer, seconds = Networks.infer, list[float]()

    def timed(self: Networks, network: str, x_NHW3: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        cost, outputs = measure(partial(infer, self, network, x_NHW3))
        seconds.append(cost.wall_seconds)
        return outputs

    with patch.object(Networks, "infer", timed):
        yield seconds


def agreement(frames: list[Frame], detector: Detector, reference: Reference) -> dict[str, Any]:
    """Compare what both find in the very same small frames."""
    smaller = [cv2.resize(frame.image_HW3, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for frame in frames]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.npz"
        np.savez(path, *smaller)
        theirs = reference.ask(op="boxes", path=str(path))["faces"]
    matched, distances, own_faces = 0, [0.0], 0
    for image_HW3, others in zip(smaller, theirs, strict=True):
        mine = detector.detect(image_HW3)
        own_faces += len(mine)
        for other in others:
            best = max(mine, key=lambda face: iou(face, other["xyxy_px"]), default=None)
            if best is not None and iou(best, other["xyxy_px"]) >= MIN_IOU:
                matched += 1
                offsets = np.asarray(best.landmarks_px) - np.asarray(other["landmarks_px"])
                distances.append(float(np.linalg.norm(offsets, axis=1).max()))
    return {
        "reference_faces": sum(map(len, theirs)),
        "our_faces": own_faces,
        "matched_faces": matched,
        "worst_landmark_px": max(distances),
        "landmarks_within_1px": sum(distance <= 1 for distance in distances[1:]),
    }


def iou(face: Face, xyxy_px: list[float]) -> float:
    """Return intersection over union."""
    boxes = np.array([face.xyxy_px, xyxy_px])
    inner = np.clip(boxes[:, 2:].min(0) - boxes[:, :2].max(0), 0, None).prod()
    return float(inner / ((boxes[:, 2:] - boxes[:, :2]).prod(1).sum() - inner))


def pnet_gflop(height: int, width: int) -> float:
    """Return the arithmetic of P-net on all levels of a frame's pyramid, in 10^9 operations."""
    total, scale = 0, 12 / 20
    while min(height, width) * scale >= 12:
        rows, columns = int(height * scale + 1) - 2, int(width * scale + 1) - 2
        total += rows * columns * 27 * 10
        rows, columns = -(-rows // 2) - 2, -(-columns // 2) - 2
        total += rows * columns * 90 * 16
        total += (rows - 2) * (columns - 2) * (144 * 32 + 32 * 6)
        scale *= 0.709
    return 2 * total / 1e9


def matrix_rate(precision: str, size: int = 1024, repeats: int = 20) -> float:
    """Return 10^9 operations a second of a square matrix product on one core."""
    left: NDArray[np.float32] = np.random.default_rng(0).random((size, size), np.float32)
    node = op.parameter([size, size], np.float32)
    model = ov.Model([op.matmul(node, op.constant(left), False, False)], [node], "product")
    config = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1}
    request = ov.Core().compile_model(model, "CPU", config).create_infer_request()
    times = [measure(lambda: request.infer({0: left}, share_inputs=True))[0].wall_seconds for _ in range(repeats)]
    return 2 * size**3 / 1e9 / min(times)


if __name__ == "__main__":
    main()
