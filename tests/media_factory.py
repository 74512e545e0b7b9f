"""Small media files, made on the spot with PyAV."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from unmask.datasets.synthetic import film, write_clip
from unmask.runtime.scheduling import kept_scheduling

SIZE = (160, 96)


def heed_interrupts() -> None:
    """For ``preexec_fn``: whoever runs the tests in the background may have had SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def pattern(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Return an image (H, W, 3) that shows its number: 16 black or white blocks in its upper half."""
    width, height = size
    image = np.full((height, width, 3), 90, np.uint8)
    image[height // 2 :, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)
    image[height // 2 :, :, 2] = (number * 7) % 256
    for bit in range(16):
        x = slice(bit * width // 16, (bit + 1) * width // 16)
        image[: height // 2, x] = 255 * (number >> bit & 1)
    return image


def number_of(image: np.ndarray) -> int:
    """Read the number of a `pattern` back from a decoded image."""
    height, width = image.shape[:2]
    row = image[height // 4, :, 1]
    return sum(int(row[bit * width // 16 + width // 32] > 128) << bit for bit in range(16))


def write_video(
    path: Path,
    images: Iterable[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    rate: int = 30,
    codec: str = "libx264",
    options: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    orientation: tuple[int, bool, bool] | None = None,
    tone: bool = False,
    gop: int | None = None,
    metadata: dict[str, str] | None = None,
    matrix: int | None = None,
) -> Path:
    """Encode images; ``times`` are ticks of 1/1000 s, ``orientation`` is (degrees, hflip, vflip).

    ``matrix`` is the tag that names the matrix of the colours: 1 for BT.709. It is only written down.
    """
    images = list(images)
    height, width = images[0].shape[:2]
    with kept_scheduling(), av.open(str(path), "w") as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if gop:
            stream.codec_context.gop_size = gop
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if orientation:
            stream.set_display_rotation(orientation[0], hflip=orientation[1], vflip=orientation[2])
        sound = container.add_stream("aac", rate=44100) if tone else None
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            write_tone(container, sound, len(images) / rate)
    return path


def write_tone(container, stream, seconds: float) -> None:
    """Encode a sine."""
    samples = np.sin(np.arange(int(44100 * seconds)) * 0.06).astype(np.float32)[None]
    for start in range(0, samples.shape[1] - 1024, 1024):
        frame = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def write_sound(path: Path) -> Path:
    """Write a file without images."""
    with av.open(str(path), "w") as container:
        write_tone(container, container.add_stream("aac", rate=44100), 0.5)
    return path


def cut_without_reencoding(source: Path, target: Path, start_seconds: float) -> Path:
    """Copy packets from the key frame before ``start_seconds``, as ``ffmpeg -ss -c copy`` does."""
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        track = original.streams.video[0]
        out = copy.add_stream_from_template(track)
        start = int(start_seconds / track.time_base)
        original.seek(start, stream=track)
        for packet in original.demux(track):
            if packet.dts is None:
                continue
            packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, out
            copy.mux(packet)
    return target


def join_clips(sources: Iterable[Path], target: Path) -> Path:
    """Copy the packets of clips that were encoded alike, one after the other, as one long clip."""
    sources, offset = list(sources), 0
    with av.open(str(sources[0])) as first, av.open(str(target), "w") as copy:
        out = copy.add_stream_from_template(first.streams.video[0])
        for source in sources:
            with av.open(str(source)) as clip:
                track = clip.streams.video[0]
                for packet in clip.demux(track):
                    if packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + offset, packet.dts + offset, out
                    copy.mux(packet)
                offset += track.duration
    return target


def on_canvas(image: np.ndarray, size: tuple[int, int], at: tuple[int, int], side: int) -> np.ndarray:
    """Place a square image of ``side`` pixels on grey."""
    canvas = np.full((size[1], size[0], 3), 110, np.uint8)
    canvas[at[1] : at[1] + side, at[0] : at[0] + side] = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    return canvas


def write_film(still: np.ndarray, path: Path, frames: int, seed: int = 0) -> Path:
    """Film a still with a slowly moving camera."""
    return write_clip((view for view, _ in film(still, frames, seed)), path)
