"""Open a container safely and list the frames that are really in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BufferedReader

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from unmask.errors import LimitError, NoVideoError, UnreadableError, UnsupportedError
from unmask.media.formats import CONTAINER_FORMATS, SOUND_CODECS, VIDEO_CODECS
from unmask.media.quantiser import EXPORT
from unmask.storage.content import HEAD_BYTES, content_of

_MAX_TICKS = 1 << 62
"""Time stamps further apart than this are noise, and their differences no 64-bit numbers."""


@dataclass(frozen=True, slots=True)
class FrameIndex:
    """The frames that exist, by their time stamps, in order of display."""

    pts: NDArray[np.int64]
    """(N,) strictly rising time stamps in ticks; positions 0..N-1 where the packets carry none."""
    seconds_per_tick: float
    """Length of one tick."""
    key_packets: NDArray[np.int64]
    """(P,) position, in decoding order, of each packet from which decoding can start afresh."""
    key_pts: NDArray[np.int64]
    """(P,) time stamp of each of them in ticks."""
    stamped: bool
    """False when packets carry no usable time stamps, so that only counting decoded frames finds one."""
    end_seconds: float
    """Time from the first frame to the end of the last."""
    packets: int
    """All packets of the track, also those that are not shown."""
    size_bytes: int
    """Length of all packets of the track."""

    def __len__(self) -> int:
        return len(self.pts)

    @property
    def times_seconds(self) -> NDArray[np.float64]:
        """(N,) seconds since the first frame."""
        return (self.pts - self.pts[0]) * self.seconds_per_tick

    def index_of(self, pts: int) -> int:
        """Return the index of the frame with this time stamp, or of the next one."""
        return min(int(np.searchsorted(self.pts, pts)), len(self) - 1)


@contextmanager
def open_container(file: BufferedReader, frame_pixels: int) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a media file from its start and pick the video stream.

    Raises:
        UnreadableError: The bytes are no media file.
        UnsupportedError: An image, a container format outside the allow-list, or a codec without decoder.
        NoVideoError: Sound only, or a still cover image.
        LimitError: Frames of more than ``frame_pixels``.
    """
    file.seek(0)
    if content_of(file.read(HEAD_BYTES)) == "image":
        raise UnsupportedError("this is an image, and images are not judged yet; name a video that shows the face")
    file.seek(0)
    # Looking into a container, FFmpeg decodes a little of each track: of codecs outside the list, nothing.
    options = {"format_whitelist": CONTAINER_FORMATS, "protocol_whitelist": "file", "codec_whitelist": _decoders()}
    try:
        container = av.open(file, "r", options=options, metadata_errors="replace")  # titles come in any encoding
    except av.error.ArgumentError as error:
        raise UnsupportedError("this container format is not read; convert the file to MP4 or Matroska") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError("this is no media file, or its header is damaged") from error
    with container:
        yield container, _pick_stream(container, frame_pixels)


@cache
def _decoders() -> str:
    """Return FFmpeg's names of all decoders of the codecs that are decoded."""
    return ",".join(
        name for name in sorted(av.codecs_available) if _canonical_name(name) in VIDEO_CODECS | SOUND_CODECS
    )


def _canonical_name(decoder: str) -> str | None:
    try:
        return av.Codec(decoder, "r").canonical_name
    except (av.codec.codec.UnknownCodecError, RuntimeError):  # it only encodes
        return None


def _pick_stream(container: InputContainer, frame_pixels: int) -> VideoStream:
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        raise NoVideoError("the file holds no moving picture, only " + ("sound" if container.streams.audio else "data"))
    stream = next((s for s in moving if s.disposition & Disposition.default), moving[0])
    context = stream.codec_context
    if context is None:
        raise UnsupportedError("no decoder for this video codec; convert the file to H.264")
    if context.codec.canonical_name not in VIDEO_CODECS:
        raise UnsupportedError(f"the video codec {context.codec.canonical_name} is not read; convert the file to H.264")
    _check_size(context, frame_pixels)
    context.thread_type, context.thread_count = "NONE", 1  # frame threads would break packet-wise skipping
    context.options = {"max_pixels": str(frame_pixels)} | EXPORT  # a stream may outgrow its header
    return stream


