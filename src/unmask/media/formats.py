"""List the container formats that are read, and the codecs that are decoded."""

from __future__ import annotations

# Play lists (HLS, DASH, ffconcat, SDP) can make FFmpeg open other files and addresses, so they stay out.
# The sound formats are here to be answered with "no_video".
CONTAINER_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,h264,hevc,m4v,ivf,obu,flv,asf,ogg,gif,mxf,nut,rm,"
    "mjpeg,mpjpeg,dv,yuv4mpegpipe,"  # as cameras send them, and as programs pass them on
    "mp3,wav,flac,aac,amr,aiff"
)
"""Formats that hold video and sound and nothing else, by FFmpeg's names."""

PICTURE_FORMATS = {"jpeg_pipe": "JPEG", "png_pipe": "PNG", "webp_pipe": "WebP"}
"""Formats of single pictures, FFmpeg's name -> that which people know. AVIF and HEIC are of the family of ``mov``."""

VIDEO_CODECS = frozenset({
    "av1", "cfhd", "dnxhd", "dvvideo", "ffv1", "ffvhuff", "flv1", "gif", "h261", "h263", "h263i", "h263p", "h264",
    "hevc", "huffyuv", "jpeg2000", "mjpeg", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v2", "msmpeg4v3", "png",
    "prores", "qtrle", "rawvideo", "rv30", "rv40", "theora", "utvideo", "v210", "vc1", "vp6", "vp6f", "vp8", "vp9",
    "webp", "wmv1", "wmv2", "wmv3",
})  # fmt: skip
"""Codecs of cameras, telephones, editors and web sites, by FFmpeg's names. FFmpeg knows two hundred more, of games and
dead formats, that few have looked at: they stay shut."""

SOUND_CODECS = frozenset({
    "aac", "aac_latm", "ac3", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "alac", "amr_nb", "amr_wb", "cook", "dts",
    "eac3", "flac", "mp1", "mp2", "mp3", "opus", "pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_mulaw", "pcm_s16be",
    "pcm_s16le", "pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_u8", "speex", "truehd", "vorbis", "wmapro",
    "wmav1", "wmav2",
})  # fmt: skip
"""Codecs of sound that are looked into for its rate and channels; no sound is decoded further."""
