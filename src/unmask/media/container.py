"""Open a container safely and pick the track that is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from io import BufferedReader
from typing import Any

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from unmask.errors import LimitError, NoVideoError, UnreadableError, UnsupportedError
from unmask.media.formats import CONTAINER_FORMATS, PICTURE_FORMATS, SOUND_CODECS, VIDEO_CODECS
from unmask.media.jpegs import is_motion_jpeg
from unmask.media.quantiser import EXPORT
from unmask.media.tiles import Grid, read_grid
from unmask.storage.content import HEAD_BYTES, content_of

_STILL = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails
_PICTURE_STARTS = {b"\xff\xd8\xff": "jpeg_pipe", b"\x89PNG": "png_pipe", b"RIFF": "webp_pipe"}
_PREVIEW_SHARE = 1 / 4
"""Share of the largest film's pixels below which a picture track is a preview."""

_ANY_TITLE: dict[str, Any] = {} if int(av.__version__.split(".")[0]) > 18 else {"metadata_errors": "surrogateescape"}
"""How to open a file whose tags are not UTF-8, as PyAV 19 does by itself; see `unmask.media.tags.texts`."""


@dataclass(frozen=True, slots=True)
class Films:
    """The picture tracks of a file."""

    tracks: tuple[int, ...]
    """Index of each track that is a film, the one to look at first before all others."""
    others: int
    """Other picture tracks that move: previews, and codecs that are not read."""


def find_films(container: InputContainer, first: VideoStream, *, is_picture: bool) -> Films:
    """Find out which tracks of a file are films; only of several, packets are counted, for which the file is read.

    The one that is flagged as default comes first, then the larger one, then the longer one. Single pictures are no
    films, and neither are previews.

    Args:
        container: What `open_container` made of the file.
        first: The track that it picked.
        is_picture: Whether the file is an image.
    """
    if is_picture:
        return Films((first.index,), 0)
    tracks = [track for track in container.streams.video if _is_read(track)]
    shut = sum(not track.disposition & _STILL and not _is_read(track) for track in container.streams.video)
    if len(tracks) < 2:
        return Films((first.index,), shut)
    packets: Counter[int] = Counter()
    with suppress(av.error.FFmpegError, OSError):  # a damaged tail
        for packet in container.demux(tracks):
            packets[packet.stream_index] += bool(packet.size)
    pixels = {track.index: track.codec_context.width * track.codec_context.height for track in tracks}
    moving = [track for track in tracks if packets[track.index] > 1] or [first]
    least = _PREVIEW_SHARE * max(pixels[track.index] for track in moving)

    def rank(track: VideoStream) -> tuple[bool, int, int]:
        is_default = bool(track.disposition & Disposition.default)
        return is_default, pixels[track.index], packets[track.index]

    films = sorted((track for track in moving if pixels[track.index] >= least), key=rank, reverse=True)
    return Films(tuple(track.index for track in films), shut + len(moving) - len(films))


@contextmanager
def open_container(
    file: BufferedReader, frame_pixels: int, track: int | None = None
) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a media file from its start and pick a picture track.

    Args:
        file: The file.
        frame_pixels: Greatest size of a frame.
        track: Index of the track; None for the first one that can be decoded.

    Raises:
        UnreadableError: The bytes are no media file.
        UnsupportedError: A format outside the allow-list, a codec without decoder, or a picture made of others.
        NoVideoError: Sound only, or a still cover image.
        LimitError: Frames of more than ``frame_pixels``.
    """
    is_picture = is_image(file)
    grid = read_grid(file) if is_picture else None
    form = _picture_format(file) if is_picture else None
    formats = form or CONTAINER_FORMATS
    file.seek(0)
    # Looking into a container, FFmpeg decodes a little of each track: of codecs outside the list, nothing.
    options = {"format_whitelist": formats, "protocol_whitelist": "file", "codec_whitelist": _decoders()}
    try:
        container = av.open(file, "r", format=form, options=options, **_ANY_TITLE)
    except av.error.ArgumentError as error:
        raise UnsupportedError("this container format is not read; convert the file to MP4 or Matroska") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise UnreadableError("this is no media file, or its header is damaged") from error
    with container:
        if is_picture:
            track = _pick_picture(container, grid).index
        yield container, _pick_stream(container, frame_pixels, track)


def is_image(file: BufferedReader) -> bool:
    """Tell whether a file begins as an image does; a film of JPEG pictures does not count."""
    file.seek(0)
    return content_of(file.read(HEAD_BYTES)) == "image" and not is_motion_jpeg(file)


def _picture_format(file: BufferedReader) -> str:
    """Return FFmpeg's name of an image file's format; what follows the first picture must not make it a film.

    Raises:
        UnsupportedError: It is not read, or a WebP is animated, of which FFmpeg decodes nothing (RFC 9649, 2.7.1).
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if head[12:16] == b"VP8X" and head[20] & 2:
        raise UnsupportedError("this WebP is animated, which is not read; convert it to MP4 or GIF")
    form = next((form for start, form in _PICTURE_STARTS.items() if head.startswith(start)), None)
    if form is None and head[4:8] != b"ftyp":
        raise UnsupportedError("this image format is not read; convert the file to JPEG or PNG")
    return form or "mov"


def _pick_picture(container: InputContainer, grid: Grid | None) -> VideoStream:
    """Return the picture that an image file is about, not its thumbnail or its transparency; of tiles, the first.

    Raises:
        UnsupportedError: It is derived from others in another way than by tiles.
    """
    if grid is not None:
        for stream in container.streams.video:
            if stream.id == grid.tiles[0]:
                return stream
    for stream in container.streams.video:
        if not stream.disposition & (_STILL | Disposition.dependent) and stream.disposition & Disposition.default:
            return stream
    if container.format.name in PICTURE_FORMATS:
        return container.streams.video[0]
    raise UnsupportedError("this HEIC or AVIF picture is put together in a way that is not read; convert it to JPEG")


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


def _is_read(track: VideoStream) -> bool:
    """Tell whether a picture track moves, and is of a codec that is decoded."""
    context = track.codec_context
    return not track.disposition & _STILL and context is not None and context.codec.canonical_name in VIDEO_CODECS


def _pick_stream(container: InputContainer, frame_pixels: int, track: int | None) -> VideoStream:
    moving = [stream for stream in container.streams.video if not stream.disposition & _STILL]
    if not moving:
        raise NoVideoError("the file holds no moving picture, only " + ("sound" if container.streams.audio else "data"))
    stream = next((s for s in moving if (s.index == track if track is not None else _is_read(s))), moving[0])
    context = stream.codec_context
    if context is None:
        raise UnsupportedError("no decoder for this video codec; convert the file to H.264")
    if not _is_read(stream):
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
