"""Describe a file as ffprobe does: its format, streams and chapters, in ffprobe's names and spelling.

The challenge's exploration notebook reads these values. `describe` reads files that may be hostile, so it runs in a
confined decoder process; see `unmask.media.decoder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from io import BufferedReader
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from unmask.media.container import open_container
from unmask.media.limits import Limits
from unmask.media.tags import texts

MAX_STREAMS, MAX_TEXT = 100, 1000
"""Further streams, and what stands behind so many characters of a tag, are left out."""
_MATRICES = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc", 10: "bt2020c"}
_RANGES = {1: "tv", 2: "pc"}


def describe(file: BufferedReader, limits: Limits) -> dict[str, Any]:
    """Return what ``ffprobe -show_format -show_streams -show_programs -show_chapters`` says, but for the file's name.

    Values that the file does not give are left out, as ffprobe does. PyAV tells nothing of programs.

    Raises:
        InputError: The file cannot be read, or holds no moving picture.
    """
    with open_container(file, limits.frame_pixels) as (container, _):
        return {
            "programs": [],
            "streams": [_stream(stream) for stream in list(container.streams)[:MAX_STREAMS]],
            "chapters": [_chapter(chapter) for chapter in container.chapters()[:MAX_STREAMS]],
            "format": _format(container),
        }


def _format(container: InputContainer) -> dict[str, Any]:
    microseconds = Fraction(1, av.time_base)
    return _known(
        nb_streams=len(container.streams),
        format_name=container.format.name,
        format_long_name=container.format.long_name,
        start_time=_seconds(container.start_time, microseconds),
        duration=_seconds(container.duration, microseconds),
        size=str(container.size),
        bit_rate=_count(container.bit_rate),
        tags=_tags(texts(container.metadata)),
    )


def _stream(stream: Stream) -> dict[str, Any]:
    context, base = stream.codec_context, stream.time_base
    specific = {}
    if isinstance(stream, VideoStream) and context is not None:
        specific = _video(stream)
    elif isinstance(stream, AudioStream) and context is not None:
        specific = _audio(stream)
    rates = {
        "r_frame_rate": getattr(stream, "base_rate", None),
        "avg_frame_rate": getattr(stream, "average_rate", None),
    }
    return _known(
        index=stream.index,
        codec_name=context.codec.canonical_name if context else None,
        codec_long_name=context.codec.long_name if context else None,
        profile=stream.profile,
        codec_type=stream.type,
        codec_tag_string=_tag_text(context.codec_tag) if context else None,
        **specific,
        **{name: _fraction(rate) for name, rate in rates.items()},
        time_base=_fraction(base),
        start_pts=stream.start_time,
        start_time=_seconds(stream.start_time, base),
        duration_ts=stream.duration,
        duration=_seconds(stream.duration, base),
        bit_rate=_count(context.bit_rate) if context else None,
        nb_frames=_count(stream.frames),
        disposition={flag.name: int(flag in stream.disposition) for flag in Disposition},
        tags=_tags(texts(stream.metadata)),
    )


def _video(stream: VideoStream) -> dict[str, Any]:
    context = stream.codec_context
    shape = stream.sample_aspect_ratio
    return {
        "width": context.width,
        "height": context.height,
        "sample_aspect_ratio": _fraction(shape, ":") if shape else None,
        "display_aspect_ratio": _fraction(stream.display_aspect_ratio, ":") if shape else None,
        "pix_fmt": context.pix_fmt,
        "color_range": _RANGES.get(int(context.color_range)),
        "color_space": _MATRICES.get(int(context.colorspace)),
    }


def _audio(stream: AudioStream) -> dict[str, Any]:
    context = stream.codec_context
    return {
        "sample_fmt": context.format.name if context.format else None,
        "sample_rate": str(context.sample_rate),
        "channels": context.channels,
        "channel_layout": context.layout.name,
    }


def _chapter(chapter: Mapping[str, Any]) -> dict[str, Any]:
    base = chapter["time_base"]
    return _known(
        id=chapter["id"],
        time_base=_fraction(base),
        start=chapter["start"],
        start_time=_seconds(chapter["start"], base),
        end=chapter["end"],
        end_time=_seconds(chapter["end"], base),
        tags=_tags(chapter["metadata"]),
    )


def _known(**values: Any) -> dict[str, Any]:
    """Leave out what the file does not say."""
    return {name: value for name, value in values.items() if value is not None and value != {}}


def _seconds(ticks: int | None, base: Fraction | None) -> str | None:
    return None if ticks is None or base is None else f"{float(ticks * base):.6f}"


def _fraction(value: Fraction | None, between: str = "/") -> str | None:
    return None if value is None else f"{value.numerator}{between}{value.denominator}"


def _count(number: int | None) -> str | None:
    return str(number) if number else None


def _tags(tags: Mapping[str, str]) -> dict[str, str]:
    return {name[:MAX_TEXT]: text[:MAX_TEXT] for name, text in list(tags.items())[:MAX_STREAMS]}


def _tag_text(tag: str) -> str:
    """Return a codec's four letters; those that cannot be printed as ffprobe writes them, e.g. ``[0]``."""
    return "".join(letter if letter.isascii() and letter.isprintable() else f"[{ord(letter)}]" for letter in tag)
