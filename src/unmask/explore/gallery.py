"""Make the images of an exploration: frames with boxes drawn, and fakes beside their originals as clips that play."""

from __future__ import annotations

import base64
import io
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip, Index
from unmask.errors import InputError
from unmask.explore.agreement import Vote
from unmask.explore.records import ExploredClip
from unmask.media import Limits, Video, open_clip, read_frames
from unmask.types import ImageHW3

COLOURS = {"mtcnn": (46, 204, 113), "haar": (52, 152, 219), "dlib": (243, 156, 18)}
"""RGB of each detector's boxes."""
_OTHER_COLOUR = (230, 80, 200)
FRAME_WIDTH_PX = 480
CLIP_HEIGHT_PX = 240
CLIP_RATE = 12
CLIP_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class ExampleFrame:
    """A frame with its faces drawn."""

    id: str
    """Id of the clip."""
    label: str | None
    """``real``, ``fake``, None when it is not known."""
    frame: int
    """Frame index."""
    doubts: tuple[str, ...]
    """Why some of its faces are doubtful."""
    jpeg: str
    """The image as JPEG in base64."""


@dataclass(frozen=True, slots=True)
class FakeBesideOriginal:
    """A clip that shows an original and its fake side by side."""

    original: str
    """Id of the original, on the left."""
    fake: str
    """Id of the fake, on the right."""
    method: str | None
    """How the fake was made, None when it is not known."""
    mp4: str
    """The clip as MP4 in base64."""


