"""Write a clip again: frame by frame through a change and an encoder, or packet by packet into another container."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.stream import VideoStream

from unmask.augment.copies import MESSENGER_WIDTH_PX, Step, shrink
from unmask.errors import UsageError
from unmask.media import Limits, open_frames_folder, open_video, read_frames
from unmask.runtime.scheduling import kept_scheduling
from unmask.types import Frame

os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 otherwise writes its settings to stderr

_CLOCK = Fraction(1, 1000)
_SOUND_HZ = 44100
LOSSLESS = {"qp": "0", "preset": "ultrafast"}
"""Options of x264 that keep every level of the planes."""


def rewrite(source: Path, target: Path, step: Step, *, turned: bool = False) -> Path:
    """Encode all frames of a clip again, at their own times and without sound.

    Args:
        source: The clip, a file or a folder of frames.
        target: The file; its suffix picks the container.
        step: What is done to the frames, and how they are encoded.
        turned: Store them lying on their side, with a display matrix that turns them upright, as telephones do.

    Raises:
        InputError: The clip cannot be decoded.
    """
    opened = open_frames_folder(source, Limits(), follow_links=True) if source.is_dir() else open_video(source)
    with opened as video:
        frames = read_frames(video, np.arange(len(video.index), dtype=np.int64))
        _encode(frames, target, step, turned)
    return target


def chain(source: Path, folder: Path, steps: Sequence[Step]) -> Path:
    """Encode a clip again and again, each time from what the last encoder left; return the last file."""
    for number, step in enumerate(steps, 1):
        source = rewrite(source, folder / f"pass{number}.mkv", step)
    return source


def remux(source: Path, target: Path, *, sound: bool = False, options: dict[str, str] | None = None) -> Path:
    """Copy the packets of a clip's video and sound into another file, none of them changed.

    Args:
        source: The clip.
        target: The file; its suffix picks the container.
        sound: Add a soft sine as a further track.
        options: Of the container, e.g. ``{"movflags": "faststart"}``.

    Raises:
        UsageError: The container does not take these packets.
    """
    try:
        with av.open(str(source)) as original, av.open(str(target), "w", options=options or {}) as copy:
            kept = [stream for stream in original.streams if stream.type in ("video", "audio")]
            tracks = {stream.index: copy.add_stream_from_template(cast(Any, stream)) for stream in kept}
            further = copy.add_stream("aac", rate=_SOUND_HZ) if sound else None
            for packet in original.demux(kept):
                if packet.dts is not None:
                    packet.stream = tracks[packet.stream.index]
                    copy.mux(packet)
            if further is not None:
                seconds = float(original.duration or 0) / av.time_base
                copy.mux(list(_sine(further, seconds)))
    except (av.FFmpegError, ValueError, NotImplementedError, IsADirectoryError) as error:
        raise UsageError(f"its packets do not fit into {target.suffix}: {error}") from error
    return target


def moov_is_first(path: Path) -> bool:
    """Tell whether the index of an MP4 stands before its media.

    Raises:
        UsageError: It is no MP4.
    """
    with path.open("rb") as file:
        place, order = 0, list[bytes]()
        while len(head := file.read(16)) >= 8 and len(order) < 1000:
            size, kind = int.from_bytes(head[:4]), head[4:8]
            size = int.from_bytes(head[8:16]) if size == 1 else size
            if kind in (b"moov", b"mdat"):
                order.append(kind)
            if size < 8:
                break
            place += size
            file.seek(place)
    if b"moov" not in order or b"mdat" not in order:
        raise UsageError("it is no MP4 with an index of its own")
    return order.index(b"moov") < order.index(b"mdat")


def _encode(frames: Iterable[Frame], target: Path, step: Step, turned: bool) -> None:
    with kept_scheduling(), av.open(str(target), "w") as container:
        stream = cast(VideoStream, container.add_stream(step.codec, rate=25, options=step.options))
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        stream.codec_context.time_base = _CLOCK
        if turned:
            stream.set_display_rotation(90)
        last = -1
        for frame in frames:
            image_HW3 = step.filter(frame.image_HW3) if step.filter else frame.image_HW3
            scale = min(1.0, MESSENGER_WIDTH_PX / image_HW3.shape[1]) if step.scale is None else step.scale
            image_HW3 = shrink(image_HW3, scale)
            stored_HW3 = np.ascontiguousarray(np.rot90(image_HW3, -1) if turned else image_HW3)
            if last < 0:
                stream.height, stream.width = stored_HW3.shape[:2]
            encoded = av.VideoFrame.from_ndarray(stored_HW3, format="rgb24").reformat(format="yuv420p")
            last = max(last + 1, round(frame.time_seconds / _CLOCK))
            encoded.pts, encoded.time_base = last, _CLOCK
            container.mux(stream.encode(encoded))
        container.mux(stream.encode())


def _sine(stream: av.AudioStream, seconds: float) -> Iterator[Any]:
    wave = (0.1 * np.sin(2 * np.pi * 220 / _SOUND_HZ * np.arange(int(_SOUND_HZ * seconds)))).astype(np.float32)
    for start in range(0, len(wave) - 1023, 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = _SOUND_HZ, start, Fraction(1, _SOUND_HZ)
        yield from stream.encode(frame)
    yield from stream.encode()
