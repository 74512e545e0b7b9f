"""Record what facenet-pytorch's MTCNN finds in the scenes, into reference_boxes.json.

Run in an environment of its own (torch, torchvision, numpy, opencv-python-headless, pillow, and
``pip install --no-deps facenet-pytorch==2.6.0``):

    python tests/faces/make_reference_boxes.py
"""

import json
from importlib.metadata import version
from pathlib import Path

from facenet_pytorch import MTCNN
from scenes import COUNT, scene

THRESHOLDS = [0.7, 0.8, 0.8]

detector = MTCNN(margin=0, thresholds=THRESHOLDS, device="cpu")
scenes = []
for number in range(COUNT):
    boxes, scores, landmarks = detector.detect(scene(number), landmarks=True)
    found = [] if boxes is None else zip(boxes, scores, landmarks, strict=True)
    scenes.append(
        [
            {
                "xyxy_px": [round(float(x), 3) for x in box],
                "score": round(float(score), 6),
                "landmarks_px": [[round(float(x), 3) for x in point] for point in points],
            }
            for box, score, points in found
        ]
    )
data = {
    "facenet-pytorch": version("facenet-pytorch"),
    "torch": version("torch"),
    "thresholds": THRESHOLDS,
    "scenes": scenes,
}
path = Path(__file__).with_name("reference_boxes.json")
path.write_text(json.dumps(data, separators=(",", ":")) + "\n")
print(f"{sum(map(len, scenes))} faces in {COUNT} scenes")
