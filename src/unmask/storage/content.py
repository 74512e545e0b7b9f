"""What a file holds, by its suffix and by its first bytes: video, an image, sound, or none of these."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

Content = Literal["video", "image", "sound"]

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".264", ".265", ".3g2", ".3gp", ".3gp2", ".3gpp", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".gif", ".h264",
    ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mj2", ".mjpeg", ".mjpg", ".mk3d", ".mkv",
    ".mov", ".mp4", ".mpe", ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".xvid", ".y4m",
})
"""Suffixes of videos, in lower case."""
IMAGE_SUFFIXES = frozenset({
    ".apng", ".avif", ".bmp", ".cr2", ".dng", ".exr", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg",
    ".jxl", ".nef", ".pbm", ".pgm", ".png", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff", ".webp",
})
"""Suffixes of images, in lower case."""
SOUND_SUFFIXES = frozenset({
    ".aac", ".ac3", ".aif", ".aiff", ".amr", ".ape", ".caf", ".flac", ".m4a", ".m4b", ".mka", ".mp2", ".mp3", ".oga",
    ".ogg", ".opus", ".wav", ".weba", ".wma",
})
"""Suffixes of sound, in lower case."""
# fmt: on

HEAD_BYTES = 1024
"""How much of a file `content_of` needs to see."""

_STARTS: dict[Content, tuple[bytes, ...]] = {
    "image": (
        b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\0\0\0\x0cJXL ", b"8BPS",
        b"v/1\x01",
    ),
    "sound": (
        b"ID3", b"fLaC", b"#!AMR", b"caff", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9", b"MAC ",
        b"\x0b\x77",
    ),
    "video": (
        b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\x01\xba", b"\0\0\x01\xb3", b".RMF", b"DKIF",
        b"nut/multimedia container\0", b"\x06\x0e+4\x02\x05\x01\x01\r\x01\x02\x01\x01\x02", b"GIF87a", b"GIF89a",
        b"YUV4MPEG2", b"\x1f\x07\0", b"\0\0\0\x01\x67", b"\0\0\x01\x67", b"\0\0\0\x01\x40\x01",
    ),
}  # fmt: skip
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heim", b"heis", b"heix", b"hevc", b"hevx", b"mif1", b"msf1", b"jxl ")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")
_QUICKTIME_ATOMS = (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_OGG_VIDEO = (b"\x80theora", b"\x01video", b"OVP80", b"BBCD\0")
_RIFF: dict[bytes, Content] = {b"AVI ": "video", b"WAVE": "sound", b"WEBP": "image"}
_TRANSPORT_PACKETS = ((0, 188), (4, 192), (0, 204))
"""Where a transport stream has its first sync byte, and how far apart the others are (ISO/IEC 13818-1)."""


def content_of_name(path: str | PurePath) -> Content | None:
    """Return what a file of this name is expected to hold, None where the suffix does not say."""
    suffix = PurePath(path).suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return "video"
    if suffix in IMAGE_SUFFIXES:
        return "image"
    return "sound" if suffix in SOUND_SUFFIXES else None


def content_of(head: bytes) -> Content | None:
    """Return what a file holds.

    Args:
        head: Its first `HEAD_BYTES` bytes, or all of them where there are fewer.

    Returns:
        None where the bytes are the start of no known video, image or sound.
    """
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return "image" if brand in _IMAGE_BRANDS else "sound" if brand in _SOUND_BRANDS else "video"
    if head[4:8] in _QUICKTIME_ATOMS:
        return "video"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    if head[:2] == b"BM" and head[6:10] == b"\0\0\0\0":
        return "image"
    if head[:4] == b"FORM" and head[8:11] == b"AIF":
        return "sound"
    if head[:4] == b"OggS":
        return "video" if any(mark in head for mark in _OGG_VIDEO) else "sound"
    if head[:2] == b"--" and b"content-type: image/jpeg" in head.lower():
        return "video"  # pictures as a camera sends them to a browser
    if any(_is_transport_stream(head, first, step) for first, step in _TRANSPORT_PACKETS):
        return "video"
    return next((content for content, starts in _STARTS.items() if head.startswith(starts)), None)


def _is_transport_stream(head: bytes, first: int, step: int) -> bool:
    marks = head[first::step][:4]
    return len(marks) == 4 and set(marks) == {0x47}
