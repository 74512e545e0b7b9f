"""Open a video and read its frames.

    with open_video("clip.mp4") as video:
        for frame in read_frames(video, pick_frames(video, 32)):
            frame.image_HW3, frame.time_seconds

A file is opened here, once and as a regular file, and read by a process that can do nothing else, see
`unmask.media.decoder`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedReader
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from unmask.media.decoder import Decoder
from unmask.media.description import describe
from unmask.media.frames import open_in_process
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.readers import Reader, find_reader, reader_name, run_readers
from unmask.media.regular import hashed, open_regular
from unmask.media.sampling import sample_indices
from unmask.media.server import CAN_ISOLATE
from unmask.media.signature import SignatureLog
from unmask.media.sound import Sound, copy_sound
from unmask.types import Colours, Frame, MediaFacts


class Decode(Protocol):
    """Reads frames of a video."""

    def __call__(self, indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        """Do as `read_frames`."""
        ...


@dataclass(frozen=True, slots=True)
class Video:
    """A video whose frames are known but not decoded yet."""

    facts: MediaFacts
    """What it is."""
    index: FrameIndex
    """Which frames it has."""
    decode: Decode
    """Reads frames, see `read_frames`."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What each reader said of it, by `unmask.media.readers.reader_name`; who asked for it checks it."""


@contextlib.contextmanager
def open_video(
    path: str | os.PathLike[str],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    colours: Colours = "tagged",
    film: int = 1,
    check: Callable[[], None] = lambda: None,
    readers: Sequence[Reader] = (),
) -> Iterator[Video]:
    """Open a video file, list its frames and decode the first one.

    Args:
        path: The file.
        limits: What it may cost.
        colours: How its frames become RGB, see `unmask.types.Colours`.
        film: Which of its films, from 1; `MediaFacts.films` says how many there are.
        check: Called again and again while the file is hashed; what it raises ends that.
        readers: What else is to look at the file, see `unmask.media.readers`.

    Raises:
        UnreadableError: Missing, empty, damaged beyond its first frame, or not a regular file.
        ChangedError: It was changed while it was open; raised in the end.
        UnsupportedError: A container or codec that is not decoded.
        NoVideoError: Sound only, or a still cover image.
        LimitError: More bytes, pixels or memory than the limits allow.
        TimedOutError: It takes longer than the limits allow; also raised while frames are read.
        CrashedError: Its decoder died; also raised while frames are read.
    """
    with (
        open_regular(path) as file,
        hashed(file, limits.file_bytes, check) as sha256,
        open_video_file(file, sha256, limits, colours, film, readers) as video,
    ):
        yield video


@contextlib.contextmanager
def open_video_file(
    file: BufferedReader,
    sha256: str,
    limits: Limits,
    colours: Colours = "tagged",
    film: int = 1,
    readers: Sequence[Reader] = (),
) -> Iterator[Video]:
    """Do as `open_video` with a file that is open already, see `unmask.media.regular.open_regular`.

    Args:
        file: The open file.
        sha256: Hash of its content, 64 hex digits.
        limits: What it may cost.
        colours: How its frames become RGB.
        film: Which of its films, from 1.
        readers: What else is to look at the file, see `unmask.media.readers`.
    """
    names = [reader_name(reader) for reader in readers]
    if not (limits.isolate and CAN_ISOLATE):
        opened = open_in_process(file, sha256, limits, colours, film)
        yield Video(opened.facts, opened.index, opened.read, run_readers(names, opened))
        return
    with contextlib.closing(Decoder(file, sha256, limits, colours, film, names)) as decoder:
        facts, index = decoder.start()
        yield Video(facts, index, decoder.read, decoder.notes)


def pick_frames(video: Video, count: int, sampling: str = "time") -> NDArray[np.int64]:
    """Return the indices of the frames to look at, strictly rising.

    Raises:
        UsageError: ``count`` is below 1 or ``sampling`` is not one of `unmask.media.SAMPLINGS`.
    """
    return sample_indices(video.index.times_seconds, count, sampling)


