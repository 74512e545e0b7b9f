"""Which files and addresses a scan is about, and how each is opened: once, and as nothing but a regular file.

Links within a named folder are not followed unless asked, so that a folder from strangers shows nothing that lies
elsewhere. A link that is named itself is followed: that was its namer's choice.
"""

from __future__ import annotations

import codecs
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from unmask.errors import DownloadError, InputError, LimitError, UnreadableError, UsageError
from unmask.media.regular import open_regular, sha256_of
from unmask.net.address import is_address, is_public, without_password
from unmask.net.objects import fetch_object, is_object
from unmask.net.public import fetch_public
from unmask.storage.content import HEAD_BYTES, Content, content_of, content_of_name
from unmask.storage.members import Member
from unmask.storage.walk import is_folder, is_link, walk

_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Input:
    """One file or address to scan; wherever a path will do, it stands for its own."""

    path: str
    """As it is opened or fetched."""
    name: str
    """As a table shows it: relative to the folder that was named; the whole path where that is ambiguous."""
    is_frames: bool = False
    """Whether it is a folder whose pictures are the frames of one clip."""
    is_pieces: bool = False
    """Whether it is a folder whose films are the pieces of one clip."""
    below: str | None = None
    """Folder in which it was found and from which on no link is followed; None where links are."""

    def __fspath__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class Listing:
    """What is to be scanned, and what of the named folders is not."""

    items: tuple[Input, ...]
    """Files and addresses, in the order named, each folder's sorted by name."""
    images: int = 0
    """Images that were passed over."""
    sounds: int = 0
    """Sound files that were passed over."""
    folders: int = 0
    """Folders within the named ones that were not looked into."""
    others: tuple[tuple[str, int], ...] = ()
    """Suffix -> number of all other files that were passed over, the most frequent first."""

    def passed_over(self) -> str | None:
        """Say what was passed over, e.g. ``3 images, 1 sound file, 2 other files (.txt)``; None for nothing."""
        suffixes = ", ".join(
            [suffix or "without suffix" for suffix, _ in self.others[:5]] + ["..."] * (len(self.others) > 5)
        )
        counts = {
            "image{} (name them to have them judged)": self.images,
            "sound file{}": self.sounds,
            "other file{} (" + suffixes + ")": sum(count for _, count in self.others),
            "folder{} (-r looks into them)": self.folders,
        }
        told = [f"{count} {what.replace('{}', 's' * (count != 1))}" for what, count in counts.items() if count]
        return ", ".join(told) or None


def read_names(data: bytes) -> list[str]:
    """Return the names of a list, one a line.

    Args:
        data: UTF-8 or, as PowerShell writes it, UTF-16, with or without a byte order mark; names in double quotes are
            taken out of them, and zero bytes may stand between names, as ``find -print0`` puts them. Bytes outside
            UTF-8 are kept as surrogate escapes.
    """
    wide = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}.get(data[:2])
    if wide is None and len(data) > 3 and not any(data[1:40:2]) and all(data[0:40:2]):
        wide = "utf-16-le"
    text = data.decode(wide, "replace") if wide else data.decode("utf-8", "surrogateescape")
    ends = "\0" if "\0" in text else "\n"
    names = (line.strip("\r\n") for line in text.removeprefix("\ufeff").split(ends))
    return [name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name for name in names if name]


def list_inputs(
    paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False, follow_links: bool = False
) -> list[Input]:
    """Expand files, addresses and folders to files and addresses; see `survey_inputs`."""
    return list(survey_inputs(paths, recursive=recursive, follow_links=follow_links).items)


