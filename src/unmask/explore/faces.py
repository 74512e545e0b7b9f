"""Show how MTCNN finds the faces of one image: its pyramid, the candidates of each network, and what is left of them.

    picture = show_faces(image_HW3)
    picture.faces, [(panel.title, panel.jpeg) for panel in picture.panels]

Source of the steps: Zhang et al. 2016, arXiv 1604.02878, figure 1.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.errors import UsageError
from unmask.faces.detect import scaled_frame
from unmask.faces.mtcnn import Mtcnn, Stage
from unmask.faces.pyramid import pyramid, sums_of
from unmask.html import render
from unmask.media import Limits, open_video, read_frames
from unmask.storage.atomic import write_file
from unmask.types import DetectorSpec, Face, ImageHW3

PANEL_PX = 560
_LOW_RGB, _HIGH_RGB = np.array((235, 90, 60)), np.array((60, 220, 110))
"""Colours of a box that just passes and of a sure one."""
_LANDMARK_RGB = (255, 230, 60)


@dataclass(frozen=True, slots=True)
class Panel:
    """One step, drawn."""

    title: str
    """What it shows."""
    count: int
    """Number of levels of the pyramid, or of boxes."""
    jpeg: str = field(repr=False)
    """The image as JPEG in base64."""


@dataclass(frozen=True, slots=True)
class FacesShown:
    """The faces of an image, and the steps that lead to them."""

    faces: tuple[Face, ...]
    """In pixels of the image, largest first."""
    panels: tuple[Panel, ...]
    """The faces alone, or all steps before them as well."""


def read_frame_at(clip: Path, seconds: float, limits: Limits = Limits()) -> ImageHW3:  # noqa: B008 - frozen
    """Return the frame of a clip on show at a time.

    Raises:
        InputError: The clip cannot be read.
        UsageError: It has no frame at that time.
    """
    with open_video(clip, limits) as video:
        if not 0 <= seconds <= video.index.end_seconds:
            raise UsageError(f"{clip} is {video.index.end_seconds:.2f} s long; there is nothing at {seconds:g} s")
        number = int(np.searchsorted(video.index.times_seconds, seconds + 1e-6, side="right")) - 1
        frame = next(iter(read_frames(video, np.array([max(0, number)]))), None)
    if frame is None:
        raise UsageError(f"the frame of {clip} at {seconds:g} s cannot be decoded; take another time")
    return frame.image_HW3


def show_faces(image_HW3: ImageHW3, spec: DetectorSpec = DetectorSpec(), *, stages: bool = False) -> FacesShown:  # noqa: B008 - frozen
    """Find the faces of an RGB image with MTCNN, and draw them.

    Args:
        image_HW3: (H, W, 3) uint8.
        spec: How they are looked for.
        stages: Also draw the pyramid and what each of the three networks proposes and leaves.
    """
    detector = Mtcnn(spec)
    searched_HW3 = scaled_frame(image_HW3, spec)[0]
    steps = detector.stages(searched_HW3)
    panels = [_pyramid_panel(searched_HW3, spec)] if stages else []
    panels += [_stage_panel(searched_HW3, step) for step in (steps if stages else steps[-1:])]
    return FacesShown(tuple(detector.detect(image_HW3)), tuple(panels))


def write_faces_page(shown: FacesShown, source: str, path: Path) -> None:
    """Write the panels as one self-contained HTML page."""
    write_file(path, render("unmask.explore", "faces.html.j2", source=source, shown=shown, version=__version__))


def _pyramid_panel(image_HW3: ImageHW3, spec: DetectorSpec) -> Panel:
    """Lay the levels of the pyramid beside each other, largest first, in their own pixels."""
    levels = [level.pixels_HW3 for level in pyramid(sums_of(image_HW3), spec.min_face_px)]
    height, width = (max([1, *(level.shape[0] for level in levels)]), sum(level.shape[1] + 4 for level in levels) + 1)
    canvas_HW3 = np.full((height, width, 3), 40, np.uint8)
    left = 0
    for level in levels:
        canvas_HW3[: level.shape[0], left : left + level.shape[1]] = np.rint(level * 128 + 127.5).clip(0, 255)
        left += level.shape[1] + 4
    return Panel("Image pyramid", len(levels), _jpeg(canvas_HW3))


def _stage_panel(image_HW3: ImageHW3, stage: Stage) -> Panel:
    """Draw the boxes of a step, the surest on top."""
    factor = PANEL_PX / max(image_HW3.shape[:2])
    size = max(1, round(image_HW3.shape[1] * factor)), max(1, round(image_HW3.shape[0] * factor))
    canvas_HW3 = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    for i in np.argsort(stage.scores_N).tolist():
        x1, y1, x2, y2 = np.rint(stage.boxes_N4[i] * factor).astype(int).tolist()
        share = float(np.clip((stage.scores_N[i] - 0.7) / 0.3, 0, 1))
        colour = np.rint((1 - share) * _LOW_RGB + share * _HIGH_RGB).tolist()
        cv2.rectangle(canvas_HW3, (x1, y1), (x2, y2), colour, 1, cv2.LINE_AA)
        for x, y in _points(stage.landmarks_N52, i, factor):
            cv2.circle(canvas_HW3, (x, y), 3, _LANDMARK_RGB, -1, cv2.LINE_AA)
    return Panel(stage.name, len(stage.boxes_N4), _jpeg(canvas_HW3))


def _points(landmarks_N52: NDArray[np.float32] | None, i: int, factor: float) -> Sequence[tuple[int, int]]:
    if landmarks_N52 is None:
        return ()
    return [(x, y) for x, y in np.rint(landmarks_N52[i] * factor).astype(int).tolist()]


def _jpeg(image_HW3: ImageHW3) -> str:
    done, jpeg = cv2.imencode(".jpg", image_HW3[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 88))
    return base64.b64encode(jpeg.tobytes()).decode() if done else ""
