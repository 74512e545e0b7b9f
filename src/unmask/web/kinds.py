"""Which media type a file is sent as: never one that a browser runs, whatever the file is."""

from __future__ import annotations

from pathlib import Path

_KINDS = (
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"RIFF", "video/x-msvideo"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG", "image/png"),
    (0, b"GIF8", "image/gif"),
    (8, b"avif", "image/avif"),
    (8, b"heic", "image/heic"),
    (4, b"ftyp", "video/mp4"),
    (4, b"moov", "video/mp4"),
    (4, b"mdat", "video/mp4"),
    (4, b"wide", "video/mp4"),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"\x47", "video/mp2t"),
    (0, b"FLV", "video/x-flv"),
)


def media_type(path: Path) -> str:
    """Return the media type of a file by its first bytes; QuickTime counts as MP4, which browsers play."""
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    found = (kind for place, start, kind in _KINDS if head[place : place + len(start)] == start)
    return next(found, "application/octet-stream")
