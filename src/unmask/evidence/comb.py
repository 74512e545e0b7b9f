"""Look for the comb of an earlier encoding in the first key frame of an H.264 film that was then encoded more finely.

An encoder rounds the coefficients of each block to steps. A second, finer encoding leaves the steps of the first one
standing: values bunch at a distance that is not that of its own quantiser, which the decoder tells. What counts are
coefficients that change across and down a block, to which the usual intra predictions add nothing. How strongly values
bunch at each distance around the film's own goes to a support vector machine that
``benchmarks/fit_second_encoding.py`` fitted; see ``benchmarks/bench_second_encoding.py`` for how often it errs.
"""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from unmask.media.container import decode_packet, open_container
from unmask.media.frames import OpenFile
from unmask.media.quantiser import block_quantisers
from unmask.storage.arrays import read_arrays

WINDOW_BLOCKS = 20, 15
"""Width and height in macroblocks of the middle of the picture that is looked at, at most."""
MIN_BLOCKS = 100
"""Macroblocks that it must have."""
MIN_VALUES = 100
"""Coefficients of a step or so and more that it must have: a black picture tells nothing."""
MIN_NEAR = 0.4
"""Likeness, to 1, to the nearest of the films that were learned from, below which nothing is said: of those films, 98
in 100 are as near to one of another source."""
MODEL = Path(__file__).with_name("second_encoding.npz")
"""The support vector machine: means and spreads of the features, vectors, weights, width, bias and threshold."""

_BLOCK_PX = 16
_FINER, _COARSER = -2, 18
"""Steps that are tried: those of quantisers so far from the film's own."""
_FROM, _TO = (0.6, 1.6), 5.5
"""Coefficients of so many steps count: from the first, and from the second step on."""
_BIN = 0.01
_MAX_PACKETS = 32

Floats = NDArray[np.float64]

_TRANSFORMS = {
    4: np.array([[1, 1, 1, 1], [2, 1, -1, -2], [1, -1, -1, 1], [1, -2, 2, -1]], np.float64),
    8: np.array(
        [[8, 8, 8, 8, 8, 8, 8, 8], [12, 10, 6, 3, -3, -6, -10, -12], [8, 4, -4, -8, -8, -4, 4, 8],
         [10, -3, -12, -6, 6, 12, 3, -10], [8, -8, -8, 8, 8, -8, -8, 8], [6, -12, 3, 10, -10, -3, 12, -6],
         [4, -8, 8, -4, -4, 8, -8, 4], [3, -6, 10, -12, 12, -10, 6, -3]], np.float64
    ),
}  # fmt: skip
"""Rows of the transforms of H.264, 8.5.12 and 8.5.13."""


def comb_strength(opened: OpenFile) -> float | None:
    """Return by how much the first picture of a film bunches more than the threshold allows: above 0 there are signs.

    None for what is no progressive H.264 film of eight bits, too small, or bare.
    """
    frame = _first_frame(opened)
    if frame is None or frame.interlaced_frame or frame.format.components[0].bits != 8:
        return None
    quantisers = block_quantisers(frame)
    return None if quantisers is None else strength_of(luma_of(frame), quantisers)


def _first_frame(opened: OpenFile) -> VideoFrame | None:
    if opened.facts.codec != "h264":
        return None
    pixels = opened.limits.frame_pixels
    with open_container(opened.file, pixels, opened.track) as (container, stream):
        for packet in islice(container.demux(stream), _MAX_PACKETS):
            frames = decode_packet(stream.codec_context, packet, pixels)
            if frames:
                return None if frames[0].is_corrupt else frames[0]
    return None


