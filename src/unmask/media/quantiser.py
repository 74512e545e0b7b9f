"""Read how coarsely a decoded frame was quantised, where the decoder tells."""

from __future__ import annotations

import struct

import numpy as np
from av.video.frame import VideoFrame

from unmask.media.side_data import side_data_of

EXPORT = {"export_side_data": "venc_params"}
"""Option under which decoders of H.264, VP9 and MPEG-1, 2 and 4 attach their quantisers to frames."""
_RANGES = {0: 255, 1: 51, 2: 31}
"""Largest quantiser of VP9, of H.264 and of the MPEG family, by the number that FFmpeg gives them."""
_HEADER = struct.Struct("@IQQii")
"""Start of FFmpeg's ``AVVideoEncParams``: blocks, their offset and size in bytes, codec, quantiser of the frame."""
_BLOCK_DELTA = 4
"""Place of a block's difference to the frame's quantiser among the block's 32-bit numbers."""


def mean_quantiser(frame: VideoFrame) -> float | None:
    """Return the mean quantiser over the blocks of a frame as a share of the codec's range, 0 finest to 1.

    None where the decoder attached none, see `EXPORT`.
    """
    content = side_data_of(frame, "VIDEO_ENC_PARAMS")
    if content is None or len(content) < _HEADER.size:
        return None
    blocks, offset, block_bytes, codec, quantiser = _HEADER.unpack_from(content)
    if codec not in _RANGES or offset + blocks * block_bytes > len(content):
        return None
    mean = float(quantiser)
    if blocks and block_bytes >= 4 * (_BLOCK_DELTA + 1):
        numbers = np.frombuffer(content, np.int32, blocks * block_bytes // 4, offset)
        mean += float(numbers.reshape(blocks, -1)[:, _BLOCK_DELTA].mean())
    return min(max(mean / _RANGES[codec], 0.0), 1.0)
