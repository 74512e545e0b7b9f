"""The pictures of a verdict as a page shows them: as many as fit, with maps as colour that lies over the crops."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

_BGR = (89, 0, 255)
_OPACITY = 0.6
"""How much the colour covers where the network is certain."""


def fitting_pictures(row: Mapping[str, Any], max_bytes: int) -> tuple[dict[int, dict[str, Any]], int]:
    """Return the pictures of a verdict that fit on a page, those of the most suspicious people first.

    Args:
        row: The verdict (`Verdict.to_dict`).
        max_bytes: Length of all of them, as base64, at most.

    Returns:
        Person -> pictures, each of whose sightings has an ``overlay_png``; and how many people are left out.
    """
    shown: dict[int, dict[str, Any]] = {}
    people = row.get("pictures", ())
    for each in people:
        strip = [sighting | {"overlay_png": _overlay(sighting["map_png"])} for sighting in each["strip"]]
        scene = each["scene"]
        texts = [sighting[key] for sighting in strip for key in ("crop_jpeg", "overlay_png") if sighting[key]]
        max_bytes -= sum(map(len, texts)) + (len(scene["jpeg"]) if scene else 0)
        if max_bytes < 0:
            break
        shown[each["person"]] = {"strip": strip, "scene": scene}
    return shown, len(people) - len(shown)


def overlay_png(map_png: bytes) -> bytes:
    """Turn a gray map into a colour that covers more the surer the network is; where it sees nothing, none."""
    gray_hw = np.asarray(cv2.imdecode(np.frombuffer(map_png, np.uint8), cv2.IMREAD_GRAYSCALE))
    overlay_hw4 = np.empty((*gray_hw.shape, 4), np.uint8)
    overlay_hw4[..., :3] = _BGR
    overlay_hw4[..., 3] = np.rint(gray_hw * _OPACITY)
    return cv2.imencode(".png", overlay_hw4)[1].tobytes()


def _overlay(map_png: str | None) -> str | None:
    return None if map_png is None else base64.b64encode(overlay_png(base64.b64decode(map_png))).decode()