def survey_inputs(
    paths: Iterable[str | os.PathLike[str]], *, recursive: bool = False, follow_links: bool = False
) -> Listing:
    """Expand files, addresses and folders to files and addresses, and count what is passed over.

    Of a folder, files with the suffix of a video are taken, and files without a known suffix that begin as a video
    does. Hidden ones of the latter are not looked at.

    Args:
        paths: Files, which need not exist (their rows will say so), https addresses, folders, and inputs that are
            listed already.
        recursive: Also look into the folders of folders.
        follow_links: Also where they are links, and take linked files; otherwise the rows of these say that they are.
    """
    passed: Counter[str] = Counter()
    found = [item for path in paths for item in expand_input(path, recursive, follow_links, passed)]
    times = Counter(item.name for item in found)
    items = tuple(item if times[item.name] == 1 else Input(item.path, item.path, below=item.below) for item in found)
    images, sounds, folders = (passed.pop(kind, 0) for kind in ("image", "sound", "folder"))
    return Listing(items, images, sounds, folders, tuple(passed.most_common()))


def clip_input(path: str | os.PathLike[str]) -> Input:
    """Return a clip of a dataset as an input: a file, or a folder of frames."""
    return Input(os.fspath(path), Path(path).name, is_frames=is_folder(path))


def clip_folders(
    paths: Iterable[str | os.PathLike[str]],
    *,
    pieces: bool = False,
    recursive: bool = False,
    follow_links: bool = False,
) -> tuple[Input, ...]:
    """Return folders, each of which holds the frames of one clip, or its pieces, as inputs.

    Args:
        paths: The folders.
        pieces: Whether they hold pieces.
        recursive: Also take folders within them: each one that holds pictures or, with ``pieces``, films.
        follow_links: Also where they are links.

    Raises:
        UsageError: One is no folder, or holds nothing of the kind.
    """
    names = [os.fspath(path) for path in paths]
    for name in names:
        if not Path(name).is_dir():
            raise UsageError(f"{name} is no folder; --frames-folder and --pieces take folders that hold one clip each")
    if recursive:
        names = [
            inner for name in names for inner in _folders_within(name, "video" if pieces else "image", follow_links)
        ]
    times = Counter(Path(name).name for name in names)
    return tuple(
        Input(
            name,
            Path(name).name if times[Path(name).name] == 1 else name,
            is_frames=not pieces,
            is_pieces=pieces,
            below=None if follow_links else name,
        )
        for name in names
    )


def _folders_within(root: str, content: Content, follow_links: bool) -> list[str]:
    """Return a folder and all below it that hold files of a kind, sorted by name.

    Raises:
        UsageError: There is none.
    """
    walked = walk(root, follow_links=follow_links)
    found = [folder for folder, _, files in walked if any(content_of_name(name) == content for name in files)]
    if not found:
        raise UsageError(f"no folder in {root} holds {'films' if content == 'video' else 'pictures'}; name another one")
    return sorted(found)


@contextmanager
def open_input(
    path: str | os.PathLike[str], max_bytes: int, is_given_up: Callable[[], bool] = lambda: False
) -> Iterator[BufferedReader]:
    """Open a file, or fetch it into a temporary file without a name, which no killed process leaves behind.

    Args:
        path: A file, an https address, an object of a store, a member of an archive, or an `Input`.
        max_bytes: Length of what is fetched, at most.
        is_given_up: Is asked while something is fetched; True ends that.

    Raises:
        UnreadableError: It is missing, empty, a link within a folder, or not a regular file.
        DownloadError: It cannot be fetched.
    """
    name = os.fspath(path)
    if not is_address(name):
        with open_regular(name, path.below if isinstance(path, Input) else None) as file:
            yield file
        return
    with tempfile.TemporaryFile() as room:
        member = Member.parse(name)
        if member is not None:
            _fetch_member(member, room, max_bytes, is_given_up)
        elif is_object(name):
            fetch_object(name, room, max_bytes, is_given_up)
        else:
            fetch_public(name, room, max_bytes, is_given_up, is_public)
        if not os.fstat(room.fileno()).st_size:
            raise UnreadableError("nothing lies at this address: the server gives an empty file")
        with os.fdopen(os.dup(room.fileno()), "rb") as file:
            file.seek(0)
            yield file


