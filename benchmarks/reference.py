"""The challenge winner's inference on a CPU, restated from its public parts, as a process that answers requests.

    REFERENCE_PYTHON benchmarks/reference.py [--network tf_efficientnet_b7.ns_jft_in1k --weights FILE ...] < REQUESTS

Source: selimsef/dfdc_deepfake_challenge. The parts: OpenCV's reader that grabs every frame and retrieves 32
(floor of linspace), PIL's half size, facenet-pytorch's MTCNN with thresholds 0.7, 0.8, 0.8 and margin 0, crops
with a third of the box on each side fitted into 380 black pixels, an EfficientNet of timm in eager PyTorch,
the mean of the confident scores. Where the original stalls or fails on odd clips (fewer than 32 frames, a
single face) this does the evident thing. `README.md` says how to make the environment it runs in.

One JSON request a line on stdin, one answer a line on stdout, with ``wall_seconds`` and ``cpu_seconds``:

    {"op": "decode", "path": ...}           -> "frames", "indices", "sha256" of each RGB frame (not timed)
    {"op": "detect", "path": ..., "indices": [...]} -> half size and detection of these frames, decoding not timed
    {"op": "boxes", "path": "frames.npz"}   -> detection in ready-made frames, "faces" of each
    {"op": "scan", "path": ...}             -> decode, detect, crop and, with --network, "fake_probability"
    {"op": "environment"}
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from common import measure, versions

Frame = NDArray[np.uint8]
FRAMES = 32
SIDE_PX = 380
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MAX_FACES = 127


def read(path: str) -> tuple[list[Frame], list[int]]:
    """Grab every frame, retrieve those at floor(linspace(0, n - 1, 32)), as RGB."""
    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, cv2.getNumThreads()])
    count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    wanted = set(np.linspace(0, count - 1, FRAMES).astype(int).tolist())
    frames, indices = [], []
    for index in range(count):
        if not capture.grab():
            break
        if index in wanted:
            good, image = capture.retrieve()
            if not good:
                break
            frames.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            indices.append(index)
    capture.release()
    return frames, indices


def half(frame: Frame) -> Image.Image:
    """Shrink to half size with PIL's default filter."""
    picture = Image.fromarray(frame)
    return picture.resize((picture.width // 2, picture.height // 2))


def crop(frame: Frame, box_px: NDArray[np.float32], side_px: int = SIDE_PX) -> Frame:
    """Cut a face found at half size, widened by a third, fitted into a black square."""
    left, top, right, bottom = (int(edge * 2) for edge in box_px)
    pad_x, pad_y = (right - left) // 3, (bottom - top) // 3
    patch = frame[max(top - pad_y, 0) : bottom + pad_y, max(left - pad_x, 0) : right + pad_x]
    height, width = patch.shape[:2]
    scale = side_px / max(height, width)
    size = (int(width * scale), side_px) if height > width else (side_px, int(height * scale))
    patch = cv2.resize(patch, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    canvas = np.zeros((side_px, side_px, 3), np.uint8)
    y, x = (side_px - patch.shape[0]) // 2, (side_px - patch.shape[1]) // 2
    canvas[y : y + patch.shape[0], x : x + patch.shape[1]] = patch
    return canvas


def confident(scores: NDArray[np.float64]) -> float:
    """Mean of the sure scores when enough agree, else of all."""
    fakes, reals = scores > 0.8, scores < 0.2
    if fakes.sum() > len(scores) // 2.5 and fakes.sum() > 11:
        return float(scores[fakes].mean())
    if reals.sum() > 0.9 * len(scores):
        return float(scores[reals].mean())
    return float(scores.mean())


class Pipeline:
    """The loaded parts."""

    def __init__(self, network: str | None, weights: list[str], side_px: int) -> None:
        self.detector = MTCNN(margin=0, thresholds=[0.7, 0.8, 0.8], device="cpu")
        self.networks, self.side_px = [], side_px
        if network is not None:
            import timm

            self.networks = [
                timm.create_model(network, num_classes=1, checkpoint_path=file).eval() for file in weights or [""]
            ]
        self._frames: tuple[str, list[Frame], list[int]] = ("", [], [])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Serve one request."""
        operations: dict[str, Callable[..., dict[str, Any]]] = {
            "decode": self.decode,
            "detect": self.detect,
            "boxes": self.boxes,
            "scan": self.scan,
            "environment": self.environment,
        }
        return operations[request.pop("op")](**request)

    def environment(self) -> dict[str, Any]:
        """Return the versions of the parts."""
        parts = versions("torch", "torchvision", "timm", "facenet-pytorch", "opencv-python-headless", "pillow", "numpy")
        return {"environment": parts}

    def decode(self, path: str) -> dict[str, Any]:
        """Read the 32 frames."""
        cost, (frames, indices) = measure(lambda: read(path))
        hashes = [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames]
        return asdict(cost) | {"frames": len(frames), "indices": indices, "sha256": hashes}

    def detect(self, path: str, indices: list[int]) -> dict[str, Any]:
        """Shrink and search some of the 32 frames; those of the last clip are kept between requests."""
        if self._frames[0] != path:
            self._frames = (path, *read(path))
        frames = [self._frames[1][self._frames[2].index(index)] for index in indices]
        cost, faces = measure(lambda: [self.detector.detect(half(frame))[0] for frame in frames])
        return asdict(cost) | {"faces": sum(len(boxes) for boxes in faces if boxes is not None)}

    def boxes(self, path: str) -> dict[str, Any]:
        """Search frames as they are."""
        with np.load(path) as frames:
            cost, found = measure(
                lambda: [self.detector.detect(Image.fromarray(frames[name]), landmarks=True) for name in frames.files]
            )
        faces = [
            [{"xyxy_px": b.tolist(), "landmarks_px": p.tolist()} for b, p in zip(boxes, points, strict=True)]
            if boxes is not None
            else []
            for boxes, _, points in found
        ]
        return asdict(cost) | {"faces": faces}

    def scan(self, path: str) -> dict[str, Any]:
        """Judge one clip."""
        cost, result = measure(lambda: self._scan(path))
        return asdict(cost) | result

    def _scan(self, path: str) -> dict[str, Any]:
        frames, _ = read(path)
        found = [(frame, self.detector.detect(half(frame))[0]) for frame in frames]
        crops = [crop(frame, box, self.side_px) for frame, boxes in found if boxes is not None for box in boxes]
        crops = crops[:MAX_FACES]
        if not crops or not self.networks:
            return {"crops": len(crops), "fake_probability": 0.5 if self.networks else None}
        x_NHWC = torch.from_numpy(np.stack(crops)).float() / 255
        x_NCHW = ((x_NHWC - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()
        with torch.inference_mode():
            scores = [
                torch.cat([network(batch)[:, 0] for batch in x_NCHW.split(8)]).sigmoid().double().numpy()
                for network in self.networks  # in eights: all at once fills a GPU only
            ]
        return {"crops": len(crops), "fake_probability": float(np.mean([confident(each) for each in scores]))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", help="name of a timm network")
    parser.add_argument("--weights", nargs="*", default=[], help="its state dicts, one a member; random ones without")
    parser.add_argument("--size", type=int, default=SIDE_PX, help="side of a crop in pixels")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch and OpenCV")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    pipeline = Pipeline(arguments.network, arguments.weights, arguments.size)
    for line in sys.stdin:
        print(json.dumps(pipeline.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
