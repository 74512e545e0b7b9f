"""Copies of a clip as they go about: encoded again, smaller, blurred, sharpened, smoothed, and several of these.

Made in memory from a short run of frames, so that thousands of copies can be scored. `COPIES` names them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream

from unmask.errors import UsageError
from unmask.media.quantiser import EXPORT, mean_quantiser
from unmask.runtime.scheduling import kept_scheduling
from unmask.types import ImageHW3

RATE = Fraction(25)
"""Frames a second of every copy."""
MESSENGER_WIDTH_PX = 320
_MIN_SIDE_PX = 16

Filter = Callable[[ImageHW3], ImageHW3]


@dataclass(frozen=True, slots=True)
class Step:
    """One encoding on the way, and what is done to the frames before it."""

    codec: str
    """Encoder of FFmpeg."""
    options: dict[str, str]
    """Its options."""
    filter: Filter | None = None
    """Changes each frame; None for no change."""
    scale: float | None = 1.0
    """The frames are made smaller by this factor, over 0 and at most 1; None: to `MESSENGER_WIDTH_PX`."""


@dataclass(frozen=True, slots=True)
class Copy:
    """The frames of a copy."""

    images: list[ImageHW3]
    """(H, W, 3) uint8 RGB, all of one size."""
    quantisers: list[float | None]
    """Mean quantiser of each frame, 0 to 1; None where the codec does not tell."""


def _blur(sigma_px: float) -> Filter:
    return lambda image_HW3: cv2.GaussianBlur(image_HW3, (0, 0), sigma_px)


def _sharpen(image_HW3: ImageHW3) -> ImageHW3:
    return cv2.addWeighted(image_HW3, 1.8, cv2.GaussianBlur(image_HW3, (0, 0), 1.5), -0.8, 0)


def _beautify(image_HW3: ImageHW3) -> ImageHW3:
    return cv2.addWeighted(cv2.bilateralFilter(image_HW3, 9, 40, 5), 0.8, image_HW3, 0.2, 0)


def _x264(crf: int, filter: Filter | None = None, scale: float | None = 1.0) -> Step:  # noqa: A002 - as the field
    return Step("libx264", {"crf": str(crf), "preset": "veryfast"}, filter, scale)


_X265 = {"crf": "32", "preset": "medium", "x265-params": "log-level=none:pools=none:frame-threads=1"}
_VP9 = {"crf": "40", "b": "0", "cpu-used": "8", "deadline": "realtime"}
_AV1 = {"crf": "45", "preset": "12", "svtav1-params": "lp=1"}

COPIES: dict[str, tuple[Step, ...]] = {
    "as it is": (),
    "crf 23": (_x264(23),),
    "crf 32": (_x264(32),),
    "crf 40": (_x264(40),),
    "blur 1": (_x264(23, _blur(1)),),
    "blur 2": (_x264(23, _blur(2)),),
    "blur 3": (_x264(23, _blur(3)),),
    "half size": (_x264(26, scale=1 / 2),),
    "third size": (_x264(26, scale=1 / 3),),
    "x265": (Step("libx265", _X265),),
    "vp9": (Step("libvpx-vp9", _VP9),),
    "av1": (Step("libsvtav1", _AV1),),
    "twice": (_x264(30), _x264(32, scale=3 / 4)),
    "messenger": (_x264(33, scale=None),),
    "sharpened": (_x264(23, _sharpen),),
    "beautified": (_x264(23, _beautify),),
}
"""Name -> encodings, one after the other."""


def copy_frames(images: Sequence[ImageHW3], name: str, frame_width_px: float) -> Copy:
    """Make a copy of a run of frames.

    Args:
        images: Consecutive frames, or the same part of each, (H, W, 3) uint8 RGB, one or more, all of one size.
        name: Name in `COPIES`.
        frame_width_px: Width of the whole frames, which decides how much smaller a messenger sends them.

    Raises:
        UsageError: There is no such copy.
    """
    if name not in COPIES:
        raise UsageError(f"unknown copy {name!r}; use one of {', '.join(COPIES)}")
    copy = Copy(list(images), [None] * len(images))
    for step in COPIES[name]:
        scale = min(1.0, MESSENGER_WIDTH_PX / frame_width_px) if step.scale is None else step.scale
        changed = [step.filter(image_HW3) if step.filter else image_HW3 for image_HW3 in copy.images]
        copy = _encode([shrink(image_HW3, scale) for image_HW3 in changed], step)
    return copy


def shrink(image_HW3: ImageHW3, scale: float) -> ImageHW3:
    """Make a frame smaller by a factor of at most 1, to even sides, as encoders need them."""
    height, width = (max(_MIN_SIDE_PX, int(side * scale) // 2 * 2) for side in image_HW3.shape[:2])
    if (height, width) == image_HW3.shape[:2]:
        return image_HW3
    return cv2.resize(image_HW3, (width, height), interpolation=cv2.INTER_AREA)


def _encode(images: Sequence[ImageHW3], step: Step) -> Copy:
    buffer = io.BytesIO()
    with kept_scheduling(), av.open(buffer, "w", format="matroska") as container:
        stream = cast(VideoStream, container.add_stream(step.codec, rate=RATE, options=step.options))
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for position, image_HW3 in enumerate(images):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HW3), format="rgb24")
            frame.pts, frame.time_base = position, 1 / RATE
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    buffer.seek(0)
    copy = Copy([], [])
    with av.open(buffer, "r") as written:
        track = written.streams.video[0]
        track.codec_context.options, track.codec_context.thread_count = EXPORT, 1
        for frame in written.decode(track):
            copy.images.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            copy.quantisers.append(mean_quantiser(frame))
    return copy
