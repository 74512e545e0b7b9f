"""Open a container safely and pick the track that is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BufferedReader

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from unmask.errors import LimitError, NoVideoError, UnreadableError, UnsupportedError
from unmask.media.formats import CONTAINER_FORMATS, SOUND_CODECS, VIDEO_CODECS
from unmask.media.quantiser import EXPORT
from unmask.storage.content import HEAD_BYTES, content_of


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
