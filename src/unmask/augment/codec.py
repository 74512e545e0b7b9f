"""Compress images with x264 and decode them again, as an augmentation.

A network that sees compression in fakes only takes it for manipulation, so `compress_pair` treats both alike. The
ranges are NTechLab's (third place in the Deepfake Detection Challenge), who compressed whole clips with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, NamedTuple, cast, get_args

import av
import cv2
import numpy as np

from unmask.augment.transforms import Example, Rng, register_augmentation
from unmask.errors import UsageError
from unmask.types import ImageHW3

Tune = Literal["film", "animation", "grain", "stillimage", "fastdecode", "zerolatency"]
TUNES: tuple[Tune, ...] = get_args(Tune)
RATE = Fraction(25)
"""Frames a second; x264 gives frames that are shown for a shorter time fewer bits."""
_MIN_SIDE_PX = 16
_ALONE = {"x264-params": "mbtree=0:ipratio=1"}
"""Gives a single image the quality of a frame within a clip. By default x264 treats it as a frame that no other refers
to, and codes it coarser; with the bonus of key frames but without that tree it would code it finer."""


class Encoding(NamedTuple):
    """How images are compressed."""

    crf: int
    """Constant rate factor, 0 (best) to 51."""
    scale: float
    """Resized by this before encoding, and back afterwards; over 0 and at most 1."""
    tune: Tune
    """x264's tuning."""
    preset: str
    """x264's preset, ``ultrafast`` to ``placebo``."""


def compress_h264(
    images: Sequence[ImageHW3], crf: int, scale: float = 1.0, tune: Tune = "film", preset: str = "veryfast"
) -> list[ImageHW3]:
    """Encode images as one clip with libx264, in memory, and decode it again.

    Areas are averaged to shrink, cubic filtering enlarges again. What x264 needs beyond (even sides, 16 pixels) is
    padded with the border's pixels and cut off afterwards. One thread, so the result depends on the images alone.

    Args:
        images: RGB uint8, one or more, all of one size.
        crf: See `Encoding`, as for the others.
        scale: Resized by this before encoding, and back afterwards.
        tune: One of `TUNES`.
        preset: x264's preset.

    Returns:
        As many images of the same size.

    Raises:
        UsageError: There is no picture, they differ in size, or a setting is out of its range.
    """
    if not 0 <= crf <= 51 or not 0 < scale <= 1 or tune not in TUNES:
        raise UsageError(f"crf {crf}, scale {scale}, tune {tune}; use 0..51, (0, 1], one of {', '.join(TUNES)}")
    if len({image.shape for image in images}) != 1:
        raise UsageError("a clip needs one or more images, all of one size")
    height, width = images[0].shape[:2]
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    small = [_padded(_fitted(image, *inner, cv2.INTER_AREA)) for image in images]
    decoded = _through_x264(
        small, {"crf": str(crf), "tune": tune, "preset": preset} | (_ALONE if len(small) == 1 else {})
    )
    if len(decoded) != len(images):
        raise RuntimeError(f"{len(images)} images went into x264, {len(decoded)} came out")
    return [_fitted(image[: inner[0], : inner[1]], height, width, cv2.INTER_CUBIC) for image in decoded]


def _fitted(image_HW3: ImageHW3, height: int, width: int, interpolation: int) -> ImageHW3:
    if image_HW3.shape[:2] == (height, width):
        return np.ascontiguousarray(image_HW3)
    return cv2.resize(image_HW3, (width, height), interpolation=interpolation)


def _padded(image_HW3: ImageHW3) -> ImageHW3:
    below, right = (max(_MIN_SIDE_PX, side + side % 2) - side for side in image_HW3.shape[:2])
    return cv2.copyMakeBorder(image_HW3, 0, below, 0, right, cv2.BORDER_REPLICATE)


def _through_x264(images: Sequence[ImageHW3], options: dict[str, str]) -> list[ImageHW3]:
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.height, encoder.width = images[0].shape[:2]
    encoder.pix_fmt, encoder.framerate, encoder.thread_count = "yuv420p", RATE, 1
    encoder.options = options
    decoder = av.VideoCodecContext.create("h264", "r")
    decoder.thread_count = 1
    packets = []
    for time, image_HW3 in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image_HW3, format="rgb24")
        frame.pts = time
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [cast(ImageHW3, frame.to_ndarray(format="rgb24")) for frame in frames]


@register_augmentation("h264")
@dataclass(frozen=True, slots=True)
class H264:
    """Compresses an image with probability ``p``, as a clip of one frame."""

    crf: tuple[int, int] = (17, 40)
    """Min and max constant rate factor."""
    scale: tuple[float, float] = (0.25, 1.0)
    """Min and max scale."""
    p: float = 0.5
    """How often images are compressed, 0 to 1."""
    p_scale: float = 0.5
    """How often those are scaled too, 0 to 1."""
    preset: str = "veryfast"
    """x264's preset."""

    def draw(self, rng: Rng) -> Encoding | None:
        """Draw an encoding, or None for an image that stays as it is."""
        if rng.random() >= self.p:
            return None
        crf = int(rng.integers(self.crf[0], self.crf[1], endpoint=True))
        scale = float(rng.uniform(*self.scale)) if rng.random() < self.p_scale else 1.0
        return Encoding(crf, scale, TUNES[int(rng.integers(len(TUNES)))], self.preset)

    def __call__(self, example: Example, rng: Rng) -> Example:
        """Compress or not."""
        return _compressed(example, self.draw(rng))


def compress_pair(real: Example, fake: Example, rng: Rng, h264: H264 = H264()) -> tuple[Example, Example]:
    """Compress both images of an aligned pair with the same settings, each as a clip of its own."""
    encoding = h264.draw(rng)
    return _compressed(real, encoding), _compressed(fake, encoding)


def _compressed(example: Example, encoding: Encoding | None) -> Example:
    if encoding is None:
        return example
    return replace(example, image_HW3=compress_h264([example.image_HW3], *encoding)[0])