def _fetch_member(member: Member, room: BinaryIO, max_bytes: int, is_given_up: Callable[[], bool]) -> None:
    """Copy a member of an archive, which lies in a file or in a store."""
    if is_object(member.archive):
        fetch_object(member.archive, room, max_bytes, is_given_up, (member.start, member.size_bytes))
        return
    if member.size_bytes > max_bytes:
        raise LimitError(
            f"the file has {member.size_bytes} bytes; at most {max_bytes} are read, see --limits download="
        )
    with open_regular(member.archive) as archive:
        archive.seek(member.start)
        left = member.size_bytes
        while left and (data := archive.read(min(left, _COPY_BYTES))):
            room.write(data)
            left -= len(data)
    if left:
        raise UnreadableError(f"{member.archive} ends before this member does; it was changed, or copied in part")
    room.flush()


def hash_input(
    path: str | os.PathLike[str], max_bytes: int, is_given_up: Callable[[], bool] = lambda: False
) -> str | None:
    """Return the sha256 of what lies at a path or an address now, None when it cannot be read; see `open_input`."""

    def check() -> None:
        if is_given_up():
            raise UnreadableError("nobody waits for its hash any more")

    try:
        with open_input(path, max_bytes, is_given_up) as file:
            return sha256_of(file, check)
    except (InputError, DownloadError, OSError):
        return None


def expand_input(
    path: str | os.PathLike[str], recursive: bool, follow_links: bool, passed: Counter[str]
) -> Iterator[Input]:
    """Yield the files and addresses that one path, address or input stands for, as they are found.

    Args:
        path: See `survey_inputs`.
        recursive: See `survey_inputs`.
        follow_links: See `survey_inputs`.
        passed: Counts what is passed over: image, sound, folder, or a suffix.
    """
    if isinstance(path, Input):
        yield path
        return
    path = os.fspath(path)
    if is_address(path):
        path = without_password(path)
        yield Input(path, urlsplit(path).path.rpartition("/")[2] or path)
    elif not is_folder(path):
        yield Input(path, Path(path).name or path)
    else:
        yield from _expand_folder(path, recursive, follow_links, passed)


def _content_inside(item: Input) -> Content | None:
    """Return what the first bytes of a file say that it holds, None where they say nothing or it is hidden."""
    if Path(item.path).name.startswith("."):
        return None
    try:
        with open_regular(item.path, item.below) as file:
            return content_of(file.read(HEAD_BYTES))
    except (InputError, OSError):
        return None


def _expand_folder(root: str, recursive: bool, follow_links: bool, passed: Counter[str]) -> Iterator[Input]:
    """Yield the videos of a folder; count in ``passed`` what else is there, as image, sound, folder or by suffix."""
    below = None if follow_links else root

    def found(path: Path) -> Input:
        return Input(str(path), str(path.relative_to(root)), below=below)

    closed: list[OSError] = []
    seen = {os.path.realpath(root)}
    for folder, folders, files in walk(root, closed.append, follow_links=follow_links):
        here = Path(folder)
        for file in sorted(files):
            content = content_of_name(file) or _content_inside(found(here / file))
            if content == "video":
                yield found(here / file)
            elif content is not None or not file.startswith("."):
                passed[content or Path(file).suffix.lower()] += 1
        if not recursive:
            passed["folder"] += sum(not name.startswith(".") for name in folders)
            break
        folders.sort()
        if follow_links:  # each folder once, since links can lead in circles
            places = {os.path.realpath(here / name): name for name in reversed(folders)}
            folders[:] = sorted(name for place, name in places.items() if place not in seen)
            seen |= places.keys()
        else:
            yield from (found(here / name) for name in folders if is_link(here / name))
    for error in closed:  # a folder that cannot be read gets a row that says so
        yield Input(str(error.filename), str(error.filename))
