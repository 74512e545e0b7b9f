"""Frames that are there one by one, as a video: pictures in a folder, or arrays in memory.

Datasets ship faces so: WildDeepfake, crops of DFDC. There are no time stamps, so that times are counted at
`FRAME_RATE`, unless they are given.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import InputError, LimitError, UnreadableError, UsageError
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.readers import Reader
from unmask.media.regular import open_regular, sha256_of
from unmask.media.signature import SignatureLog
from unmask.media.video import Video, open_video, open_video_file, read_frames
from unmask.storage.content import content_of_name
from unmask.storage.walk import is_folder
from unmask.types import Colours, Frame, ImageHW3, MediaFacts

FRAME_RATE = 25.0
"""Frames a second where nothing tells their times."""
MAX_FRAMES = 1_000_000
"""Pictures of one folder."""
_DIGITS = re.compile(r"(\d+)")


@contextmanager
def open_frames_folder(
    folder: str | os.PathLike[str],
    limits: Limits,
    colours: Colours = "tagged",
    check: Callable[[], None] = lambda: None,
    *,
    follow_links: bool = False,
) -> Iterator[Video]:
    """Open a folder of pictures as one clip, its frames in the order of their names, 9 before 10.

    Each picture is decoded as any file is; one that cannot be is a frame less. The clip's hash is that of the lines
    that ``sha256sum`` prints for the pictures, in this order.

    Args:
        folder: Holds the pictures; other files in it do not count.
        limits: What one picture may cost.
        colours: How frames become RGB.
        check: Called again and again while files are read; what it raises ends that.
        follow_links: Also take pictures that are links.

    Raises:
        UnreadableError: There is no such folder, or no picture in it.
        InputError: No picture can be decoded; as the first one says.
        LimitError: More pictures than `MAX_FRAMES`.
    """
    paths, below = frames_of_folder(folder), None if follow_links else os.fspath(folder)

    def opened(path: Path) -> BufferedReader:
        check()
        return open_regular(path, below)

    def load(number: int) -> Frame | None:
        with (
            suppress(InputError),
            opened(paths[number]) as file,
            open_video_file(file, "0" * 64, limits, colours) as one,
        ):
            return next(read_frames(one, np.zeros(1, np.int64)), None)
        return None

    sha256, size_bytes = _hashed(paths, opened, check)
    first = _first_facts(paths, opened, limits, colours)
    times = np.arange(len(paths)) / FRAME_RATE
    facts = replace(
        first,
        sha256=sha256,
        size_bytes=size_bytes,
        container=f"folder of {len(paths)} pictures ({first.container})",
    )
    yield _video(facts, times, load)


@contextmanager
def open_clip(
    path: str | os.PathLike[str],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    colours: Colours = "tagged",
    check: Callable[[], None] = lambda: None,
    readers: Sequence[Reader] = (),
) -> Iterator[Video]:
    """Open a clip of a dataset: a video, or a folder whose pictures are its frames.

    Args:
        path: The file or folder; pictures that are links do not count.
        limits: What it may cost.
        colours: How frames become RGB.
        check: Called again and again while files are read; what it raises ends that.
        readers: What else is to look at a file, see `unmask.media.readers`; folders have nothing else.

    Raises:
        InputError: See `unmask.media.open_video` and `open_frames_folder`.
    """
    if is_folder(path):
        with open_frames_folder(path, limits, colours, check) as video:
            yield video
    else:
        with open_video(path, limits, colours, check=check, readers=readers) as video:
            yield video


def hash_frames(folder: str | os.PathLike[str], check: Callable[[], None] = lambda: None) -> str:
    """Return the hash that `open_frames_folder` gives to a folder of pictures.

    Raises:
        InputError: There is no such folder, or no picture in it, or there are too many.
    """
    below = os.fspath(folder)
    return _hashed(frames_of_folder(folder), lambda path: open_regular(path, below), check)[0]


def _hashed(
    paths: Iterable[Path], opened: Callable[[Path], BufferedReader], check: Callable[[], None]
) -> tuple[str, int]:
    """Return the hash of some pictures, and how many bytes they have."""
    digest, size_bytes = hashlib.sha256(), 0
    for path in paths:
        with suppress(InputError), opened(path) as file:
            digest.update(f"{sha256_of(file, check)}  {path.name}\n".encode("utf-8", "surrogateescape"))
            size_bytes += os.fstat(file.fileno()).st_size
    return digest.hexdigest(), size_bytes


def video_of_arrays(frames: Sequence[ImageHW3] | NDArray[np.uint8], times_seconds: Sequence[float] | None) -> Video:
    """Return images in memory as a video.

    Args:
        frames: n upright RGB images, (H, W, 3) uint8 in [0, 255] each, at least one.
        times_seconds: Rising seconds since the first frame; None counts them at `FRAME_RATE`.

    Raises:
        UsageError: There is no frame, one of another form, or times that do not fit.
    """
    if not len(frames):
        raise UsageError("there are no frames to judge; give at least one")
    for number, frame in enumerate(frames):
        if not (isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == np.uint8):
            what = f"{frame.shape} {frame.dtype}" if isinstance(frame, np.ndarray) else type(frame).__name__
            raise UsageError(f"frame {number} is {what}; frames are numpy arrays (H, W, 3) of uint8, RGB")
    times = np.arange(len(frames)) / FRAME_RATE if times_seconds is None else np.asarray(times_seconds, np.float64)
    if times.shape != (len(frames),) or not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UsageError(f"times are {len(frames)} rising seconds, one for each frame; these are not")
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(np.ascontiguousarray(frame).data)
    facts = MediaFacts(
        size_bytes=sum(frame.nbytes for frame in frames),
        sha256=digest.hexdigest(),
        container="arrays in memory",
        codec="rawvideo",
        pixel_format="rgb24",
        width=frames[0].shape[1],
        height=frames[0].shape[0],
        **_NOTHING,
    )
    return _video(facts, times - times[0], lambda number: Frame(frames[number], 0.0, number))


_NOTHING: dict[str, Any] = {
    "rotation_degrees": 0, "mirrored": False, "sample_aspect_ratio": 1.0, "frames": 1, "frames_claimed": None,
    "cut_short": False, "frame_rate": None, "duration_seconds": 0.0, "start_seconds": None, "bit_rate": None,
    "encoder": None, "audio": None,
}  # fmt: skip
"""What arrays do not tell."""


def frames_of_folder(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the pictures of a folder in the order of their names, numbers in them by their value.

    Raises:
        UnreadableError: There is no such folder, or no picture in it.
        LimitError: More than `MAX_FRAMES`.
    """
    try:
        paths = [
            path
            for path in Path(folder).iterdir()
            if content_of_name(path) == "image" and not path.name.startswith(".")
        ]
    except OSError as error:
        raise UnreadableError(f"cannot open the folder of frames: {error.strerror}") from error
    if not paths:
        raise UnreadableError("the folder holds no pictures; name one that holds the frames of a clip")
    if len(paths) > MAX_FRAMES:
        raise LimitError(f"the folder holds {len(paths)} pictures; at most {MAX_FRAMES} are read")
    return in_order(paths)


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Return files in the order of their names, numbers in them by their value: 9 before 10."""

    def order(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
        parts = _DIGITS.split(path.name)
        return [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts if part], path.name

    return sorted(paths, key=order)


def _first_facts(
    paths: Sequence[Path], opened: Callable[[Path], BufferedReader], limits: Limits, colours: Colours
) -> MediaFacts:
    """Return the facts of the first picture that can be decoded."""
    first_error: InputError | None = None
    for path in paths:
        try:
            with opened(path) as file, open_video_file(file, "0" * 64, limits, colours) as one:
                return one.facts
        except InputError as error:
            first_error = first_error or error
    assert first_error is not None, "there is at least one picture"
    raise first_error


def _video(facts: MediaFacts, times_seconds: NDArray[np.float64], load: Callable[[int], Frame | None]) -> Video:
    count = len(times_seconds)
    end = float(times_seconds[-1]) + (float(np.diff(times_seconds).mean()) if count > 1 else 0.0)
    numbers = np.arange(count, dtype=np.int64)
    index = FrameIndex(times_seconds, numbers, numbers, True, end, count, facts.size_bytes)

    def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:  # noqa: ARG001
        for number in indices.tolist():
            frame = load(number)
            if frame is not None:
                yield replace(frame, index=number, time_seconds=float(times_seconds[number]))

    facts = replace(
        facts,
        frames=count,
        duration_seconds=end,
        is_picture=count == 1,
        rotation_degrees=0,
        mirrored=False,
        bit_rate=None,
    )
    return Video(facts, index, decode)
