"""Small films of the portrait with something that moves, and copies of them."""

from fractions import Fraction

import av
import cv2
import numpy as np

from unmask.runtime.scheduling import kept_scheduling

SIZE = (320, 240)
RATE = 25


def frames_of(portrait, count=50, seed=0):
    """Yield frames (240, 320, 3): the portrait stands still, a patch of it moves along a path that never repeats."""
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6, 3), rng.uniform(2.0, 5.0, 3)
    back = cv2.resize(portrait, (SIZE[0], SIZE[0]), interpolation=cv2.INTER_AREA)[: SIZE[1]]
    patch = cv2.resize(portrait[-200:, :200], (56, 56), interpolation=cv2.INTER_AREA)[::-1]
    for number in range(count):
        t = number / RATE
        x = 20 + 110 * (1 + np.sin(speed[0] * t + phase[0]) * np.cos(0.7 * speed[1] * t + phase[1]))
        y = 150 + 30 * np.sin(speed[2] * t + phase[2])
        frame = back.copy()
        frame[round(y) : round(y) + 56, round(x) : round(x) + 56] = patch[:, : SIZE[0] - round(x)]
        yield frame


def write(path, frames, rate=RATE, codec="libx264", crf=23):
    """Encode frames, all of one even size."""
    options = {"crf": str(crf), "preset": "ultrafast"}
    if codec == "libvpx-vp9":
        options = {"crf": str(crf), "b": "0", "cpu-used": "8", "deadline": "realtime"}
    if codec == "libx265":
        options["x265-params"] = "log-level=none:pools=none:frame-threads=1"
    with kept_scheduling(), av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(rate), options=options)
        stream.pix_fmt = "yuv420p"
        for position, image in enumerate(frames):
            if not position:
                stream.height, stream.width = image.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = position, 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def crop(image):
    return image[12:-12, 16:-16]


def half(image):
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def mirror(image):
    return image[:, ::-1]


def bars(image):
    return cv2.copyMakeBorder(image, 40, 40, 20, 20, cv2.BORDER_CONSTANT)


def mark(image):
    image = np.ascontiguousarray(image)
    cv2.putText(image, "CHANNEL 7", (10, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255), 2)
    return image
