"""Taking the sound out of a video, as it is. What runs here reads a stranger's file; see `unmask.media.guard`."""

from __future__ import annotations

import io
from dataclasses import dataclass
from io import BufferedReader

import av

from unmask.errors import LimitError, UnsupportedError
from unmask.media.container import Limits, open_container

MOST_BYTES = 1 << 28
"""Of one sound track: four hours of AAC, or half an hour of uncompressed stereo."""

CONTAINERS = {"aac": ("m4a", "mp4"), "mp3": ("mp3", "mp3"), "flac": ("flac", "flac"), "opus": ("ogg", "ogg"),
              "vorbis": ("ogg", "ogg"), "pcm_s16le": ("wav", "wav")}  # fmt: skip
"""Codec -> suffix and format; whatever else there is goes into Matroska."""
MATROSKA = ("mka", "matroska")


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound track as a file of its own."""

    suffix: str
    """Of a file with this content, such as ``m4a``."""
    content: bytes
    """The file, at most `MOST_BYTES`."""

    def __post_init__(self) -> None:
        if self.suffix not in {suffix for suffix, _ in (*CONTAINERS.values(), MATROSKA)}:
            raise ValueError(f"suffix {self.suffix!r} is that of no sound")


def copy_sound(file: BufferedReader, limits: Limits) -> Sound | None:
    """Copy the first sound track of an open video, without encoding it again; None when the video is silent.

    Raises:
        InputError: The video cannot be read, or its sound is too long or of a kind that cannot be copied.
    """
    with open_container(file, limits.frame_pixels) as (container, _):
        if not container.streams.audio:
            return None
        track = container.streams.audio[0]
        if track.codec_context is None:
            raise UnsupportedError("its sound cannot be copied: the codec is unknown")
        suffix, form = CONTAINERS.get(track.codec_context.codec.canonical_name, MATROSKA)
        content, size_bytes = io.BytesIO(), 0
        try:
            with av.open(content, "w", format=form) as copy:
                stream = copy.add_stream_from_template(track)
                for packet in container.demux(track):
                    if packet.dts is None:
                        continue
                    size_bytes += packet.size
                    if size_bytes > MOST_BYTES:
                        raise LimitError(f"its sound has more than {MOST_BYTES >> 20} MB")
                    packet.stream = stream
                    copy.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise UnsupportedError(f"its sound cannot be copied: {error}") from error
    return Sound(suffix, content.getvalue())
