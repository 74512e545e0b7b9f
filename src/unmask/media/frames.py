"""Which frames to look at, and decoding just those.

The cheap way: list all packets first (no decoding), mark the wanted time stamps, then let the decoder skip
every picture that nobody wants and no other picture refers to. The frames that come out are bit-identical to
those of a full decode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unmask.errors import LimitError, UsageError
from unmask.media.container import decode_packet, open_container
from unmask.media.probe import OpenFile
from unmask.types import ImageHW3

if TYPE_CHECKING:
    from unmask.media.guard import Video

# Codecs in which a picture that is not referred to can be skipped without a trace; HEVC only sometimes.
_SKIPPABLE = frozenset({"h264", "mpeg4", "mpeg1video", "mpeg2video"})


def spread_over_time(times_seconds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Pick ``count`` frames whose time stamps lie as evenly as the frames allow; all of them if there are fewer.

    Args:
        times_seconds: (N,) rising time stamps of the frames that exist.
        count: How many to pick, at least 1.

    Returns:
        (min(count, N),) strictly rising frame indices; from 2 on, the first and the last frame are among them.
    """
    total = len(times_seconds)
    if total <= count:
        return np.arange(total, dtype=np.int64)
    targets = np.linspace(times_seconds[0], times_seconds[-1], count)
    middles = (times_seconds[1:] + times_seconds[:-1]) / 2
    nearest = np.searchsorted(middles, targets)
    steps = np.arange(count)  # a frame is taken once: push doubles apart, then back inside
    rising = np.maximum.accumulate(nearest - steps) + steps
    return np.minimum(rising, total - count + steps).astype(np.int64)


def floor_linspace(times_seconds: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Pick the indices of the challenge winner: floor(linspace(0, N - 1, count)), doubles removed.

    Source: selimsef/dfdc_deepfake_challenge. Doubles stalled the original after the first one.
    """
    return np.unique(np.linspace(0, len(times_seconds) - 1, count).astype(np.int64))


SAMPLINGS: dict[str, Callable[[NDArray[np.float64], int], NDArray[np.int64]]] = {
    "time": spread_over_time,
    "reference": floor_linspace,
}
"""Name -> function (times_seconds, count) -> frame indices."""


def pick_frames(video: Video, count: int, sampling: str = "time") -> NDArray[np.int64]:
    """Return the indices of the frames to look at, strictly rising.

    Raises:
        UsageError: ``count`` is below 1 or ``sampling`` is not one of `SAMPLINGS`.
    """
    if count < 1:
        raise UsageError(f"cannot sample {count} frames; ask for at least 1")
    if sampling not in SAMPLINGS:
        raise UsageError(f"unknown sampling {sampling!r}; use one of {', '.join(SAMPLINGS)}")
    return SAMPLINGS[sampling](video.index.times_seconds, count)


def decode_stored(opened: OpenFile, indices: NDArray[np.int64]) -> Iterator[tuple[int, ImageHW3]]:
    """Decode the frames with the given indices, in rising order, one at a time, in this process.

    A frame that cannot be decoded is replaced by the next one that can, unless that one is wanted itself; so
    a damaged video yields fewer frames, never the same one twice.

    Yields:
        Index, and the picture as it is stored: RGB, not yet upright.

    Raises:
        LimitError: More pixels than the limits allow.
    """
    index = opened.index
    converter = VideoReformatter()  # one for all frames: it keeps its tables
    for pts, picture in _decode(opened, index.pts[indices]):
        position = min(int(np.searchsorted(index.pts, pts)), len(index) - 1)
        picture = converter.reformat(picture, format="rgb24", interpolation="BILINEAR", threads=1)
        yield position, picture.to_ndarray().astype(np.uint8, copy=False)


def _decode(opened: OpenFile, wanted: NDArray[np.int64]) -> Iterator[tuple[int, VideoFrame]]:
    """Yield (time stamp, picture) for each wanted time stamp, or for the first decodable one after it."""
    index, limits, pixels = opened.index, opened.limits, 0
    pending = wanted.tolist()[::-1]
    with open_container(opened.file, limits.frame_pixels) as (container, stream):
        for position, frame in enumerate(_pictures(container, stream, opened, pending)):
            pixels += frame.width * frame.height
            if pixels > limits.total_pixels:
                raise LimitError(f"more than {limits.total_pixels} pixels would have to be decoded")
            pts = position if not index.stamped else frame.pts
            if pts is None or pts < pending[-1] or frame.is_corrupt:
                continue
            while pending and pending[-1] <= pts:
                pending.pop()
            yield pts, frame
            if not pending:
                return


def _pictures(
    container: InputContainer, stream: VideoStream, opened: OpenFile, pending: list[int]
) -> Iterator[VideoFrame]:
    """Decode packet by packet, skipping what the ``pending`` time stamps (last one next) do not need."""
    context, index = stream.codec_context, opened.index
    skippable = index.stamped and _is_skippable(context)
    wanted = set(pending)
    position, resume_at = -1, 0
    for packet in _demux(container, stream):
        position += bool(packet.size)
        if packet.size and position < resume_at:
            continue
        if skippable:
            context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        before = len(pending)
        yield from decode_packet(context, packet, opened.limits.frame_pixels)
        if index.stamped and pending and len(pending) < before:
            # The last wanted frame is out: drop all packets up to the key packet that the next one hangs on.
            key = int(np.searchsorted(index.key_pts, pending[-1], side="right")) - 1
            if key >= 0 and index.key_packets[key] > position:
                resume_at = int(index.key_packets[key])
                context.flush_buffers()


def _is_skippable(context: VideoCodecContext) -> bool:
    """Whether unwanted non-reference pictures can be skipped, and all others stay as they are.

    In HEVC with several temporal sub-layers a "sub-layer non-reference" picture may be referred to by pictures of
    higher layers. The header (hvcC, ISO/IEC 14496-15) tells how many layers there are; without it, nothing is skipped.
    """
    if context.codec.canonical_name == "hevc":
        header = context.extradata or b""
        return len(header) > 22 and header[0] == 1 and header[21] >> 3 & 7 == 1
    return context.codec.canonical_name in _SKIPPABLE


def _demux(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    try:
        yield from container.demux(stream)
    except (av.error.FFmpegError, OSError):
        return  # a damaged tail
