"""Describe a decoded frame in a few hundred bytes, to find cuts with.

A signature is the frame shrunk to 16 by 9 blocks of Y, U and V. It is taken of the stored frame, before it is converted
or turned, from every fourth column of 36 rows, so that it costs a small share of what decoding the frame costs.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

ROWS, COLUMNS = 9, 16
SIGNATURE_SHAPE = (3, ROWS, COLUMNS)
SIGNATURE_BYTES = 3 * ROWS * COLUMNS
_ROWS_A_BLOCK = 4
_COLUMN_STEP = 4
_MIN_SIDES = (4 * COLUMNS, 4 * ROWS)
"""Planes below this width and height are enlarged first."""

MAX_SIGNATURES = 20_000
"""Signatures that are kept of one video, 9 MB; of more frames, every second or fourth has one."""

Signature = NDArray[np.uint8]
"""(3, 9, 16) uint8: mean Y, U and V of each block."""


class SignatureLog:
    """Collects the signatures of a video's frames while they are decoded; a frame counts once."""

    def __init__(self) -> None:
        self._signatures: dict[int, Signature] = {}
        self._every, self._seen = 1, 0

    def __len__(self) -> int:
        return len(self._signatures)

    def add(self, index: int, signature: Signature) -> None:
        """Keep the signature of the frame with this index; when there are too many, every second one goes."""
        self._seen += 1
        if self._seen % self._every:
            return
        self._signatures[index] = signature
        if len(self._signatures) > MAX_SIGNATURES:
            self._signatures = {kept: self._signatures[kept] for kept in sorted(self._signatures)[::2]}
            self._every *= 2

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
        """Return the indices (n,), rising, and the signatures (n, 3, 9, 16)."""
        indices = sorted(self._signatures)
        signatures = np.array([self._signatures[index] for index in indices], np.uint8)
        return np.array(indices, np.int64), signatures.reshape(-1, *SIGNATURE_SHAPE)


class Signer:
    """Takes the signatures of frames, one after the other."""

    def __init__(self) -> None:
        self._converter = VideoReformatter()  # one for all frames: it keeps its tables

    def sign(self, frame: VideoFrame) -> Signature:
        """Return the signature of a decoded frame of any pixel format."""
        if not _has_plain_planes(frame):
            width, height = max(frame.width, 2 * _MIN_SIDES[0]), max(frame.height, 2 * _MIN_SIDES[1])
            size = {"width": min(width, 640), "height": min(height, 360)}
            frame = self._converter.reformat(frame, format="yuv420p", interpolation="FAST_BILINEAR", threads=1, **size)
        signature = np.full(SIGNATURE_SHAPE, 128, np.uint8)
        for number, plane in enumerate(frame.planes[:3]):
            signature[number] = _shrink(_pixels_of(plane))
        return signature


def _has_plain_planes(frame: VideoFrame) -> bool:
    """Whether Y, U and V lie in planes of their own, 8 bits each, large enough to be thinned."""
    known = frame.format
    if known.is_rgb or known.has_palette or not known.is_planar:
        return False
    parts = known.components
    if any(part.bits != 8 or part.plane != number for number, part in enumerate(parts)):
        return False
    return all(part.width >= _MIN_SIDES[0] and part.height >= _MIN_SIDES[1] for part in parts)


def _pixels_of(plane: VideoPlane) -> NDArray[np.uint8]:
    pixels = np.frombuffer(plane, np.uint8)  # type: ignore[call-overload]  # planes are buffers
    return pixels.reshape(-1, plane.line_size)[: plane.height, : plane.width]


def _shrink(pixels_HW: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Average blocks of a plane over some of their rows and columns: (9, 16)."""
    height, width = pixels_HW.shape
    rows = (np.arange(ROWS * _ROWS_A_BLOCK) + 0.5) * height / (ROWS * _ROWS_A_BLOCK)
    step = _COLUMN_STEP if width >= 4 * _COLUMN_STEP * COLUMNS else 1
    thinned = pixels_HW[rows.astype(np.int64)][:, ::step]
    a_block = thinned.shape[1] // COLUMNS
    blocks = thinned[:, : COLUMNS * a_block].reshape(ROWS, _ROWS_A_BLOCK, COLUMNS, a_block)
    mean: NDArray[np.float64] = blocks.sum((1, 3), dtype=np.uint32) / (_ROWS_A_BLOCK * a_block)
    return mean
