"""Decode one file in a process of its own, which confines itself first and ends with its order.

`unmask.media.server` forks such a process and calls `run`. It answers over a socket, see `unmask.media.messages`.
"""

from __future__ import annotations

import errno
import mmap
import os
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Connection
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from unmask.errors import READ_FAULTS, InputError, LimitError, UnreadableError
from unmask.isolation.confine import confine
from unmask.media.description import describe
from unmask.media.frames import OpenFile, decode_stored, open_in_process
from unmask.media.limits import Limits
from unmask.media.messages import SLOT_IS_FREE, SLOTS, Order, Request, index_arrays, index_scalars, send
from unmask.media.readers import find_reader, run_readers
from unmask.media.signature import SignatureLog
from unmask.media.sound import copy_sound

FILES = ("socket", "video", "frames")
"""Descriptors that come with an order, in this order."""
_ALWAYS = {"CORE": 0, "FSIZE": 0, "NOFILE": 16}
"""Resource -> limit that holds for every decoder."""


def run(files: Sequence[int], order: Order) -> NoReturn:
    """Do one order and end this process; what goes wrong is an answer as well.

    Args:
        files: Descriptors, see `FILES`.
        order: What to do.
    """
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what libraries print as they crash
        answers = Connection(files[0])
        limits = {"AS": order.limits.memory_bytes, "CPU": order.cpu_seconds, **_ALWAYS}
        guards = confine(limits, threads=order.task == "ask")
        with suppress(EOFError, ConnectionError):  # the other side needs no more
            answer(answers, files, order, guards)
        code = 0
    finally:
        os._exit(code)


def answer(answers: Connection, files: Sequence[int], order: Order, guards: list[str]) -> None:
    """Do one order; an error in doing it is an answer as well.

    Args:
        answers: Where answers go to and requests come from.
        files: Descriptors, see `FILES`.
        order: What to do.
        guards: What confines this process.

    Raises:
        EOFError, ConnectionError: The other side is gone, which is how reading frames ends.
    """
    try:
        if order.task == "guards":
            send(answers, guards=guards)
        elif order.task == "sound":
            _send_sound(answers, files, order.limits)
        elif order.task == "describe":
            _send_description(answers, files, order.limits)
        elif order.task == "ask":
            _send_answer(answers, files, order)
        else:
            _send_frames(answers, files, order)
    except InputError as error:
        send(answers, status=error.status, message=str(error))
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours, which the other side raises
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
            message = f"decoding needs more than {order.limits.memory_bytes >> 20} MB of memory"
            send(answers, status=LimitError.status, message=message)
        elif isinstance(error, OSError) and error.errno in READ_FAULTS:
            send(answers, status=UnreadableError.status, message=f"the disk does not give the file: {error.strerror}")
        else:
            send(answers, fault=traceback.format_exc(limit=-4))


def _send_sound(answers: Connection, files: Sequence[int], limits: Limits) -> None:
    with os.fdopen(files[1], "rb") as video:
        sound = copy_sound(video, limits)
    send(answers, suffix=sound.suffix if sound else None)
    if sound is not None:
        answers.send_bytes(sound.content)


def _send_description(answers: Connection, files: Sequence[int], limits: Limits) -> None:
    with os.fdopen(files[1], "rb") as video:
        description = describe(video, limits)
    send(answers, description=description)


def _send_answer(answers: Connection, files: Sequence[int], order: Order) -> None:
    question = answers.recv_bytes()
    with os.fdopen(files[1], "rb") as file:
        answer = find_reader(order.readers[0])(file, question)
    send(answers, answer=answer)


def _send_frames(answers: Connection, files: Sequence[int], order: Order) -> None:
    memory = mmap.mmap(files[2], 0)
    with os.fdopen(files[1], "rb") as video:
        opened = open_in_process(video, order.sha256, order.limits, order.colours, order.film)
        facts, orientation = asdict(opened.facts), asdict(opened.orientation)
        scalars, notes = index_scalars(opened.index), run_readers(order.readers, opened)
        send(answers, facts=facts, orientation=orientation, frame_index=scalars, notes=notes)
        for values in index_arrays(opened.index):
            answers.send_bytes(values.tobytes())
        slots = np.frombuffer(memory, np.uint8).reshape(SLOTS, -1)
        while True:
            if (message := answers.recv_bytes()) != SLOT_IS_FREE:
                _send_images(answers, opened, Request.from_bytes(message), slots)


def _send_images(answers: Connection, opened: OpenFile, request: Request, slots: NDArray[np.uint8]) -> None:
    """Put one image after the other into the shared memory, at most `SLOTS` ahead of who takes them."""
    waiting, log = 0, SignatureLog() if request.signed else None
    for number, frame in enumerate(decode_stored(opened, request.indices, log)):
        if waiting == SLOTS:
            answers.recv_bytes()
            waiting -= 1
        height, width = frame.image_HW3.shape[:2]
        np.copyto(slots[number % SLOTS, : frame.image_HW3.size].reshape(frame.image_HW3.shape), frame.image_HW3)
        send(answers, index=frame.index, height=height, width=width, quantiser=frame.quantiser)
        waiting += 1
    send(answers, done=True)
    if log is not None:
        for values in log.arrays():
            answers.send_bytes(values.tobytes())
