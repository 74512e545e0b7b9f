"""What a file may cost, and what its decoder may do."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import CrashedError, LimitError, TimedOutError, UsageError
from unmask.isolation.confine import GUARDS
from unmask.media import (
    Limits,
    guard,
    isolation,
    open_video,
    pick_frames,
    read_frames,
    read_sound,
    sample_frames,
    sound,
)

pytestmark = pytest.mark.skipif(not guard._CAN_ISOLATE, reason="this platform cannot fork")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the guards of Linux")


def decoders_of(server: int) -> list[int]:
    children = f"/proc/{server}/task/{server}/children"
    with open(children) as file:
        return [int(pid) for pid in file.read().split()]


@pytest.fixture
def server() -> int:
    isolation()
    return guard._SERVER._process.pid


def test_the_same_frames_as_without(clips):
    with open_video(clips["blended"]) as video, open_video(clips["blended"], Limits(isolate=False)) as here:
        assert video.facts == here.facts
        wanted = pick_frames(video, 8)
        for a, b in zip(read_frames(video, wanted), read_frames(here, wanted), strict=True):
            assert (a.index, a.time_seconds) == (b.index, b.time_seconds)
            assert (a.image_HW3 == b.image_HW3).all()


def test_frames_stay_when_others_follow(clips):
    frames = list(sample_frames(clips["blended"], 8))
    again = [frame.image_HW3.copy() for frame in sample_frames(clips["blended"], 8)]
    assert all((a.image_HW3 == b).all() for a, b in zip(frames, again, strict=True))


def test_a_reading_can_be_left_and_begun_anew(clips, server):
    with open_video(clips["blended"]) as video:
        first = next(iter(read_frames(video, np.arange(40))))
        again = list(read_frames(video, np.arange(10)))
        assert (first.image_HW3 == again[0].image_HW3).all()
        assert len(again) == 10
        assert not list(read_frames(video, np.array([], np.int64)))
    assert not decoders_of(server)


def test_nobody_stays_behind(clips, server):
    with pytest.raises(ZeroDivisionError), open_video(clips["blended"]) as video:  # noqa: PT012
        next(iter(read_frames(video, np.arange(40))))
        assert decoders_of(server)
        raise ZeroDivisionError
    assert not decoders_of(server)


@linux
@pytest.mark.parametrize(("how", "error"), [("SIGSEGV", CrashedError), ("SIGXCPU", TimedOutError)])
def test_a_death_costs_one_file(clips, server, how, error):
    with pytest.raises(error, match=r"SIGSEGV|processor time"), open_video(clips["blended"]) as video:  # noqa: PT012
        for number, _ in enumerate(read_frames(video, np.arange(40))):
            if number == 2:
                (pid,) = decoders_of(server)
                os.kill(pid, getattr(signal, how))
    assert len(list(sample_frames(clips["blended"], 4))) == 4


@linux
def test_a_hanging_decoder_is_given_up(clips, server):
    started = time.monotonic()
    with pytest.raises(TimedOutError), open_video(clips["blended"], Limits(seconds=0.5)) as video:  # noqa: PT012
        for number, _ in enumerate(read_frames(video, np.arange(40))):
            if number == 2:
                (pid,) = decoders_of(server)
                os.kill(pid, signal.SIGSTOP)
    assert time.monotonic() - started < 5
    assert not decoders_of(server)


def test_the_time_of_others_does_not_count(clips):
    with open_video(clips["blended"], Limits(seconds=0.5)) as video:
        for _ in read_frames(video, np.arange(4)):
            time.sleep(0.3)


def test_the_server_comes_back(clips, server):
    os.kill(server, signal.SIGKILL)
    time.sleep(0.2)
    assert len(list(sample_frames(clips["blended"], 4))) == 4
    assert guard._SERVER._process.pid != server


@linux
def test_memory_has_an_end(clips):
    with pytest.raises((LimitError, CrashedError)), open_video(clips["blended"], Limits(memory_bytes=200 << 20)):
        pass


def test_pixels_have_an_end(clips):
    with (
        pytest.raises(LimitError, match="pixels would have to be decoded"),
        open_video(clips["blended"], Limits(total_pixels=10**6)) as video,
    ):
        list(read_frames(video, np.arange(40)))
    with (
        pytest.raises(LimitError, match="at most 1000 pixels"),
        open_video(clips["blended"], Limits(frame_pixels=1000)),
    ):
        pass


@linux
def test_everything_is_in_force():
    in_force = isolation()
    assert set(in_force) >= set(GUARDS) - {"empty network"}  # which needs a privilege
    assert isolation() == in_force


FORBIDDEN = {
    "reads a file": "open('/etc/hostname')",
    "writes a file": "os.write(os.open('x', os.O_CREAT | os.O_WRONLY), b'x')",
    "writes to an open file": "os.write(spare, b'x' * 100)",
    "makes a socket": "socket.socket()",
    "forks": "os.fork()",
    "runs a program": "os.execv('/bin/true', ['true'])",
    "signals its parent": "os.kill(os.getppid(), 0)",
    "raises its limits": "resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))",
    "opens many": "[os.dup(spare) for _ in range(64)]",
    "takes memory": "bytearray(3 << 30)",
}


@linux
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_confined_process_cannot(what, tmp_path):
    code = f"""