def luma_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """Return the luma of a frame of eight bits, (H, W)."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.height * plane.line_size]
    return rows.reshape(plane.height, plane.line_size)[:, : plane.width]


def strength_of(luma_HW: NDArray[np.uint8], quantisers_hw: NDArray[np.int64]) -> float | None:
    """Return what `comb_strength` does of a picture, given the quantiser of each macroblock."""
    features = features_of(luma_HW, quantisers_hw)
    if features is None:
        return None
    model = _LOADED
    apart = (features - model["mean"]) / model["spread"] - model["vectors"]
    near = np.exp(-float(model["width"]) * (apart * apart).sum(1))
    if near.max() < MIN_NEAR:
        return None
    return float(near @ model["weights"] + model["bias"] - model["threshold"])


def _load_model() -> dict[str, Floats]:
    return {name: array.astype(np.float64) for name, array in read_arrays(MODEL).items()}


_LOADED = _load_model()  # at once: a confined decoder can open nothing


def features_of(luma_HW: NDArray[np.uint8], quantisers_hw: NDArray[np.int64]) -> Floats | None:
    """Return how strongly the coefficients bunch at each distance; None where the picture is too small or bare.

    Args:
        luma_HW: Luma.
        quantisers_hw: Quantiser of each macroblock, 0 to 51.
    """
    sides = (
        min(luma_HW.shape[0] // _BLOCK_PX, quantisers_hw.shape[0]),
        min(luma_HW.shape[1] // _BLOCK_PX, quantisers_hw.shape[1]),
    )
    rows, columns = min(sides[0], WINDOW_BLOCKS[1]), min(sides[1], WINDOW_BLOCKS[0])
    if rows * columns < MIN_BLOCKS:
        return None
    top, left = (sides[0] - rows) // 2, (sides[1] - columns) // 2
    quantisers = quantisers_hw[top : top + rows, left : left + columns]
    window = luma_HW[top * _BLOCK_PX : (top + rows) * _BLOCK_PX, left * _BLOCK_PX : (left + columns) * _BLOCK_PX]
    in_steps = [_in_steps(window, quantisers, side) for side in _TRANSFORMS]
    if any((values > _FROM[0]).sum() < MIN_VALUES for values in in_steps):
        return None
    found = np.concatenate([_bunching(values) for values in in_steps])
    return np.sign(found) * np.log1p(np.abs(found))


def _in_steps(window_HW: NDArray[np.uint8], quantisers_hw: NDArray[np.int64], side: int) -> Floats:
    """Return the coefficients of all blocks that change across and down, without sign, in steps of the quantiser."""
    rows = _TRANSFORMS[side] / np.linalg.norm(_TRANSFORMS[side], axis=1, keepdims=True)
    height, width = window_HW.shape
    blocks = window_HW.astype(np.float64).reshape(height // side, side, width // side, side).transpose(0, 2, 1, 3)
    times = _BLOCK_PX // side
    steps = 0.625 * 2 ** (np.repeat(np.repeat(quantisers_hw, times, 0), times, 1) / 6)
    return np.abs(rows[1:] @ blocks @ rows[1:].T) / steps[:, :, None, None]


def _bunching(in_steps: Floats) -> Floats:
    """Return the strength of each distance, in spreads of what values without rhythm give."""
    cosines, counted = _kernels()
    counts = np.histogram(in_steps, cosines.shape[1], (0, cosines.shape[1] * _BIN))[0]
    found: Floats = cosines @ counts / np.sqrt(np.maximum(counted @ counts, 1) / 2)
    return found


@cache
def _kernels() -> tuple[Floats, Floats]:
    """Return the wave and the span of each distance over a histogram of coefficients."""
    distances = 2 ** (np.arange(_FINER, _COARSER + 1) / 6)
    bins = (np.arange(round(_TO * distances[-1] / _BIN)) + 0.5) * _BIN
    phases = np.concatenate([bins / distances[:, None]] * len(_FROM))
    lowest = np.repeat(_FROM, len(distances))[:, None]
    counted = ((phases > lowest) & (phases < _TO)).astype(np.float64)
    return np.cos(2 * np.pi * phases) * counted, counted
