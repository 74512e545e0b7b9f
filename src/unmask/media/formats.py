"""List the container formats that are read, and the suffixes of video files."""

from __future__ import annotations

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".mxf", ".ogv",
    ".ts", ".webm", ".wmv",
})
# fmt: on
"""Files of a folder with another suffix are passed over; a file that is named is always taken."""

# Play lists (HLS, DASH, ffconcat, SDP) can make FFmpeg open other files and addresses, so they stay out.
# The sound formats are here to be answered with "no_video".
CONTAINER_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,ivf,obu,flv,asf,ogg,gif,mxf,nut,rm,"
    "mp3,wav,flac,aac,amr,aiff"
)
"""Formats that hold video and sound and nothing else, by FFmpeg's names."""
