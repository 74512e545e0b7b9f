"""Bring the frames of a pair to one size and one coarseness, so that what compression does to a score cancels.

The original is laid into the suspect's pixels. Then the frame that is quantised more finely is encoded again, as
coarsely as the other one.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext

from unmask.comparison.pairs import cut_view
from unmask.comparison.placement import Placement
from unmask.types import Frame, ImageHW3

FINER = 0.04
"""A quantiser that is smaller by this share of its range is finer; below, nothing is encoded again."""
SAME_SIZE = 1.3
"""The suspect is made coarser only where its pixels are about as large as the original's."""
_MAX_QP = 51


def levelled(suspect: Frame, original: Frame, placement: Placement) -> tuple[Frame, Frame]:
    """Return both frames in the suspect's pixels, one as coarse as the other where the decoders tell how coarse.

    Args:
        suspect: The suspect's frame.
        original: The original's frame of the same moment, not mirrored.
        placement: Where the suspect's pixels lie in it.
    """
    height, width = suspect.image_HW3.shape[:2]
    laid = cut_view(original.image_HW3, (0.0, 0.0, float(width), float(height)), (width, height), placement)
    other = replace(original, image_HW3=laid)
    if suspect.quantiser is None or original.quantiser is None:
        return suspect, other
    if suspect.quantiser > original.quantiser + FINER:
        return suspect, coarser(other, suspect.quantiser)
    scale = max(placement.scale_x, 1 / placement.scale_x)
    if original.quantiser > suspect.quantiser + FINER and scale < SAME_SIZE:
        return coarser(suspect, original.quantiser), other
    return suspect, other


def coarser(frame: Frame, quantiser: float) -> Frame:
    """Return a frame as it is after an encoding with x264 at this quantiser, a share of its range."""
    image_HW3 = frame.image_HW3
    height, width = (side // 2 * 2 for side in image_HW3.shape[:2])
    if min(height, width) < 16:
        return frame
    decoded = _encoded(np.ascontiguousarray(image_HW3[:height, :width]), round(_MAX_QP * quantiser))
    result = image_HW3.copy()
    result[:height, :width] = decoded
    return replace(frame, image_HW3=result, quantiser=quantiser)


def _encoded(image_HW3: ImageHW3, qp: int) -> ImageHW3:
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    assert isinstance(encoder, VideoCodecContext), "x264 encodes pictures"
    assert isinstance(decoder, VideoCodecContext), "h264 is decoded to pictures"
    encoder.height, encoder.width = image_HW3.shape[:2]
    encoder.pix_fmt, encoder.thread_count, encoder.framerate = "yuv420p", 1, Fraction(25)
    encoder.options = {"qp": str(max(1, qp)), "preset": "veryfast", "tune": "zerolatency"}
    decoder.thread_count = 1
    packets = [*encoder.encode(av.VideoFrame.from_ndarray(image_HW3, format="rgb24")), *encoder.encode(None)]
    frames = [frame for packet in packets for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    return frames[0].to_ndarray(format="rgb24").astype(np.uint8, copy=False)