def read_frames(video: Video, indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
    """Decode the frames with the given indices, in rising order, one at a time.

    A frame that cannot be decoded is replaced by the next one that can, unless that one is wanted itself; so
    a damaged video yields fewer frames, never the same one twice. One reading of a video at a time.

    Args:
        video: The video.
        indices: (n,) rising indices of the wanted frames.
        log: Takes the signatures of all frames that are decoded on the way, once the last frame is out; None takes
            none.

    Raises:
        LimitError: More pixels or memory than the limits allow.
        TimedOutError: Decoding takes longer than the limits allow.
        CrashedError: The decoder died.
    """
    return video.decode(indices, log)


def sample_frames(path: str | os.PathLike[str], count: int, sampling: str = "time") -> Iterator[Frame]:
    """Yield frames spread evenly over a video: upright, RGB, each once, in order of time.

    One frame is in memory at a time, whatever the length of the video.

    Args:
        path: A video file.
        count: How many frames; a shorter video gives each of its frames once.
        sampling: ``time`` spreads over the time stamps of the frames that exist; ``reference`` gives the
            challenge winner's floor-linspace indices.

    Raises:
        InputError: The file cannot be read; see `open_video`.
        UsageError: ``count`` or ``sampling`` make no sense.
    """
    with open_video(path) as video:
        yield from read_frames(video, pick_frames(video, count, sampling))


def probe(
    path: str | os.PathLike[str],
    limits: Limits = Limits(),  # noqa: B008 - frozen
    check: Callable[[], None] = lambda: None,
) -> MediaFacts:
    """Return what the file is. Every field of the notebook's table is in it; see `MediaFacts`.

    Args:
        path: The file.
        limits: What it may cost.
        check: See `open_video`.

    Raises:
        InputError: As `open_video`.
    """
    with open_video(path, limits, check=check) as video:
        return video.facts


def read_sound(path: str | os.PathLike[str], limits: Limits = Limits()) -> Sound | None:  # noqa: B008 - frozen
    """Return the first sound track of a video as a file of its own, not encoded again; None when the video is silent.

    Raises:
        InputError: As `open_video`; also when its sound is too long or of a kind that cannot be copied.
    """
    with open_regular(path) as file:
        if not (limits.isolate and CAN_ISOLATE):
            return copy_sound(file, limits)
        with contextlib.closing(Decoder(file, "", limits)) as decoder:
            return decoder.read_sound()


def read_description(path: str | os.PathLike[str], limits: Limits = Limits()) -> dict[str, Any]:  # noqa: B008 - frozen
    """Return what a file says of itself as ffprobe prints it, JSON-ready: programs, streams, chapters, format.

    Raises:
        InputError: As `open_video`.
    """
    with open_regular(path) as file:
        if not (limits.isolate and CAN_ISOLATE):
            description = describe(file, limits)
        else:
            with contextlib.closing(Decoder(file, "", limits)) as decoder:
                description = decoder.read_description()
    return description | {"format": {"filename": os.fspath(path)} | description.get("format", {})}


def ask_file(file: BufferedReader, reader: str, question: bytes, limits: Limits) -> Any:
    """Ask a reader about an open file, in a process of its own that may start threads, and nothing else.

    Args:
        file: The open file.
        reader: Name of a function ``(file, question)`` that returns JSON values, see `unmask.media.readers`; who asks
            checks what it returns, since the file may be hostile.
        question: What it is asked.
        limits: What it may cost.

    Raises:
        TimedOutError: It takes longer than the limits allow.
        CrashedError: It died.
        LimitError: It needs more memory than the limits allow.
        RuntimeError: It raised something.
    """
    if not (limits.isolate and CAN_ISOLATE):
        return find_reader(reader)(file, question)
    with contextlib.closing(Decoder(file, "", limits, readers=[reader])) as decoder:
        return decoder.ask(question)
