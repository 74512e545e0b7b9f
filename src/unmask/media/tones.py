"""Bring footage of high dynamic range, or of wide colours, to what an ordinary screen shows (BT.709).

Curves and primaries after ITU-R BT.2100 and BT.2020; reference white is 203 cd/m² (ITU-R BT.2408), and what is brighter
is compressed. Computed here, since libswscale's tone mapping starts threads, which a confined decoder may not.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorTrc, Interpolation, VideoReformatter
from numpy.typing import NDArray

from unmask.facts import HighRange

Floats = NDArray[np.float32]

HIGH_RANGES: dict[int, HighRange] = {ColorTrc.SMPTE2084: "PQ", ColorTrc.ARIB_STD_B67: "HLG"}
"""Number of a transfer curve (ITU-T H.273) -> what it is called."""

_WHITE_NITS, _HLG_PEAK_NITS = 203.0, 1000.0
_KNEE = 0.8
"""Share of reference white from which on light is compressed."""
_DISPLAY_GAMMA = 2.4
_WIDE_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]], np.float32
)
"""Linear BT.2020 to linear BT.709 (ITU-R BT.2407)."""
_UNSPECIFIED, _BT2020_MATRIX = 2, 9
_KNOWN_MATRICES = frozenset({0, 1, _UNSPECIFIED, 4, 5, 6, 7, _BT2020_MATRIX})
_KNOWN_RANGES = frozenset({0, 1, 2})
"""Numbers of ITU-T H.273 that libswscale converts; it refuses all others."""
_FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND


def forget_unknown_tags(frame: VideoFrame) -> None:
    """Take away what a frame says of its colours where no conversion is known for it, as if it said nothing."""
    if frame.colorspace not in _KNOWN_MATRICES:
        frame.colorspace = _UNSPECIFIED
    if frame.color_range not in _KNOWN_RANGES:
        frame.color_range = 0


def high_range_of(frame: VideoFrame) -> HighRange | None:
    """Return by which curve of high dynamic range a frame is stored, None for an ordinary one."""
    return HIGH_RANGES.get(frame.color_trc)


def is_wide(frame: VideoFrame) -> bool:
    """Tell whether a frame is of high dynamic range, or of the wide colours of BT.2020."""
    return high_range_of(frame) is not None or frame.color_primaries == ColorPrimaries.BT2020


def to_ordinary(frame: VideoFrame, converter: VideoReformatter) -> VideoFrame:
    """Return an ordinary RGB frame of what is wide, see `is_wide`.

    Args:
        frame: The decoded frame; primaries that are not named are taken for those of BT.2020.
        converter: Keeps its tables from one frame of a video to the next.
    """
    if frame.colorspace == _UNSPECIFIED and not frame.format.is_rgb:
        frame.colorspace = _BT2020_MATRIX
    signal_HW3 = converter.reformat(frame, format="gbrp16le", interpolation=_FLAGS, threads=1).to_ndarray()
    kind = high_range_of(frame)
    light_N3 = _curve(kind)[signal_HW3.reshape(-1, 3)]
    if kind == "HLG":  # what a screen shows of it depends on the brightness of the scene
        scene_N1 = (light_N3 @ _WIDE_LUMA)[:, None]
        light_N3 *= np.power(np.maximum(scene_N1, 1e-6), 0.2) * (_HLG_PEAK_NITS / _WHITE_NITS)
    light_N3 = np.maximum(light_N3 @ _TO_BT709.T, 0)
    if kind is not None:
        light_N3 *= _compression(light_N3.max(1, keepdims=True))
    places = np.sqrt(np.minimum(light_N3, 1)) * np.float32(65535) + np.float32(0.5)
    image_HW3 = _display_levels()[places.astype(np.uint16)].reshape(signal_HW3.shape)
    return VideoFrame.from_ndarray(image_HW3, format="rgb24")


def _compression(brightest_N1: Floats) -> Floats:
    """Return by what light is multiplied so that no part of it is above white; what is below the knee stays."""
    above = np.maximum(brightest_N1 - np.float32(_KNEE), 0)
    room = np.float32(1 - _KNEE)
    bent_N1 = np.minimum(brightest_N1, np.float32(_KNEE)) + room * (1 - np.exp(-above / room))
    return (bent_N1 / np.maximum(brightest_N1, np.float32(1e-6))).astype(np.float32)


def _pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light in shares of reference white (SMPTE ST 2084)."""
    m1, m2 = 2610 / 16384, 2523 / 32
    c1, c2, c3 = 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    light: NDArray[np.float64] = (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * (10_000 / _WHITE_NITS)
    return light


def _hlg(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light of the scene, 0 to 1 (ARIB STD-B67)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)


def _gamma(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light of a screen, 0 to 1 (ITU-R BT.1886)."""
    return signal**_DISPLAY_GAMMA


_CURVES: dict[HighRange | None, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "PQ": _pq, "HLG": _hlg, None: _gamma
}  # fmt: skip


@cache
def _curve(kind: HighRange | None) -> Floats:
    """Return the light of each 16-bit level, (65536,)."""
    return _CURVES[kind](np.arange(65536) / 65535).astype(np.float32)


@cache
def _display_levels() -> NDArray[np.uint8]:
    """Return the 8-bit level of each square root of light, (65536,)."""
    return np.rint(255 * (np.arange(65536) / 65535) ** (2 / _DISPLAY_GAMMA)).astype(np.uint8)
