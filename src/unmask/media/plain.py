"""Make decoded frames as a player on an ordinary screen shows them: without combs, and of ordinary dynamic range.

An interlaced frame holds two moments, one in its even rows and one in its odd rows; where somebody moved between them,
it is combed. Footage of high dynamic range (HDR) stores light by another curve and in wider colours; shown as if it
were ordinary, it looks grey.
"""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from unmask.media.tones import is_wide, to_ordinary

_COMBED_LEVELS = 9
_BLOCK_PX, _COMBED_IN_BLOCK = 16, 80
"""A frame is combed where so many pixels of a square of this side are; numbers of TIVTC, a field matcher."""


class Plain:
    """Makes the frames of one video plain; keeps its tables from one to the next."""

    def __init__(self) -> None:
        """Set up without any table."""
        self._to_light, self._to_grey = VideoReformatter(), VideoReformatter()

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        """Return a frame without combs and of ordinary dynamic range; the same one where it is that already."""
        if frame.interlaced_frame:
            grey = self._to_grey.reformat(frame, format="gray", threads=1).to_ndarray()
            if is_combed(grey.astype(np.int16)):
                frame = first_moment(frame)
        return to_ordinary(frame, self._to_light) if is_wide(frame) else frame


def first_moment(frame: VideoFrame) -> VideoFrame:
    """Return the first of the two moments of an interlaced frame, its missing rows filled in.

    Frames of pixel formats that FFmpeg's filter does not take stay as they are.
    """
    graph = Graph()
    graph.threads = 1  # a confined decoder may start none
    with suppress(av.error.FFmpegError, ValueError):
        time_base = frame.time_base or Fraction(1)
        source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=time_base)
        graph.link_nodes(source, graph.add("estdif", "mode=frame"), graph.add("buffersink")).configure()
        graph.push(frame)
        graph.push(None)
        whole = graph.pull()
        if isinstance(whole, VideoFrame):
            whole.pts = frame.pts
            return whole
    return frame


def is_combed(levels_HW: NDArray[np.int16]) -> bool:
    """Tell whether rows alternate between two pictures somewhere.

    Args:
        levels_HW: Brightness, 0 to 255.
    """
    height, width = levels_HW.shape[0] // _BLOCK_PX * _BLOCK_PX, levels_HW.shape[1] // _BLOCK_PX * _BLOCK_PX
    if height < 2 * _BLOCK_PX or not width:
        return False
    far_above, above, here, below, far_below = (levels_HW[i : i + height - 4, :width] for i in range(5))
    stands_out = ((here - above > _COMBED_LEVELS) & (here - below > _COMBED_LEVELS)) | (
        (above - here > _COMBED_LEVELS) & (below - here > _COMBED_LEVELS)
    )
    smooth = np.abs(far_above + 4 * here + far_below - 3 * (above + below)) > 6 * _COMBED_LEVELS
    combed = np.zeros((height, width), np.uint8)
    combed[2:-2] = stands_out & smooth
    blocks = combed.reshape(height // _BLOCK_PX, _BLOCK_PX, width // _BLOCK_PX, _BLOCK_PX).sum((1, 3), dtype=np.uint16)
    return bool((blocks > _COMBED_IN_BLOCK).any())