import os, resource, socket, sys
from unmask.isolation.confine import confine
spare = os.open("spare", os.O_CREAT | os.O_WRONLY)
in_force = confine({{"AS": 2 << 30, "CPU": 60, "CORE": 0, "FSIZE": 0, "NOFILE": 16}})
sys.stdout.write(str(len(in_force))); sys.stdout.flush()
try:
    {FORBIDDEN[what]}
except (OSError, ValueError, MemoryError):
    os._exit(0)
os._exit(77)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) in {(0, "5"), (0, "6")}, done.stderr


class Answers:
    """A decoder that somebody else has taken over."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)

    def poll(self, _: float) -> bool:
        return True

    def recv_bytes(self, _: int) -> bytes:
        return self.messages.pop(0)

    def send_bytes(self, _: bytes) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "message",
    [
        b"\xff", b"[]", b"3", b'{"index": 0}', b'{"index": 99, "height": 4, "width": 4}',
        b'{"index": -1, "height": 4, "width": 4}', b'{"index": 1, "height": -4, "width": -4}',
        b'{"index": 1, "height": 100000, "width": 100000}', b'{"index": "1", "height": [], "width": 4}',
        b'{"index": 1, "height": 1e300, "width": 4}',
    ],
)  # fmt: skip
def test_nothing_it_says_is_believed(clips, message):
    with open_video(clips["blended"]) as video:
        decoder = video.decode.__self__
        real, decoder._answers = decoder._answers, Answers(message)
        try:
            with pytest.raises(CrashedError, match=r"makes no sense|cannot be"):
                list(read_frames(video, np.arange(40)))
        finally:
            decoder._answers = real


@pytest.fixture
def with_sound(tmp_path):
    return write_video(tmp_path / "v.mp4", map(pattern, range(10)), tone=True)


def test_sound_is_copied_elsewhere(with_sound, monkeypatch):
    here = read_sound(with_sound, Limits(isolate=False))
    assert here.suffix == "m4a"
    monkeypatch.setattr(sound, "open_container", None)  # the server that decodes has its own
    assert read_sound(with_sound) == here


def test_sound_has_an_end(with_sound, monkeypatch):
    monkeypatch.setattr(sound, "MOST_BYTES", 1000)
    with pytest.raises(LimitError, match="sound has more than"):
        read_sound(with_sound, Limits(isolate=False))


@pytest.mark.parametrize("message", [b"[]", b'{"suffix": "exe"}', b'{"suffix": ["m4a"]}', b'{"suffix": "../m4a"}'])
def test_no_sound_is_believed(with_sound, monkeypatch, message):
    original = guard._Decoder._fork

    def fork(self, task):
        original(self, task)
        self._answers.close()
        self._answers = Answers(message, b"data")

    monkeypatch.setattr(guard._Decoder, "_fork", fork)
    with pytest.raises(CrashedError, match="makes no sense"):
        read_sound(with_sound)


def test_limits_make_sense():
    for wrong in ({"seconds": 0.0}, {"memory_bytes": -1}, {"frame_pixels": 0}):
        with pytest.raises(UsageError, match="above zero"):
            Limits(**wrong)
