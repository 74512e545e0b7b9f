"""Still scenes with one to four faces, made from the public-domain portrait; the same for a given number anywhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

PORTRAIT = Path(__file__).parents[2] / "examples" / "data" / "eileen_collins.png"
COUNT = 160


def scene(number: int) -> np.ndarray:
    """Return scene ``number``, (H, W, 3) uint8 RGB: portraits of many sizes, turned, mirrored, lit differently."""
    rng = np.random.default_rng(number)
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    height, width = [(270, 480), (360, 640), (540, 960), (540, 304)][number % 4]
    canvas = cv2.resize(
        rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (width, height), interpolation=cv2.INTER_CUBIC
    )
    for _ in range(1 + number % 5):
        side = int(rng.uniform(0.35, 0.9) * height)
        turn = cv2.getRotationMatrix2D((256, 256), rng.uniform(-25, 25), side / 512)
        turn[:, 2] += [rng.uniform(0, width) - 256, rng.uniform(0.2, 0.8) * height - 256]
        image = portrait[:, ::-1] if rng.random() < 0.5 else portrait
        image = cv2.convertScaleAbs(image, alpha=rng.uniform(0.6, 1.2), beta=rng.uniform(-20, 20))
        inside = cv2.warpAffine(np.ones((512, 512), np.uint8), turn, (width, height))
        canvas = np.where(inside[..., None] > 0, cv2.warpAffine(image, turn, (width, height)), canvas)
    return canvas
