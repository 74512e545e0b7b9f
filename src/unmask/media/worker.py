"""The process that decodes for another one, see `unmask.media.guard`.

One server has everything loaded and waits; for each file it forks a child, which confines itself, reads that one file,
and answers over a socket. Frames lie in memory that both share. Nothing that the child says is believed unchecked.
"""

from __future__ import annotations

import errno
import gc
import importlib
import json
import mmap
import os
import pkgutil
import signal
import socket
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from unmask.errors import InputError, LimitError
from unmask.isolation.confine import confine
from unmask.media.container import FrameIndex, Limits
from unmask.media.frames import decode_stored
from unmask.media.probe import OpenFile, open_here
from unmask.media.sound import copy_sound

SLOTS = 2
"""Frames that lie in the shared memory at a time: one is read while the next one is decoded."""
TAKEN = b"."
"""Says that a frame was taken and its slot is free; whatever else is sent are the indices of wanted frames, int64."""
_ALWAYS = {"CORE": 0, "FSIZE": 0, "NOFILE": 16}
"""What every decoder may have of a resource."""
FILES = ("socket", "video", "frames")
"""Descriptors that come with an order, in this order."""


def serve(descriptor: int) -> None:
    """Fork a child for each order that comes over the socket, until the other side is gone."""
    _load_everything()
    gc.freeze()  # else the children's collectors would touch, and so copy, all that is loaded
    control, children = socket.socket(fileno=descriptor), set[int]()
    while True:
        message, files, _, _ = socket.recv_fds(control, 1 << 16, len(FILES))
        if not message:
            break
        order = json.loads(message)
        if "end" in order:
            children.discard(order["end"])
            answer = {"exit_code": _end(order["end"])}
        else:
            pid = os.fork()
            if not pid:
                control.close()
                _child(files, order)
            children.add(pid)
            answer = {"pid": pid}
            for file in files:
                os.close(file)
        control.sendall(json.dumps(answer).encode())
    for pid in children:
        _end(pid)


def _load_everything() -> None:
    """Import what libraries would import when they need it: a confined child can load nothing."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    with tempfile.NamedTemporaryFile() as file:  # and a clip, for all that numpy puts off
        with av.open(file, "w", format="matroska") as film:
            track = film.add_stream("mpeg4", rate=25, options={"threads": "1"})
            track.width = track.height = 16
            for _ in range(3):
                film.mux(track.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
            film.mux(track.encode())
        with Path(file.name).open("rb") as clip:
            opened = open_here(clip, "0" * 64, Limits())
            list(decode_stored(opened, np.arange(len(opened.index))))


def _end(pid: int) -> int:
    """Kill a child that may have ended by itself already; return how it ended: 0, a code, or minus a signal."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _child(files: Sequence[int], order: dict[str, Any]) -> None:
    """Do one order and leave without a trace; never returns."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries say as they die
        answers = Connection(files[0])
        limits = Limits(**order["limits"])
        guards = confine({"AS": limits.memory_bytes, "CPU": order["cpu_seconds"], **_ALWAYS})
        try:
            if order["task"] == "guards":
                say(answers, guards=guards)
            elif order["task"] == "sound":
                _copy_sound(answers, files, limits)
            else:
                _decode(answers, files, order["sha256"], limits)
        except InputError as error:
            say(answers, status=error.status, message=str(error))
        except (EOFError, ConnectionError):
            pass  # the other side has seen enough
        except Exception as error:  # noqa: BLE001 - a fault of ours, which the other side raises
            if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
                message = f"decoding needs more than {limits.memory_bytes >> 20} MB of memory"
                say(answers, status=LimitError.status, message=message)
            else:
                say(answers, fault=traceback.format_exc(limit=-4))
        code = 0
    finally:
        os._exit(code)


def _decode(answers: Connection, files: Sequence[int], sha256: str, limits: Limits) -> None:
    memory = mmap.mmap(files[2], 0)
    with os.fdopen(files[1], "rb") as video:
        opened = open_here(video, sha256, limits)
        say(answers, facts=asdict(opened.facts), orientation=asdict(opened.orientation), **_plain(opened.index))
        for values in arrays(opened.index):
            answers.send_bytes(values.tobytes())
        slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, -1)
        while True:
            if (message := answers.recv_bytes()) != TAKEN:
                _answer_frames(answers, opened, np.frombuffer(message, np.int64), slots)


def _copy_sound(answers: Connection, files: Sequence[int], limits: Limits) -> None:
    with os.fdopen(files[1], "rb") as video:
        sound = copy_sound(video, limits)
    say(answers, suffix=sound.suffix if sound else None)
    if sound is not None:
        answers.send_bytes(sound.content)


def _answer_frames(answers: Connection, opened: OpenFile, wanted: NDArray[np.int64], slots: NDArray[np.uint8]) -> None:
    """Put one frame after the other into the shared memory, at most `SLOTS` ahead of who takes them."""
    waiting = 0
    for number, (position, image_HW3) in enumerate(decode_stored(opened, wanted)):
        if waiting == SLOTS:
            answers.recv_bytes()
            waiting -= 1
        height, width = image_HW3.shape[:2]
        np.copyto(slots[number % SLOTS, : image_HW3.size].reshape(image_HW3.shape), image_HW3)
        say(answers, index=position, height=height, width=width)
        waiting += 1
    say(answers, done=True)


def arrays(index: FrameIndex) -> tuple[NDArray[np.int64], ...]:
    """Return what of an index travels as bytes, int64 each."""
    return index.pts, index.key_packets, index.key_pts


def _plain(index: FrameIndex) -> dict[str, Any]:
    names = ("seconds_per_tick", "stamped", "end_seconds", "packets", "size_bytes")
    return {"frame_index": {name: getattr(index, name) for name in names}}


def index_of(arrays: list[NDArray[np.int64]], scalars: dict[str, Any]) -> FrameIndex:
    """Return the index that was sent as `arrays` and some scalars.

    Raises:
        KeyError, TypeError, ValueError: It makes no sense.
    """
    pts, key_packets, key_pts = arrays
    index = FrameIndex(
        pts=pts,
        key_packets=key_packets,
        key_pts=key_pts,
        seconds_per_tick=float(scalars["seconds_per_tick"]),
        stamped=bool(scalars["stamped"]),
        end_seconds=float(scalars["end_seconds"]),
        packets=int(scalars["packets"]),
        size_bytes=int(scalars["size_bytes"]),
    )
    if not len(index) or (np.diff(index.pts) <= 0).any() or not np.isfinite(index.times_seconds).all():
        raise ValueError("an index of frames that cannot be")
    return index


def say(answers: Connection, **values: Any) -> None:
    """Send a message."""
    answers.send_bytes(json.dumps(values).encode())
