"""The images of an exploration: frames with boxes drawn, and a fake beside its original as a clip that plays."""

from __future__ import annotations

import base64
import io
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip, Index
from unmask.errors import InputError
from unmask.media import Limits, Video, open_video, read_frames
from unmask.storage.rowlog import Row
from unmask.types import ImageHW3

COLOURS = {"mtcnn": (46, 204, 113), "haar": (52, 152, 219), "dlib": (243, 156, 18)}
"""RGB of each detector's boxes."""
_OTHER_COLOUR = (230, 80, 200)
FRAME_WIDTH_PX = 480
CLIP_HEIGHT_PX = 240
CLIP_RATE = 12
CLIP_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame with its faces."""

    id: str
    """The clip."""
    label: str | None
    frame: int
    """Frame index."""
    doubts: tuple[str, ...]
    """Why some of its faces are doubtful."""
    jpeg: str
    """Base64."""


@dataclass(frozen=True, slots=True)
class PairClip:
    """An original and its fake, side by side."""

    original: str
    """Id."""
    fake: str
    """Id."""
    method: str | None
    mp4: str
    """Base64; the original is on the left."""


def example_frames(
    index: Index,
    rows: Sequence[Row],
    count: int,
    seed: int,
    doubtful: bool,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> list[Picture]:
    """Draw the boxes of some frames, each of another clip, with confidences and landmarks.

    Args:
        index: The dataset.
        rows: Of the exploration.
        count: How many at most.
        seed: Of the choice.
        doubtful: Frames with doubtful faces instead of any with faces.
        limits: What one clip may cost.
    """
    candidates = []
    for clip, row in zip(index.clips, rows, strict=True):
        frames = sorted({face["frame"] for face in row["faces"] if face["doubts"] or not doubtful})
        if frames:
            candidates.append((clip, row, frames))
    rng = random.Random(seed)  # noqa: S311 - no secret
    rng.shuffle(candidates)
    if doubtful:  # the rarest doubts first: they tell most
        rarity = Counter(word for row in rows for face in row["faces"] for word in face["doubts"])
        candidates.sort(key=lambda item: min(rarity[word] for face in item[1]["faces"] for word in face["doubts"]))
    else:  # real and fake in turn
        candidates = _alternate(candidates)
    images: list[Picture] = []
    for clip, row, frames in candidates:
        if len(images) == count:
            break
        image = _draw_frame(index, clip, row, rng.choice(frames), limits)
        if image is not None:
            images.append(image)
    return images


def pair_clips(
    index: Index,
    rows: Sequence[Row],
    count: int,
    seed: int,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> list[PairClip]:
    """Film some fakes beside their originals, of as many methods as there are."""
    usable = {row["id"] for row in rows if row["media"]}
    by_id = {clip.id: clip for clip in index.clips}
    by_method: dict[str, list[Clip]] = defaultdict(list)
    for clip in index.clips:
        if clip.original in usable and clip.id in usable:
            by_method[clip.method or ""].append(clip)
    rng = random.Random(seed)  # noqa: S311 - no secret
    piles = [rng.sample(pile, len(pile)) for _, pile in sorted(by_method.items())]
    turns = (pile[turn] for turn in range(max(map(len, piles), default=0)) for pile in piles if turn < len(pile))
    clips: list[PairClip] = []
    for fake in turns:
        if len(clips) == count:
            break
        original = by_id[fake.original or ""]
        try:
            mp4 = side_by_side(index, original, fake, limits)
        except (InputError, av.error.FFmpegError):
            continue  # unreadable, or of a shape that H.264 does not take
        clips.append(PairClip(original.id, fake.id, fake.method, base64.b64encode(mp4).decode()))
    return clips


def side_by_side(index: Index, left: Clip, right: Clip, limits: Limits = Limits()) -> bytes:  # noqa: B008 - frozen
    """Return the first seconds of two clips beside each other, as H.264 in MP4 that browsers play.

    Raises:
        InputError: One of them cannot be read.
    """
    data = io.BytesIO()
    with (
        open_video(index.path_of(left), limits) as a,
        open_video(index.path_of(right), limits) as b,
        av.open(data, "w", format="mp4") as container,
    ):
        stream = container.add_stream("libx264", rate=CLIP_RATE, options={"crf": "28", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for number, images in enumerate(zip(_preview(a), _preview(b), strict=False)):
            image = np.hstack(images)
            if number == 0:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return data.getvalue()


def _preview(video: Video) -> Iterator[ImageHW3]:
    times = video.index.times_seconds
    moments = np.arange(0, min(CLIP_SECONDS, video.index.end_seconds), 1 / CLIP_RATE)
    indices = np.unique(np.clip(np.searchsorted(times, moments), 0, len(times) - 1))
    for frame in read_frames(video, indices):
        height, width = frame.image_HW3.shape[:2]
        size = min(1280, max(16, round(width * CLIP_HEIGHT_PX / height / 2) * 2)), CLIP_HEIGHT_PX
        yield cv2.resize(frame.image_HW3, size, interpolation=cv2.INTER_AREA)


def _draw_frame(index: Index, clip: Clip, row: Row, number: int, limits: Limits) -> Picture | None:
    try:
        with open_video(index.path_of(clip), limits) as video:
            frame = next(iter(read_frames(video, np.array([number]))), None)
    except InputError:
        return None
    if frame is None:
        return None
    faces = [face for face in row["faces"] if face["frame"] == number]
    image_HW3 = draw_faces(frame.image_HW3, faces)
    done, jpeg = cv2.imencode(".jpg", image_HW3[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 80))
    doubts = tuple(sorted({word for face in faces for word in face["doubts"]}))
    return Picture(clip.id, clip.label, number, doubts, base64.b64encode(jpeg.tobytes()).decode()) if done else None


def draw_faces(image_HW3: ImageHW3, faces: Sequence[dict[str, Any]]) -> ImageHW3:
    """Return a smaller copy of a frame with boxes, confidences and landmarks; doubtful faces are crossed."""
    scale = FRAME_WIDTH_PX / image_HW3.shape[1]
    size = FRAME_WIDTH_PX, max(1, round(image_HW3.shape[0] * scale))
    canvas = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    for face in faces:
        for name, found in face["found"].items():
            colour = COLOURS.get(name, _OTHER_COLOUR)
            x1, y1, x2, y2 = (round(edge * scale) for edge in found["xyxy_px"])
            cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2)
            if face["doubts"]:
                cv2.line(canvas, (x1, y1), (x2, y2), colour, 1, cv2.LINE_AA)
            for x, y in found["landmarks_px"] or ():
                cv2.circle(canvas, (round(x * scale), round(y * scale)), 2, colour, -1, cv2.LINE_AA)
            place = (max(0, x1), max(12, y1 - 4)) if name != "haar" else (max(0, x1), min(size[1] - 3, y2 + 14))
            _write(canvas, f"{name} {found['confidence']:.0%}", place, colour)
    return canvas


def _write(canvas: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, shade, thickness, cv2.LINE_AA)


def _alternate(items: list[tuple[Clip, Row, list[int]]]) -> list[tuple[Clip, Row, list[int]]]:
    piles = [[item for item in items if item[0].label == label] for label in ("real", "fake", None)]
    turns: list[tuple[Clip, Row, list[int]]] = []
    for turn in range(max(map(len, piles), default=0)):
        turns += [pile[turn] for pile in piles if turn < len(pile)]
    return turns
