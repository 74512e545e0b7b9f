"""Write the clips of this folder, and what OpenCV decodes them to.

    PYTHON tests/media/colours/record.py       # PyAV, and the OpenCV that is to be recorded

`opencv-4.12.npz` is of opencv-python-headless 4.12.0.88 (FFmpeg 5.1), `opencv-4.14.npz` of 4.14.0.94 (FFmpeg 8). Clips
that are there stay as they are.
"""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

FOLDER = Path(__file__).parent
BT709, FULL = 1, 2
CLIPS = {
    "untagged.mp4": ("libx264", "yuv420p", (64, 48), None, None),
    "bt709.mp4": ("libx264", "yuv420p", (64, 48), BT709, None),
    "bt709_full.mp4": ("libx264", "yuv420p", (64, 48), BT709, FULL),
    "bt2020_422.mp4": ("libx264", "yuv422p", (64, 48), 9, None),
    "bt709_10bit.mp4": ("libx264", "yuv420p10le", (64, 48), BT709, None),
    "bt709_10bit_full.mp4": ("libx264", "yuv420p10le", (64, 48), BT709, FULL),
    "untagged_10bit_422.mp4": ("libx264", "yuv422p10le", (64, 48), None, None),
    "odd.avi": ("mpeg4", "yuv420p", (63, 47), None, None),
}
"""Name -> codec, pixel format, width and height, matrix, range."""


def picture(width: int, height: int) -> np.ndarray:
    """Return coloured waves, (H, W, 3) uint8, smooth enough for colours at half the resolution."""
    y, x = np.mgrid[:height, :width] / 64
    waves = [np.sin(6 * x + 4 * y + phase) * np.cos(5 * y - 3 * x * phase) for phase in (0.0, 1.1, 2.3)]
    return np.rint(127.5 + 120 * np.stack(waves, 2)).astype(np.uint8)


def write(path: Path, codec: str, pixel_format: str, size: tuple[int, int], matrix: int | None, full: int | None):
    """Encode two pictures."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25, options={"crf": "20"} if codec == "libx264" else {"q": "3"})
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full is not None:
            stream.codec_context.color_range = full
        for number in range(2):
            image = np.ascontiguousarray(np.roll(picture(*size), 5 * number, 1))
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=full)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def main() -> None:
    decoded = {}
    for name, facts in CLIPS.items():
        if not (FOLDER / name).exists():
            write(FOLDER / name, *facts)
        capture = cv2.VideoCapture(str(FOLDER / name))
        for _ in range(2):
            _, image = capture.read()
        decoded[name] = image[:, :, ::-1]  # the second frame
    np.savez_compressed(FOLDER / f"opencv-{'.'.join(cv2.__version__.split('.')[:2])}.npz", **decoded)


if __name__ == "__main__":
    main()
