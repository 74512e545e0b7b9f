"""Turn decoded frames into RGB images.

A video stores brightness and two colour differences, and a tag that says by which matrix they become RGB again. OpenCV
heeds the tag since 4.13. Each model's card says which colours it was trained with, see `unmask.types.Colours`.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from unmask.types import Colours, ImageHW3

_QUICK = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"})
"""Pixel formats that FFmpeg converts by a table where the height is even, whatever flags and order of colours."""
_ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""All others come out a level too dark without these flags."""


_HELD = 2
"""Images that are held: who takes them may still have the last one."""


class RgbConverter:
    """Converts the frames of one video; keeps its tables from one frame to the next."""

    def __init__(self, colours: Colours) -> None:
        """Choose the colours."""
        self._colours = colours
        self._to_rgb, self._to_bgr = VideoReformatter(), VideoReformatter()
        self._held = deque[VideoFrame]()

    def convert(self, frame: VideoFrame) -> ImageHW3:
        """Return the image of a frame as it is stored, (H, W, 3) uint8 RGB.

        The last images are held until here, so that the new one takes the memory of the oldest. Freed earlier, other
        things take pieces of it, and more images need fresh pages: a tenth of the decoder's time at 1080p.
        """
        if len(self._held) == _HELD:
            self._held.popleft()
        rgb = self._as_tagged(frame) if self._colours == "tagged" else self._as_opencv(frame)
        self._held.append(rgb)
        return rgb.to_ndarray().astype(np.uint8, copy=False)

    def _as_tagged(self, frame: VideoFrame) -> VideoFrame:
        flags = Interpolation.BILINEAR if _is_quick(frame) else _ACCURATE
        return self._to_rgb.reformat(frame, format="rgb24", interpolation=flags, threads=1)

    def _as_opencv(self, frame: VideoFrame) -> VideoFrame:
        """Convert as OpenCV 4.5 to 4.12 did: to BGR, from the samples and their pixel format alone."""
        is_full = frame.format.name.startswith("yuvj")
        source = {
            "src_colorspace": Colorspace.ITU601,
            "src_color_range": ColorRange.JPEG if is_full else ColorRange.MPEG,
        }
        if _is_quick(frame):
            return self._to_rgb.reformat(frame, format="rgb24", threads=1, **source)
        bare, cubic = _without_tags(frame), Interpolation.BICUBIC
        bgr = self._to_bgr.reformat(bare, format="bgr24", interpolation=cubic, threads=1, **source)
        return self._to_rgb.reformat(bgr, format="rgb24", threads=1)


def _is_quick(frame: VideoFrame) -> bool:
    return frame.format.name in _QUICK and frame.height % 2 == 0


def _without_tags(frame: VideoFrame) -> VideoFrame:
    """Copy the samples of a planar frame: PyAV cannot take away the tag that says where its colour samples lie."""
    planes = frame.planes
    if not frame.format.is_planar or frame.format.is_rgb or min(plane.line_size for plane in planes) <= 0:
        return frame
    bare = VideoFrame(frame.width, frame.height, frame.format.name)
    for source, target in zip(planes, bare.planes, strict=True):
        length = min(source.line_size, target.line_size)
        rows = np.frombuffer(memoryview(source), np.uint8).reshape(source.height, -1)
        np.frombuffer(memoryview(target), np.uint8).reshape(target.height, -1)[:, :length] = rows[:, :length]
    return bare
