"""List the container formats that are read."""

from __future__ import annotations

# Play lists (HLS, DASH, ffconcat, SDP) can make FFmpeg open other files and addresses, so they stay out.
# The sound formats are here to be answered with "no_video".
CONTAINER_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,ivf,obu,flv,asf,ogg,gif,mxf,nut,rm,"
    "mp3,wav,flac,aac,amr,aiff"
)
"""Formats that hold video and sound and nothing else, by FFmpeg's names."""
