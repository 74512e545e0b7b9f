"""Which files are videos, by their names."""

from __future__ import annotations

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv",
    ".ts", ".webm", ".wmv",
})
# fmt: on
"""Files of a folder with another suffix are passed over; a file that is named is always taken."""
