"""Compare how two faces of one shot look: a rough check that a track still shows the same person.

This is no face recognition: light, background and framing count as much as the person does, so it says something only
about faces of one shot. `unmask.faces.identity` joins the tracks of a person across shots.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.types import ImageHW3

SIDE_PX = 12

Look = NDArray[np.float32]
"""(12, 12, 3) float32: a face in Y, U and V, 0 to 255."""


def look_of(portrait_SS3: ImageHW3) -> Look:
    """Shrink the RGB crop of a face, (S, S, 3) uint8."""
    small = cv2.resize(portrait_SS3, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2YUV).astype(np.float32)


def look_distance(a: Look, b: Look) -> float:
    """Return how far two faces look apart, in levels of 255 summed over Y, U and V; overall brightness does not count.

    Between faces of one person in one shot it is 11 in the median and below 45 in 99 of 100 pairs; between two people
    in two clips 74 in the median and above 31 in 99 of 100.
    """
    apart = a - b
    apart[..., 0] -= np.median(apart[..., 0])
    return float(np.abs(apart).mean((0, 1)).sum())
