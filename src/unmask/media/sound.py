"""Take the sound out of a video without encoding it again.

`copy_sound` reads files that may be hostile, so it runs in a confined decoder process; see `unmask.media.decoder`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from io import BufferedReader

import av

from unmask.errors import LimitError, UnsupportedError
from unmask.media.container import open_container
from unmask.media.limits import Limits

MAX_SOUND_BYTES = 1 << 28
"""Length of the longest sound track that is copied: four hours of AAC, or half an hour of uncompressed stereo."""

CONTAINERS = {"aac": ("m4a", "mp4"), "mp3": ("mp3", "mp3"), "flac": ("flac", "flac"), "opus": ("ogg", "ogg"),
              "vorbis": ("ogg", "ogg"), "pcm_s16le": ("wav", "wav")}  # fmt: skip
"""Codec -> suffix and format; other codecs go into Matroska."""
MATROSKA = ("mka", "matroska")
"""Suffix and format of sound in any other codec."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A sound track as a file of its own."""

    suffix: str
    """Suffix of a file with this content, such as ``m4a``."""
    content: bytes
    """The file, at most `MAX_SOUND_BYTES`."""

    def __post_init__(self) -> None:
        if self.suffix not in {suffix for suffix, _ in (*CONTAINERS.values(), MATROSKA)}:
            raise ValueError(f"suffix {self.suffix!r} is not one of a sound file")


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
                    if size_bytes > MAX_SOUND_BYTES:
                        raise LimitError(f"its sound has more than {MAX_SOUND_BYTES >> 20} MB")
                    packet.stream = stream
                    copy.mux(packet)
        except (av.error.FFmpegError, ValueError) as error:
            raise UnsupportedError(f"its sound cannot be copied: {error}") from error
    return Sound(suffix, content.getvalue())
