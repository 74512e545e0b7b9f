"""Scenes whose boxes, crops and landmarks by the winner's own scripts are recorded in winner_preparation.json.

Record them anew, with facenet-pytorch installed beside torch, by: python -m tests.systems.winner.scenes
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from examples.make_clips import PORTRAIT

from tests.media_factory import on_canvas
from unmask.datasets.synthetic import read_portrait

RECORDED = Path(__file__).with_name("winner_preparation.json")
SCENES = {
    "aaaaaaaaaa": ((1280, 720), ((60, 40, 400), (760, 180, 300))),
    "bbbbbbbbbb": ((720, 1280), ((120, 300, 512),)),
    "cccccccccc": ((854, 480), ((33, 21, 211), (301, 7, 301), (611, 99, 171))),
    "dddddddddd": ((640, 360), ((200, 30, 300),)),
    "eeeeeeeeee": ((855, 481), ((77, 51, 333), (501, 101, 277))),
    "ffffffffff": ((1920, 1080), ((100, 100, 700), (1000, 300, 450), (1500, 50, 260))),
}
"""Name of a clip -> size of its frame, and x, y and side of each portrait in it."""


def scene(name: str) -> np.ndarray:
    """Return the one frame of a clip."""
    size, faces = SCENES[name]
    portrait = read_portrait(PORTRAIT)
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    for x, y, side in faces:
        placed = on_canvas(portrait, size, (x, y), side)
        canvas[y : y + side, x : x + side] = placed[y : y + side, x : x + side]
    return canvas


def record() -> None:
    """Do what detect_original_faces.py, extract_crops.py and generate_landmarks.py do, by the libraries they call."""
    from importlib.metadata import version

    from facenet_pytorch.models.mtcnn import MTCNN
    from PIL import Image

    finder = MTCNN(margin=0, thresholds=[0.85, 0.95, 0.95], device="cpu")
    marker = MTCNN(margin=0, thresholds=[0.65, 0.75, 0.75], device="cpu")
    clips = {}
    for name in SCENES:
        frame = Image.fromarray(scene(name))
        boxes = finder.detect([frame.resize([side // 2 for side in frame.size])], landmarks=False)[0][0].tolist()
        crops, landmarks = [], []
        for x1, y1, x2, y2 in ([int(2 * edge) for edge in box] for box in boxes):
            x_pad, y_pad = (x2 - x1) // 3, (y2 - y1) // 3
            crop_HW3 = np.asarray(frame)[max(y1 - y_pad, 0) : y2 + y_pad, max(x1 - x_pad, 0) : x2 + x_pad]
            crops.append([*crop_HW3.shape[:2], int(crop_HW3.sum())])
            points = marker.detect(Image.fromarray(crop_HW3), landmarks=True)[2]
            landmarks.append(None if points is None else np.around(points[0]).astype(int).tolist())
        clips[name] = {"boxes": boxes, "crops": crops, "landmarks": landmarks[:2]}
    made_with = {package: version(package) for package in ("facenet-pytorch", "torch", "Pillow")}
    RECORDED.write_text(json.dumps({"made_with": made_with, "clips": clips}, indent=None) + "\n")


if __name__ == "__main__":
    record()
