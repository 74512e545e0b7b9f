"""Tell a film of JPEG pictures, one after the other, from a photograph, and a whole one from what is left of one."""

from __future__ import annotations

from io import BufferedReader

_LEAST_PICTURES = 3
"""A photograph may be followed by another view of it, as in MPO files."""
_MAX_BYTES = 1 << 26
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})


def is_motion_jpeg(file: BufferedReader) -> bool:
    """Tell whether a file begins with three whole JPEG pictures.

    Args:
        file: Is read from its start, up to 64 MB.
    """
    file.seek(0)
    data, at = file.read(_MAX_BYTES), 0
    for _ in range(_LEAST_PICTURES):
        end = _end_of_picture(data, at)
        if end is None:
            return False
        at = end
        while at < len(data) and data[at] == 0:  # what some cameras fill up with
            at += 1
    return True


def is_whole_jpeg(file: BufferedReader) -> bool:
    """Tell whether the first picture of a JPEG file has its end; one of more than 64 MB counts as whole.

    Args:
        file: Is read from its start.
    """
    file.seek(0)
    data = file.read(_MAX_BYTES)
    return len(data) == _MAX_BYTES or _end_of_picture(data, 0) is not None


def _end_of_picture(data: bytes, at: int) -> int | None:
    """Return where a JPEG picture ends (ITU-T T.81, annex B); None where there is none."""
    if data[at : at + 2] != bytes([0xFF, _START]):
        return None
    at += 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == _END:
            return at + 2
        if marker == 0xFF:
            at += 1
        elif marker in _WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == _SCAN:
                at = _end_of_scan(data, at)
    return at + 2 if data[at : at + 2] == bytes([0xFF, _END]) else None


def _end_of_scan(data: bytes, at: int) -> int:
    """Return where the next marker is after the compressed data of a scan."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] and data[at + 1] not in _WITHOUT_LENGTH:
            return at
        at += 2
