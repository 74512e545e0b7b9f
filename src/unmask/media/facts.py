"""Read what a file is: the facts that the challenge's exploration notebook reads with ffprobe, and more."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import replace
from io import BufferedReader

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from unmask.media.formats import PICTURE_FORMATS
from unmask.media.index import PacketIndex
from unmask.media.orientation import Orientation
from unmask.media.tags import texts
from unmask.media.tones import high_range_of
from unmask.types import AudioFacts, MediaFacts

_HEADER_TELLS_LENGTH = re.compile("matroska|asf|flv|mxf|nut|rm$")
"""Formats whose header tells how long the file is; of others, FFmpeg guesses it from time stamps and rates."""

_TAIL_BYTES = 1 << 24
_HEADERS = (b"FLV\x01", b"YUV4MPEG2 ", b"\0\0\0\x1cftyp", b"\0\0\0\x18ftyp", b"\0\0\0\x20ftyp", b"\0\0\0\x14ftyp",
            bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"))  # fmt: skip
"""Headers of formats of which FFmpeg reads the first recording only: FLV, YUV4MPEG2, MP4, ASF."""


def read_facts(
    file: BufferedReader,
    sha256: str,
    container: InputContainer,
    stream: VideoStream,
    packets: PacketIndex,
    frame: VideoFrame,
    orientation: Orientation,
) -> MediaFacts:
    """Return the facts of an open file.

    Args:
        file: The file.
        sha256: Hash of its bytes, 64 hex digits.
        container: What FFmpeg found in it.
        stream: The video track that counts.
        packets: The packets and frames of this track.
        frame: The first of them.
        orientation: How its frames become upright.
    """
    context, index = stream.codec_context, packets.frames
    width, height = (frame.height, frame.width) if orientation.transpose else (frame.width, frame.height)
    rate, start, shape = stream.average_rate, stream.start_time, stream.sample_aspect_ratio
    return MediaFacts(
        size_bytes=os.fstat(file.fileno()).st_size,
        sha256=sha256,
        container=PICTURE_FORMATS.get(container.format.name, container.format.long_name),
        codec=context.codec.canonical_name,
        pixel_format=frame.format.name,
        width=width,
        height=height,
        rotation_degrees=orientation.rotation_degrees,
        mirrored=orientation.mirrored,
        sample_aspect_ratio=float(shape) if shape else 1.0,
        frames=len(index),
        frames_claimed=stream.frames or None,
        cut_short=_is_cut_short(container, stream, packets),
        frame_rate=float(rate) if rate else None,
        duration_seconds=index.end_seconds,
        start_seconds=float(start * stream.time_base) if start is not None and stream.time_base else None,
        bit_rate=context.bit_rate or (round(8 * index.size_bytes / index.end_seconds) if index.end_seconds else None),
        encoder=texts(stream.metadata).get("encoder") or texts(container.metadata).get("encoder"),
        audio=_audio_facts(container),
        interlaced=frame.interlaced_frame,
        high_range=high_range_of(frame),
        is_followed=_is_followed(file, packets.end_byte),
    )


def as_picture(facts: MediaFacts, *, cut_short: bool) -> MediaFacts:
    """Return the facts of a file that holds one picture: what FFmpeg says of its times is made up."""
    return replace(
        facts,
        is_picture=True,
        cut_short=cut_short,
        frame_rate=None,
        duration_seconds=0.0,
        start_seconds=None,
        bit_rate=None,
    )


def _is_cut_short(container: InputContainer, stream: VideoStream, packets: PacketIndex) -> bool:
    """Tell whether the header lists more than the file holds: more frames or, where it counts none, more seconds.

    AVI counts frames that were dropped and have no packet as well; the time stamps of decoding count them too.
    """
    index = packets.frames
    if stream.frames:
        there = packets.last_tick + 1 if container.format.name == "avi" else index.packets
        return max(there, index.packets) < stream.frames - 1
    claimed = 0.0
    if tag := stream.metadata.get("DURATION"):  # Matroska: 00:00:02.400000000
        with suppress(ValueError):
            hours, minutes, seconds = map(float, tag.split(":"))
            claimed = 3600 * hours + 60 * minutes + seconds
    elif container.duration and _HEADER_TELLS_LENGTH.match(container.format.name) and not container.streams.audio:
        claimed = container.duration / av.time_base  # sound may well outlast the video
    tick = float(stream.time_base) if stream.time_base else 0.0
    return claimed > 1.05 * (index.end_seconds + max(0, stream.start_time or 0) * tick) + 0.5


def _is_followed(file: BufferedReader, end_byte: int) -> bool:
    """Tell whether the header of another recording stands behind the last packet, as where files were joined."""
    if not end_byte:
        return False
    file.seek(end_byte)
    tail = file.read(_TAIL_BYTES)
    return any(header in tail for header in _HEADERS)


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
