"""What a file is: the facts that the challenge's exploration notebook reads with ffprobe, and more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from unmask.errors import UnreadableError
from unmask.media.container import FrameIndex, Limits, decode_packet, index_packets, open_container
from unmask.media.orientation import Orientation, orientation_of
from unmask.types import AudioFacts, MediaFacts


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A video file, open in this process, whose frames are known but not decoded yet."""

    file: BufferedReader
    """The open file."""
    facts: MediaFacts
    """What it is."""
    index: FrameIndex
    """Which frames it has."""
    orientation: Orientation
    """How its frames become upright."""
    limits: Limits
    """What decoding may cost."""


def open_here(file: BufferedReader, sha256: str, limits: Limits) -> OpenFile:
    """List the frames of an open file and decode the first one, in this process.

    Args:
        file: A regular file.
        sha256: Hash of its bytes, 64 hex digits.
        limits: Those on pixels are kept here.

    Raises:
        InputError: As `unmask.media.open_video`, but for timeout and crash.
    """
    with open_container(file, limits.frame_pixels) as (container, stream):
        walk = _Walk(container, stream, limits.frame_pixels)
        index = index_packets(walk, stream)
        if walk.first_frame is None:
            raise UnreadableError("not one frame of the video can be decoded")
        orientation = orientation_of(walk.first_frame)
        facts = _facts(file, sha256, container, stream, index, walk.first_frame, orientation)
    return OpenFile(file, facts, index, orientation, limits)


class _Walk:
    """All video packets of a file; decodes until the first frame comes out, for its format and orientation."""

    def __init__(self, container: InputContainer, stream: VideoStream, frame_pixels: int) -> None:
        self.container, self.stream, self.frame_pixels = container, stream, frame_pixels
        self.first_frame: VideoFrame | None = None

    def __iter__(self) -> Iterator[av.Packet[VideoStream]]:
        try:
            for packet in self.container.demux(self.stream):
                yield packet
                if self.first_frame is None:
                    frames = decode_packet(self.stream.codec_context, packet, self.frame_pixels)
                    self.first_frame = next((frame for frame in frames if not frame.is_corrupt), None)
        except (av.error.FFmpegError, OSError):
            return  # a damaged tail: what came before it still counts


def _facts(
    file: BufferedReader,
    digest: str,
    container: InputContainer,
    stream: VideoStream,
    index: FrameIndex,
    frame: VideoFrame,
    orientation: Orientation,
) -> MediaFacts:
    context = stream.codec_context
    width, height = (frame.height, frame.width) if orientation.transpose else (frame.width, frame.height)
    rate, start, shape = stream.average_rate, stream.start_time, stream.sample_aspect_ratio
    return MediaFacts(
        size_bytes=os.fstat(file.fileno()).st_size,
        sha256=digest,
        container=container.format.long_name,
        codec=context.codec.canonical_name,
        pixel_format=frame.format.name,
        width=width,
        height=height,
        rotation_degrees=orientation.rotation_degrees,
        mirrored=orientation.mirrored,
        sample_aspect_ratio=float(shape) if shape else 1.0,
        frames=len(index),
        frames_claimed=stream.frames or None,
        cut_short=_is_cut_short(container, stream, index),
        frame_rate=float(rate) if rate else None,
        duration_seconds=index.end_seconds,
        start_seconds=float(start * stream.time_base) if start is not None and stream.time_base else None,
        bit_rate=context.bit_rate or (round(8 * index.size_bytes / index.end_seconds) if index.end_seconds else None),
        encoder=stream.metadata.get("encoder") or container.metadata.get("encoder"),
        audio=_audio_facts(container),
    )


def _is_cut_short(container: InputContainer, stream: VideoStream, index: FrameIndex) -> bool:
    """Whether the header lists more than the file holds: more frames or, where it counts none, more seconds."""
    if stream.frames:
        return index.packets < stream.frames - 1
    claimed = 0.0
    if tag := stream.metadata.get("DURATION"):  # Matroska: 00:00:02.400000000
        with suppress(ValueError):
            hours, minutes, seconds = map(float, tag.split(":"))
            claimed = 3600 * hours + 60 * minutes + seconds
    elif container.duration and not container.streams.audio:  # sound may well outlast the picture
        claimed = container.duration / av.time_base
    return claimed > 1.05 * (index.end_seconds + (stream.start_time or 0) * index.seconds_per_tick) + 0.5


def _audio_facts(container: InputContainer) -> AudioFacts | None:
    if not container.streams.audio:
        return None
    stream = container.streams.audio[0]
    context, base = stream.codec_context, stream.time_base

    def seconds(ticks: int | None) -> float | None:
        return None if ticks is None or base is None else float(ticks * base)

    return AudioFacts(
        codec=context.codec.canonical_name if context else "unknown",
        channels=context.channels if context else None,
        sample_rate_hz=context.sample_rate if context else None,
        frames=stream.frames or None,
        bit_rate=(context.bit_rate or None) if context else None,
        duration_seconds=seconds(stream.duration),
        start_seconds=seconds(stream.start_time),
    )