def decode_packet(context: VideoCodecContext, packet: av.Packet[VideoStream], frame_pixels: int) -> list[av.VideoFrame]:
    """Decode one packet; a damaged one gives no frame, and the next key packet heals the stream.

    Raises:
        LimitError: It holds a frame of more than ``frame_pixels``: a stream may outgrow its header.
    """
    try:
        return context.decode(packet if packet.size else None)
    except av.error.FFmpegError:
        _check_size(context, frame_pixels)
        return []


def _check_size(context: VideoCodecContext, frame_pixels: int) -> None:
    if context.width * context.height > frame_pixels:
        raise LimitError(
            f"frames of {context.width}x{context.height} pixels; at most {frame_pixels} pixels are decoded"
        )


def index_packets(packets: Iterable[av.Packet[VideoStream]], stream: VideoStream) -> FrameIndex:
    """Build the index from packets alone: no decoding, and no belief in the header's frame count.

    Frames before the first key packet cannot be decoded and frames cut away by an edit list are not shown;
    neither exists.

    Raises:
        UnreadableError: There is not one packet.
    """
    pts: list[int] = []
    key_packets: list[int] = []
    key_pts: list[int] = []
    position, size_bytes, stamped, last_pts, last_duration = -1, 0, True, -(2**63), 0
    starts_afresh = _key_test(stream)
    for packet in packets:
        if not packet.size:
            continue
        position += 1
        size_bytes += packet.size
        stamped &= packet.pts is not None
        stamp = packet.pts if packet.pts is not None else position
        if packet.is_keyframe and (not key_pts or starts_afresh(packet)):
            key_packets.append(position)
            key_pts.append(stamp)
        if key_pts and not packet.is_discard and stamp >= key_pts[0]:
            pts.append(stamp)
            if stamp > last_pts:
                last_pts, last_duration = stamp, packet.duration or 0
    if not pts:
        raise UnreadableError("the file names a video track but holds no frame of it")
    times = np.unique(np.asarray(pts, np.int64))
    stamped = stamped and len(times) >= 0.9 * len(pts) and int(times[-1]) - int(times[0]) < _MAX_TICKS
    tick = float(stream.time_base) if stream.time_base else 1.0
    if not stamped:
        rate = stream.average_rate or stream.guessed_rate
        times, tick, last_duration = np.arange(len(pts), dtype=np.int64), float(1 / rate) if rate else 1 / 25, 1
    end = float(times[-1] - times[0] + (last_duration if last_duration > 0 else _typical_gap(times))) * tick
    keys = np.asarray(key_packets), np.asarray(key_pts)
    return FrameIndex(times, tick, *keys, stamped, end, position + 1, size_bytes)


def _typical_gap(times: NDArray[np.int64]) -> int:
    return int(np.median(np.diff(times))) if len(times) > 1 else 0


def _key_test(stream: VideoStream) -> Callable[[av.Packet[VideoStream]], bool]:
    """Return a function that says whether decoding can start afresh at a key packet.

    In H.264 only IDR frames (NAL type 5) qualify: encoders also flag recovery points of an intra refresh,
    whose frames are whole only later. Packets hold NAL units after a length (MP4, Matroska) or after
    a start code (Annex B of ITU-T H.264).
    """
    if stream.codec_context.codec.canonical_name != "h264":
        return lambda _: True
    extra = stream.codec_context.extradata or b""
    prefix = (extra[4] & 3) + 1 if len(extra) > 4 and extra[0] == 1 else 0

    def is_idr(packet: av.Packet[VideoStream]) -> bool:
        data, at = bytes(packet), 0
        if not prefix:
            return any(unit[:1] and unit[0] & 31 == 5 for unit in data.split(b"\0\0\1")[1:])
        while at + prefix < len(data):
            if data[at + prefix] & 31 == 5:
                return True
            at += prefix + int.from_bytes(data[at : at + prefix], "big")
        return False

    return is_idr
