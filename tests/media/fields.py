"""Films of H.264 whose frames are coded field by field (PAFF), as camcorders write AVCHD; no encoder at hand does that.

Macroblocks are stored as they are (I_PCM), so that headers are all there is to write (ITU-T H.264, 7.3).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

START = b"\0\0\0\1"


class BitWriter:
    """Writes numbers bit by bit."""

    def __init__(self) -> None:
        """Start empty."""
        self.bits = ""

    def put(self, value: int, count: int) -> BitWriter:
        """Write a number of so many bits."""
        self.bits += f"{value:0{count}b}"
        return self

    def golomb(self, *values: int) -> BitWriter:
        """Write Exp-Golomb numbers, ue(v)."""
        for value in values:
            code = f"{value + 1:b}"
            self.bits += "0" * (len(code) - 1) + code
        return self

    def data(self) -> bytes:
        """Return what was written, filled up with zeros."""
        padded = self.bits + "0" * (-len(self.bits) % 8)
        return int(padded, 2).to_bytes(len(padded) // 8, "big")


def _unit(header: int, payload: bytes) -> bytes:
    """Return a NAL unit, with the bytes that keep start codes out of it."""
    escaped, zeros = bytearray(), 0
    for byte in payload:
        if zeros == 2 and byte <= 3:
            escaped.append(3)
            zeros = 0
        escaped.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return START + bytes([header]) + bytes(escaped)


def parameter_sets(width: int, height: int) -> bytes:
    """Return the sequence and picture parameter sets of interlaced film, sides in multiples of 16 and 32 pixels."""
    sequence = BitWriter().put(77, 8).put(0, 8).put(30, 8).golomb(0, 0, 2, 1).put(0, 1)
    sequence.golomb(width // 16 - 1, height // 32 - 1).put(0, 1).put(0, 1).put(1, 1).put(0, 1).put(0, 1).put(1, 1)
    picture = BitWriter().golomb(0, 0).put(0, 2).golomb(0, 0, 0).put(0, 3).golomb(0, 0, 0).put(4, 3).put(1, 1)
    return _unit(0x67, sequence.data()) + _unit(0x68, picture.data())


def field_unit(image_HW3: np.ndarray, number: int, *, bottom: bool) -> bytes:
    """Return one field of a frame as a slice; ``number`` counts the frames."""
    is_idr = number == 0 and not bottom
    head = BitWriter().golomb(0, 7, 0).put(number % 16, 4).put(1, 1).put(int(bottom), 1)
    head = head.golomb(0).put(0, 2) if is_idr else head.put(0, 1)
    head.golomb(0, 1)  # quantiser as it is, no deblocking
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_HW3), format="rgb24").reformat(format="yuv420p")
    planes = [np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[:, : plane.width] for plane in frame.planes]
    luma, u, v = (np.clip(plane[int(bottom) :: 2], 1, 254) for plane in planes)
    data = b""
    for y in range(0, luma.shape[0], 16):
        for x in range(0, luma.shape[1], 16):
            head.golomb(25)
            data += head.data()
            data += luma[y : y + 16, x : x + 16].tobytes()
            data += b"".join(part[y // 2 : y // 2 + 8, x // 2 : x // 2 + 8].tobytes() for part in (u, v))
            head = BitWriter()
    return _unit(0x65 if is_idr else 0x21, data + b"\x80")


def write_fields(path: Path, moments: Sequence[np.ndarray], *, stamped: bool = True) -> Path:
    """Write film of which every two moments make a frame, a packet for each field.

    Args:
        path: File of any container.
        moments: 50 a second.
        stamped: Whether second fields have time stamps of their own.
    """
    height, width = moments[0].shape[:2]

    def units() -> Iterator[bytes]:
        for place, image in enumerate(moments):
            unit = field_unit(image, place // 2, bottom=bool(place % 2))
            yield parameter_sets(width, height) + unit if not place else unit

    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for place, unit in enumerate(units()):
            packet = av.Packet(unit)
            packet.stream, packet.time_base = stream, Fraction(1, 50)
            packet.pts = packet.dts = place if stamped or not place % 2 else None
            packet.is_keyframe = not place
            container.mux(packet)
    return path
