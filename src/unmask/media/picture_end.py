"""Tell whether an image file ends before its picture does: FFmpeg fills up what is missing, and says nothing."""

from __future__ import annotations

import os
from io import BufferedReader

from unmask.media.jpegs import is_whole_jpeg

_PNG = b"\x89PNG\r\n\x1a\n"
_MAX_PARTS = 100_000
"""Chunks or boxes that are looked at."""


def ends_early(file: BufferedReader) -> bool:
    """Tell whether a JPEG has no end, a PNG no ``IEND``, or a WebP, HEIC or AVIF is shorter than its parts say.

    Args:
        file: Is read from its start: of a JPEG up to 64 MB, of others the heads of their parts.
    """
    file.seek(0)
    head, size = file.read(12), os.fstat(file.fileno()).st_size
    if head.startswith(b"\xff\xd8"):
        return not is_whole_jpeg(file)
    if head.startswith(_PNG):
        return not _has_png_end(file, size)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little") > size
    return head[4:8] == b"ftyp" and _boxes_reach_past(file, size)


def _has_png_end(file: BufferedReader, size: int) -> bool:
    at = len(_PNG)
    for _ in range(_MAX_PARTS):
        file.seek(at)
        head = file.read(8)
        at += 12 + int.from_bytes(head[:4], "big")  # length, type, content, checksum
        if len(head) < 8 or at > size:
            return False
        if head[4:] == b"IEND":
            return True
    return True  # too many to tell


def _boxes_reach_past(file: BufferedReader, size: int) -> bool:
    at = 0
    for _ in range(_MAX_PARTS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end
            break
        at += length
    return at > size
