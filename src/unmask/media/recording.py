"""A recording in pieces as one video: what an HLS play list names, or the files of a folder in order.

Each piece is decoded by a confined process of its own, as any file is. Their times follow one another.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import BufferedReader
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from unmask.errors import ChangedError, InputError, LimitError, UnreadableError
from unmask.media.frame_list import in_order
from unmask.media.index import FrameIndex
from unmask.media.limits import Limits
from unmask.media.playlist import MAX_HEAD_BYTES, MAX_PIECES, Part, Piece, read_playlist
from unmask.media.readers import Reader
from unmask.media.regular import open_regular, sha256_of
from unmask.media.signature import SignatureLog
from unmask.media.video import Video, open_video_file, read_frames
from unmask.storage.content import content_of_name
from unmask.types import Colours, Frame, MediaFacts

_CHUNK_BYTES = 1 << 20
_PIECE_SUFFIXES = frozenset({".m4s", ".cmfv"})
"""Suffixes of pieces that are no films by themselves."""
_HEADS = ("init.mp4", "init.m4s", "init.cmfv")
"""Names of the header of fragmented MP4, as FFmpeg and others write it beside the pieces."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A piece that can be read."""

    piece: Piece
    sha256: str
    facts: MediaFacts
    index: FrameIndex


@contextmanager
def open_playlist(
    path: str | os.PathLike[str],
    limits: Limits,
    colours: Colours = "tagged",
    check: Callable[[], None] = lambda: None,
    readers: Sequence[Reader] = (),
) -> Iterator[Video]:
    """Open the pieces that an HLS play list names as one video; see `open_pieces` and `unmask.media.playlist`."""
    with open_pieces(read_playlist(path), Path(path).parent, limits, colours, check, readers) as video:
        yield video


