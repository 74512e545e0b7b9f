"""Films as they are found: joined recordings, DivX, several tracks, films of photographs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media_factory import pattern

PLACEHOLDER = b"\0\0\1\xb6\x51\x40"
"""A picture of MPEG-4 that is not coded."""


def encoded(numbers: Sequence[int], codec: str, options: dict[str, str] | None = None, **size) -> list[av.Packet]:
    """Return the packets of a film of patterns, 30 frames a second."""
    context = av.CodecContext.create(codec, "w")
    first = pattern(numbers[0], **size)
    context.height, context.width = first.shape[:2]
    context.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    context.time_base, context.framerate = Fraction(1, 30), Fraction(30)
    context.options = options or {}
    packets = []
    for place, number in enumerate(numbers):
        frame = av.VideoFrame.from_ndarray(pattern(number, **size), format="rgb24")
        frame.pts, frame.time_base = place, Fraction(1, 30)
        packets += context.encode(frame)
    return packets + context.encode()


def write_streamed(
    path: Path, numbers: Sequence[int], start_seconds: float = 0, codec: str = "libx264", options=None, form=None
) -> bytes:
    """Write a transport or program stream whose clock begins anywhere; return its bytes."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(pattern(number), format="rgb24")
            frame.pts, frame.time_base = place + round(30 * start_seconds), Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def write_joined(path: Path, pieces: Sequence[tuple[Sequence[int], float]], **how) -> Path:
    """Join streams as ``cat`` does.

    Args:
        path: The file.
        pieces: Numbers of the patterns, and where the clock begins, of each.
        how: See `write_streamed`.
    """
    path.write_bytes(b"".join(write_streamed(path, numbers, start, **how) for numbers, start in pieces))
    return path


def write_packed(path: Path, numbers: Sequence[int]) -> Path:
    """Write an AVI as DivX did: a B picture in the packet of the one before, and a placeholder where it would be."""
    packets = encoded(numbers, "mpeg4", {"bf": "1", "g": "12", "b_strategy": "0"})
    chunks: list[bytes] = []
    for packet in packets:
        data = bytes(packet)
        if data[data.index(b"\0\0\1\xb6") + 4] >> 6 == 2:
            chunks[-1] += data
            chunks.append(PLACEHOLDER)
        else:
            chunks.append(data)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for place, chunk in enumerate(chunks):
            packet = av.Packet(chunk)
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 30), place, place
            packet.is_keyframe = b"\0\0\1\xb0" in chunk or not place
            container.mux(packet)
    return path


def write_tracks(path: Path, tracks: Sequence[tuple[str, tuple[int, int], Sequence[int]]]) -> Path:
    """Write a file with several picture tracks: codec, size and patterns of each."""
    with av.open(str(path), "w") as container:
        streams = []
        for codec, size, _ in tracks:
            stream = container.add_stream(codec, rate=30)
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            streams.append(stream)
        for place in range(max(len(numbers) for _, _, numbers in tracks)):
            for stream, (_, size, numbers) in zip(streams, tracks, strict=True):
                if place < len(numbers):
                    image = pattern(numbers[place], size)
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode())
    return path


def exif(orientation: int) -> bytes:
    """Return the segment of a JPEG that holds EXIF with an orientation."""
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    body = b"Exif\0\0" + b"II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def write_exif_film(path: Path, numbers: Sequence[int], orientation: int = 1) -> Path:
    """Write a film of JPEG pictures each of which has EXIF, as cameras do."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuvj420p"
        for place, picture in enumerate(encoded(numbers, "mjpeg")):
            data = bytes(picture)
            packet = av.Packet(data[:2] + exif(orientation) + data[2:])
            packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 30), place, place
            packet.is_keyframe = True
            container.mux(packet)
    return path


def write_interlaced(path: Path, moments: Sequence[np.ndarray], codec: str, options: dict[str, str]) -> Path:
    """Write film each frame of which holds two moments, one in its even and one in its odd rows."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.height, stream.width = moments[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for first, second in zip(moments[::2], moments[1::2], strict=True):
            woven = second.copy()
            woven[::2] = first[::2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(woven, format="rgb24")))
        container.mux(stream.encode())
    return path
