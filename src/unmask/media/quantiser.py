"""Read how coarsely a decoded frame was quantised, where the decoder tells."""

from __future__ import annotations

import struct

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from unmask.media.side_data import side_data_of

EXPORT = {"export_side_data": "venc_params"}
"""Option under which decoders of H.264, VP9 and MPEG-1, 2 and 4 attach their quantisers to frames."""
_RANGES = {0: 255, 1: 51, 2: 31}
"""Largest quantiser of VP9, of H.264 and of the MPEG family, by the number that FFmpeg gives them."""
_HEADER = struct.Struct("@IQQii")
"""Start of FFmpeg's ``AVVideoEncParams``: blocks, their offset and size in bytes, codec, quantiser of the frame."""
_H264, _BLOCK_PX = 1, 16
_BLOCK_DELTA = 4
"""Place of a block's difference to the frame's quantiser among the block's 32-bit numbers."""


def mean_quantiser(frame: VideoFrame) -> float | None:
    """Return the mean quantiser over the blocks of a frame as a share of the codec's range, 0 finest to 1.

    None where the decoder attached none, see `EXPORT`.
    """
    if (found := _exported(frame)) is None:
        return None
    codec, quantiser, blocks_N5 = found
    mean = float(quantiser)
    if blocks_N5 is not None:
        mean += float(blocks_N5[:, _BLOCK_DELTA].mean())
    return min(max(mean / _RANGES[codec], 0.0), 1.0)


def block_quantisers(frame: VideoFrame) -> NDArray[np.int64] | None:
    """Return the quantiser of each macroblock of an H.264 frame, (rows, columns), 0 to 51; None of other frames."""
    found = _exported(frame)
    if found is None or found[0] != _H264:
        return None
    _, quantiser, blocks_N5 = found
    map_hw = np.full((-(-frame.height // _BLOCK_PX), -(-frame.width // _BLOCK_PX)), quantiser, np.int64)
    if blocks_N5 is not None:
        columns, rows = blocks_N5[:, 0] // _BLOCK_PX, blocks_N5[:, 1] // _BLOCK_PX
        inside = (rows >= 0) & (rows < map_hw.shape[0]) & (columns >= 0) & (columns < map_hw.shape[1])
        map_hw[rows[inside], columns[inside]] += blocks_N5[inside, _BLOCK_DELTA]
    return map_hw.clip(0, _RANGES[_H264])


def _exported(frame: VideoFrame) -> tuple[int, int, NDArray[np.int32] | None] | None:
    """Return FFmpeg's number of the codec, the quantiser of a frame, and the numbers of its blocks."""
    content = side_data_of(frame, "VIDEO_ENC_PARAMS")
    if content is None or len(content) < _HEADER.size:
        return None
    blocks, offset, block_bytes, codec, quantiser = _HEADER.unpack_from(content)
    if codec not in _RANGES or offset + blocks * block_bytes > len(content):
        return None
    if not blocks or block_bytes % 4 or block_bytes < 4 * (_BLOCK_DELTA + 1):
        return codec, quantiser, None
    numbers = np.frombuffer(content, np.int32, blocks * block_bytes // 4, offset)
    return codec, quantiser, numbers.reshape(blocks, -1)
