"""Make two short clips from a public-domain portrait: one as it is, one with a self-blended face.

    python examples/make_clips.py demo/

The portrait shows Eileen Collins (NASA, public domain). The blended clip imitates a face swap as "self-blended
images" do (Shiohara and Yamasaki 2022, arXiv 2204.08376): the face is changed in colour and sharpness, shifted a
little, and pasted back over itself through a soft mask.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.faces import load_detector
from unmask.types import Detection, Face

PORTRAIT = Path(__file__).parent / "data" / "eileen_collins.png"
FRAMES, RATE, WIDTH, HEIGHT = 75, 25, 640, 480


def load_portrait() -> NDArray[np.uint8]:
    """Return the portrait, (512, 512, 3) RGB."""
    return cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)


def find_face(image_HW3: NDArray[np.uint8]) -> Face:
    """Return the largest face."""
    return load_detector(Detection(scale=1.0)).detect(image_HW3)[0]


def self_blend(image_HW3: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    """Paste a changed copy of the face over itself."""
    height, width = image_HW3.shape[:2]
    eyes, mouth = face.landmarks_px[:2], face.landmarks_px[3:]
    centre, half = face.landmarks_px.mean(0), 0.5 * face.side_px
    brows, chin = eyes - [0, 0.35 * half], mouth + [0, 0.45 * half]
    cheeks = np.stack([centre - [0.75 * half, 0], centre + [0.75 * half, 0]])
    hull = cv2.convexHull(np.concatenate([brows, chin, cheeks]).astype(np.int32))
    mask = cv2.fillConvexPoly(np.zeros((height, width), np.float32), hull, 1.0)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.03 * half)[..., None]

    shift = np.float32([[1.03, 0, 2 - 0.03 * centre[0]], [0, 1.03, -0.03 * centre[1]]])
    changed = cv2.warpAffine(image_HW3, shift, (width, height), borderMode=cv2.BORDER_REFLECT)
    changed = cv2.GaussianBlur(changed, (0, 0), 1.2).astype(np.float32)
    changed = changed * np.float32([1.06, 0.97, 0.92]) + np.float32([6, 2, -8])
    return np.clip(mask * changed + (1 - mask) * image_HW3, 0, 255).astype(np.uint8)


def write_clip(image_HW3: NDArray[np.uint8], path: Path, frames: int = FRAMES, seed: int = 0) -> Path:
    """Film a still with a slowly moving camera and a little sensor noise, as H.264 in MP4."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for i in range(frames):
            phase = 2 * np.pi * i / RATE / 3
            zoom = 1.30 + 0.04 * np.sin(phase)
            left, top = 12 * np.cos(phase) + 10, 8 * np.sin(2 * phase) + 14
            camera = np.float32([[zoom, 0, -left * zoom], [0, zoom, -top * zoom]])
            view = cv2.warpAffine(image_HW3, camera, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)
            view = np.clip(view + rng.normal(0, 1.5, view.shape), 0, 255).astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="rgb24")))
        container.mux(stream.encode())
    return path


def make_clips(folder: Path) -> tuple[Path, Path]:
    """Write ``authentic.mp4`` and ``blended.mp4``; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    portrait = load_portrait()
    blended = self_blend(portrait, find_face(portrait))
    return write_clip(portrait, folder / "authentic.mp4"), write_clip(blended, folder / "blended.mp4")


if __name__ == "__main__":
    for clip in make_clips(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")):
        print(clip)