def example_frames(
    index: Index,
    explored: Sequence[ExploredClip],
    count: int,
    seed: int,
    doubtful: bool,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> list[ExampleFrame]:
    """Draw the boxes of some frames, each of another clip, with confidences and landmarks.

    Args:
        index: The dataset.
        explored: What was found out about each of its clips.
        count: Max number of frames.
        seed: Seed of the choice.
        doubtful: Take frames with doubtful faces instead of any with faces.
        limits: Limits on time, memory and pixels of one clip.
    """
    candidates = []
    for clip, found in zip(index.clips, explored, strict=True):
        frames = sorted({vote.frame_index for vote in found.faces if vote.doubts or not doubtful})
        if frames:
            candidates.append((clip, found, frames))
    rng = random.Random(seed)  # noqa: S311 - no secret
    rng.shuffle(candidates)
    if doubtful:  # the rarest doubts first
        rarity = Counter(doubt for found in explored for vote in found.faces for doubt in vote.doubts)
        candidates.sort(key=lambda item: min(rarity[doubt] for vote in item[1].faces for doubt in vote.doubts))
    else:  # real and fake in turn
        candidates = _alternate(candidates)
    examples: list[ExampleFrame] = []
    for clip, found, frames in candidates:
        if len(examples) == count:
            break
        example = _draw_frame(index, clip, found.faces, rng.choice(frames), limits)
        if example is not None:
            examples.append(example)
    return examples


def fakes_beside_originals(
    index: Index,
    explored: Sequence[ExploredClip],
    count: int,
    seed: int,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> list[FakeBesideOriginal]:
    """Return clips of some fakes beside their originals, of as many methods as there are."""
    usable = {found.id for found in explored if found.media}
    by_id = {clip.id: clip for clip in index.clips}
    by_method: dict[str, list[Clip]] = defaultdict(list)
    for clip in index.clips:
        if clip.original in usable and clip.id in usable:
            by_method[clip.method or ""].append(clip)
    rng = random.Random(seed)  # noqa: S311 - no secret
    piles = [rng.sample(pile, len(pile)) for _, pile in sorted(by_method.items())]
    turns = (pile[turn] for turn in range(max(map(len, piles), default=0)) for pile in piles if turn < len(pile))
    shown: list[FakeBesideOriginal] = []
    for fake in turns:
        if len(shown) == count:
            break
        original = by_id[fake.original or ""]
        try:
            mp4 = side_by_side(index, original, fake, limits)
        except (InputError, av.error.FFmpegError):
            continue  # unreadable, or of a shape that H.264 does not take
        shown.append(FakeBesideOriginal(original.id, fake.id, fake.method, base64.b64encode(mp4).decode()))
    return shown


def side_by_side(index: Index, left: Clip, right: Clip, limits: Limits = Limits()) -> bytes:  # noqa: B008 - frozen
    """Return the first seconds of two clips beside each other, as H.264 in MP4 that browsers play.

    Raises:
        InputError: One of them cannot be read.
    """
    data = io.BytesIO()
    with (
        open_clip(index.path_of(left), limits) as a,
        open_clip(index.path_of(right), limits) as b,
        av.open(data, "w", format="mp4") as container,
    ):
        stream = container.add_stream("libx264", rate=CLIP_RATE, options={"crf": "28", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for number, images in enumerate(zip(_preview(a), _preview(b), strict=False)):
            image_HW3 = np.hstack(images)
            if number == 0:
                stream.height, stream.width = image_HW3.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image_HW3, format="rgb24")))
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


def _draw_frame(index: Index, clip: Clip, votes: Sequence[Vote], number: int, limits: Limits) -> ExampleFrame | None:
    try:
        with open_clip(index.path_of(clip), limits) as video:
            frame = next(iter(read_frames(video, np.array([number]))), None)
    except InputError:
        return None
    if frame is None:
        return None
    shown = [vote for vote in votes if vote.frame_index == number]
    image_HW3 = draw_faces(frame.image_HW3, shown)
    done, jpeg = cv2.imencode(".jpg", image_HW3[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 80))
    if not done:
        return None
    doubts = tuple(sorted({doubt for vote in shown for doubt in vote.doubts}))
    return ExampleFrame(clip.id, clip.label, number, doubts, base64.b64encode(jpeg.tobytes()).decode())


def draw_faces(image_HW3: ImageHW3, votes: Sequence[Vote]) -> ImageHW3:
    """Return a smaller copy of a frame with boxes, confidences and landmarks; doubtful faces are crossed."""
    scale = FRAME_WIDTH_PX / image_HW3.shape[1]
    size = FRAME_WIDTH_PX, max(1, round(image_HW3.shape[0] * scale))
    canvas = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    for vote in votes:
        for name, face in vote.faces.items():
            colour = COLOURS.get(name, _OTHER_COLOUR)
            x1, y1, x2, y2 = (round(edge * scale) for edge in face.xyxy_px)
            cv2.rectangle(canvas, (x1, y1), (x2, y2), colour, 2)
            if vote.doubts:
                cv2.line(canvas, (x1, y1), (x2, y2), colour, 1, cv2.LINE_AA)
            for x, y in () if face.landmarks_px is None else face.landmarks_px.tolist():
                cv2.circle(canvas, (round(x * scale), round(y * scale)), 2, colour, -1, cv2.LINE_AA)
            place = (max(0, x1), max(12, y1 - 4)) if name != "haar" else (max(0, x1), min(size[1] - 3, y2 + 14))
            _write(canvas, f"{name} {face.confidence:.0%}", place, colour)
    return canvas


def _write(canvas: NDArray[np.uint8], text: str, place: tuple[int, int], colour: tuple[int, int, int]) -> None:
    for shade, thickness in (((0, 0, 0), 3), (colour, 1)):
        cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, shade, thickness, cv2.LINE_AA)


_Candidate = tuple[Clip, ExploredClip, list[int]]


def _alternate(items: list[_Candidate]) -> list[_Candidate]:
    """Order clips so that real, fake and unlabelled ones take turns."""
    piles = [[item for item in items if item[0].label == label] for label in ("real", "fake", None)]
    turns: list[_Candidate] = []
    for turn in range(max(map(len, piles), default=0)):
        turns += [pile[turn] for pile in piles if turn < len(pile)]
    return turns
