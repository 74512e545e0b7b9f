"""Taking the sound out of a video, as it is."""

from __future__ import annotations

from pathlib import Path

import av

from unmask.atomic import atomic_file
from unmask.media.container import open_container, open_regular

_CONTAINERS = {"aac": ("m4a", "mp4"), "mp3": ("mp3", "mp3"), "flac": ("flac", "flac"), "opus": ("ogg", "ogg"),
               "vorbis": ("ogg", "ogg"), "pcm_s16le": ("wav", "wav")}  # fmt: skip
"""Codec -> suffix and format; whatever else there is goes into Matroska."""


def copy_audio(video: Path, folder: Path, name: str) -> Path | None:
    """Copy the first sound track of a video into a file of its own, without encoding it again.

    Args:
        video: The video.
        folder: Where to; made when missing.
        name: File name without suffix.

    Returns:
        The file; None when the video is silent.

    Raises:
        InputError: The video cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with open_regular(video) as file, open_container(file) as (container, _):
        if not container.streams.audio:
            return None
        track = container.streams.audio[0]
        suffix, form = _CONTAINERS.get(track.codec_context.codec.canonical_name, ("mka", "matroska"))
        target = folder / f"{name}.{suffix}"
        with atomic_file(target) as out, av.open(out, "w", format=form) as copy:
            stream = copy.add_stream_from_template(track)
            for packet in container.demux(track):
                if packet.dts is None:
                    continue
                packet.stream = stream
                copy.mux(packet)
    return target