@contextmanager
def open_pieces_folder(
    folder: str | os.PathLike[str],
    limits: Limits,
    colours: Colours = "tagged",
    check: Callable[[], None] = lambda: None,
    readers: Sequence[Reader] = (),
    *,
    follow_links: bool = False,
) -> Iterator[Video]:
    """Open the films of a folder as the pieces of one video, in the order of their names, 9 before 10.

    Pieces of fragmented MP4 (``.m4s``) have their header, ``init.mp4``, beside them.

    Raises:
        UnreadableError: There is no such folder, or no film in it.
        InputError: As `open_pieces`.
    """
    folder = Path(folder)
    try:
        paths = [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError as error:
        raise UnreadableError(f"cannot open the folder of pieces: {error.strerror}") from error
    fragments = [path for path in paths if path.suffix.lower() in _PIECE_SUFFIXES and path.name not in _HEADS]
    films = [path for path in paths if content_of_name(path) == "video" and path.name not in _HEADS]
    heads = [path for path in paths if path.name in _HEADS]
    if not (fragments or films):
        raise UnreadableError("the folder holds no pieces of a film; name one that holds them")
    head = Part(str(heads[0])) if heads and fragments else None
    pieces = [Piece(Part(str(path)), head) for path in in_order(fragments or films)]
    below = None if follow_links else folder
    with open_pieces(pieces, below, limits, colours, check, readers) as video:
        yield video


@contextmanager
def open_pieces(
    pieces: Sequence[Piece],
    below: Path | None,
    limits: Limits,
    colours: Colours = "tagged",
    check: Callable[[], None] = lambda: None,
    readers: Sequence[Reader] = (),
) -> Iterator[Video]:
    """Open pieces as one video. One that cannot be read is left out, and the video counts as cut short.

    Its hash is that of the hashes of its pieces, each with a line break behind it.

    Args:
        pieces: At least one, in order.
        below: A folder that they lie in; from there on no link is followed. None follows links.
        limits: What one piece may cost; all of them together may have ``file_bytes``.
        colours: How frames become RGB.
        check: Called again and again while files are read; what it raises ends that.
        readers: What else is to look at each piece; their notes, lists, are joined.

    Raises:
        InputError: No piece can be read; as the first one says.
        LimitError: There are more than `MAX_PIECES`, or more bytes than the limits allow.
        ChangedError: A piece was changed meanwhile; also raised while frames are read.
    """
    if len(pieces) > MAX_PIECES:
        raise LimitError(f"the recording has {len(pieces)} pieces; at most {MAX_PIECES} are read")
    listed: list[_Listed] = []
    notes: dict[str, Any] = {}
    first_error: InputError | None = None
    left = limits.file_bytes
    for piece in pieces:
        check()
        try:
            with _opened(piece, below, left) as file:
                left -= os.fstat(file.fileno()).st_size
                sha256 = sha256_of(file, check)
                with open_video_file(file, sha256, limits, colours, readers=readers) as video:
                    listed.append(_Listed(piece, sha256, video.facts, video.index))
                    for name, note in video.notes.items():
                        notes[name] = [*notes.get(name, ()), *note] if isinstance(note, list) else note
        except LimitError:
            raise
        except InputError as error:
            first_error = first_error or error
    if not listed:
        raise first_error or UnreadableError("the recording has no pieces")
    yield _joined(listed, len(pieces), notes, lambda item: _reopened(item, below, limits, colours))


@contextmanager
def _reopened(item: _Listed, below: Path | None, limits: Limits, colours: Colours) -> Iterator[Video]:
    with _opened(item.piece, below, limits.file_bytes) as file:
        if sha256_of(file) != item.sha256:
            raise ChangedError("a piece was changed while it was read; scan again once nobody writes to it")
        with open_video_file(file, item.sha256, limits, colours) as video:
            yield video


@contextmanager
def _opened(piece: Piece, below: Path | None, most_bytes: int) -> Iterator[BufferedReader]:
    """Open a piece: its file where it is a whole one, else a temporary file of its parts."""
    folder = None if below is None else str(below)
    with ExitStack() as stack:
        body = stack.enter_context(open_regular(piece.body.path, folder))
        whole = os.fstat(body.fileno()).st_size
        length = whole - piece.body.start if piece.body.length is None else piece.body.length
        if length < 1 or piece.body.start + length > whole:
            raise UnreadableError("a piece lies beyond the end of its file")
        if length > most_bytes:
            raise LimitError("the pieces have more bytes together than are read, see --limits file=")
        if piece.head is None and length == whole:
            yield body
            return
        room = stack.enter_context(tempfile.TemporaryFile())
        if piece.head is not None:
            with open_regular(piece.head.path, folder) as head:
                _copy(head, room, replace(piece.head, length=min(piece.head.length or MAX_HEAD_BYTES, MAX_HEAD_BYTES)))
        _copy(body, room, replace(piece.body, length=length))
        room.seek(0)
        yield stack.enter_context(os.fdopen(os.dup(room.fileno()), "rb"))


def _copy(source: BufferedReader, target: IO[bytes], part: Part) -> None:
    source.seek(part.start)
    left = part.length or 0
    while left > 0 and (content := source.read(min(left, _CHUNK_BYTES))):
        target.write(content)
        left -= len(content)


def _joined(listed: Sequence[_Listed], named: int, notes: dict[str, Any], reopen: Callable[[_Listed], Any]) -> Video:
    """Return the pieces as one video."""
    frames = np.cumsum([0, *(len(item.index) for item in listed)])
    starts = np.cumsum([0.0, *(max(item.index.end_seconds, _last_time(item) + 1e-3) for item in listed)])
    packets = np.cumsum([0, *(item.index.packets for item in listed)])
    indices = [item.index for item in listed]
    index = FrameIndex(
        times_seconds=np.concatenate([one.times_seconds + at for one, at in zip(indices, starts[:-1], strict=True)]),
        key_packets=np.concatenate([one.key_packets + at for one, at in zip(indices, packets[:-1], strict=True)]),
        key_frames=np.concatenate([one.key_frames + at for one, at in zip(indices, frames[:-1], strict=True)]),
        stamped=all(one.stamped for one in indices),
        end_seconds=float(starts[-1]),
        packets=int(packets[-1]),
        size_bytes=sum(one.size_bytes for one in indices),
    )

    def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        places = np.searchsorted(frames, indices, side="right") - 1
        return chain.from_iterable(
            _read(place, indices[places == place] - frames[place], log) for place in np.unique(places).tolist()
        )

    def _read(place: int, wanted: NDArray[np.int64], log: SignatureLog | None) -> Iterator[Frame]:
        mine = None if log is None else SignatureLog()
        offset = int(frames[place])
        with reopen(listed[place]) as video:
            for frame in read_frames(video, wanted, mine):
                time = frame.time_seconds + float(starts[place])
                yield replace(frame, index=frame.index + offset, time_seconds=time)
        if mine is not None and log is not None:
            numbers, signatures = mine.arrays()
            for number, signature in zip(numbers.tolist(), signatures, strict=True):
                log.add(number + offset, signature)

    return Video(_facts(listed, named, index), index, decode, notes)


def _last_time(item: _Listed) -> float:
    return float(item.index.times_seconds[-1])


def _facts(listed: Sequence[_Listed], named: int, index: FrameIndex) -> MediaFacts:
    first = listed[0].facts
    digest = hashlib.sha256("".join(f"{item.sha256}\n" for item in listed).encode()).hexdigest()
    return replace(
        first,
        sha256=digest,
        size_bytes=sum(item.facts.size_bytes for item in listed),
        container=f"recording in {named} piece{'s' * (named > 1)} ({first.container})",
        frames=len(index),
        frames_claimed=None,
        cut_short=len(listed) < named or any(item.facts.cut_short for item in listed),
        pieces=named,
        missing_pieces=named - len(listed),
        duration_seconds=index.end_seconds,
        bit_rate=round(8 * index.size_bytes / index.end_seconds) if index.end_seconds else None,
        is_picture=False,
        audio=None if first.audio is None else replace(first.audio, frames=None, duration_seconds=None),
    )
