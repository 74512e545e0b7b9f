"""Count how often bursts of packets give a manipulated passage away, on swaps that have an original.

    python scripts/measure_bursts.py --data DATA [--pairs 15]

DATA is laid out as for ``scripts/calibration_sources.py``. Of each pair of a fake and its original, the changed part of
the picture is pasted into the original, so that nothing but the face differs. The original, shown forwards and
backwards over and over, makes a film of ten minutes; in its last minute 1, 3 or 10 seconds are the fake's, at a place
that ``--seed`` chooses. A passage is given away where one of the bursts lies within a frame of its start or its end.
Each pair has one of five encoders.
"""

from __future__ import annotations

import argparse
import io
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from calibration_sources import table
from numpy.typing import NDArray

from unmask.media.bursts import find_bursts
from unmask.types import ImageHW3

RATE, MINUTE, MINUTES = 25, 1500, 10
LENGTHS_SECONDS = (1, 3, 10)
MOST_FRAMES = 300
ENCODERS = (
    ("libx264", {"preset": "veryfast"}),
    ("libx264", {"preset": "medium", "crf": "28"}),
    ("libx264", {"preset": "veryfast", "g": "50"}),
    ("libx265", {"preset": "ultrafast", "x265-params": "log-level=none"}),
    ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "35"}),
)


def pairs(data: Path) -> Iterator[tuple[Path, Path]]:
    """Yield each original with a fake that is aligned with it."""
    for name in ("devset2", "devset"):
        for row in table(data / name / "labels_videos.csv"):
            if row["label"] == "fake" and row["original"] and "Wav2Lip" not in row["method"]:
                yield data / name / "videos" / "real" / Path(row["original"]).name, data / name / row["file"]


def read(path: Path) -> list[ImageHW3]:
    """Return the first frames of a clip, of even width and height."""
    images = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            image = frame.to_ndarray(format="rgb24")
            images.append(image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2])
            if len(images) == MOST_FRAMES:
                break
    return images


def twins(original: Sequence[ImageHW3], fake: Sequence[ImageHW3]) -> list[ImageHW3]:
    """Paste what the fake changed into the original, with a soft border."""
    apart = [np.abs(a.astype(np.float32) - b).mean(2) for a, b in zip(original[::5], fake[::5], strict=False)]
    width = original[0].shape[1]
    changed_HW = cv2.GaussianBlur(np.mean(apart, axis=0), (0, 0), width / 60)
    mask_HW = (changed_HW > 0.3 * changed_HW.max()).astype(np.float32)
    mask_HW = cv2.GaussianBlur(cv2.dilate(mask_HW, np.ones((width // 40 | 1,) * 2)), (0, 0), width / 80)
    mask_HW1 = mask_HW[..., None]
    return [(a * (1 - mask_HW1) + b * mask_HW1).astype(np.uint8) for a, b in zip(original, fake, strict=False)]


def encode(images: Iterator[ImageHW3], codec: str, options: dict[str, str]) -> tuple[NDArray[np.int64], ...]:
    """Return the lengths of the packets in order of time, and the indices of the key frames."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=RATE, options=options)
        for number, image in enumerate(images):
            if not number:
                stream.height, stream.width, stream.pix_fmt = *image.shape[:2], "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        packets = sorted((packet.pts, packet.size, packet.is_keyframe) for packet in container.demux() if packet.size)
    return np.array([size for _, size, _ in packets]), np.flatnonzero([is_key for *_, is_key in packets])


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=15, help="how many, in the order of the tables")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    given_away = dict.fromkeys(LENGTHS_SECONDS, 0)
    for number, (original, fake) in enumerate(list(pairs(given.data))[: given.pairs]):
        real = read(original)
        twin = twins(real, read(fake))
        there_and_back = [*range(len(twin)), *range(len(twin) - 2, 0, -1)]
        codec, options = ENCODERS[number % len(ENCODERS)]
        order = [there_and_back[k % len(there_and_back)] for k in range(MINUTE)]
        usual, usual_keys = encode((real[k] for k in order), codec, options)
        for seconds in LENGTHS_SECONDS:
            first = rng.randrange(2 * RATE, MINUTE - (seconds + 2) * RATE)
            last = first + seconds * RATE
            film = ((twin if first <= k < last else real)[place] for k, place in enumerate(order))
            sizes, keys = encode(film, codec, options)
            before = (MINUTES - 1) * MINUTE
            bursts = find_bursts(
                np.concatenate([*[usual] * (MINUTES - 1), sizes]),
                np.concatenate([*[usual_keys + k * MINUTE for k in range(MINUTES - 1)], keys + before]),
                np.arange(MINUTES * MINUTE) / RATE,
            )
            found = min(abs(burst - before - end) for burst in bursts for end in (first, last)) <= 1
            given_away[seconds] += found
            print(f"{fake.stem}, {codec}, {seconds} s: {'given away' if found else 'hidden'}", flush=True)
    print(", ".join(f"{seconds} s: {found} of {number + 1}" for seconds, found in given_away.items()))


if __name__ == "__main__":
    main()
