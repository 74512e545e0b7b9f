"""What a file may cost, and what its decoder may do."""

import hashlib
import os
import signal
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import CrashedError, LimitError, TimedOutError, UnreadableError
from unmask.isolation.confine import GUARDS
from unmask.media import (
    Limits,
    SignatureLog,
    guards_in_force,
    open_video,
    probe,
    read_description,
    read_frames,
    read_sound,
    sample_frames,
)
from unmask.media.decoder import Decoder
from unmask.media.server import CAN_ISOLATE, SERVER
from unmask.media.signature import MAX_SIGNATURES, SIGNATURE_BYTES

pytestmark = pytest.mark.skipif(not CAN_ISOLATE, reason="this platform cannot fork")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the guards of Linux")


def decoders_of(server: int) -> list[int]:
    children = f"/proc/{server}/task/{server}/children"
    with open(children) as file:
        return [int(pid) for pid in file.read().split()]


def all_end(server: int) -> bool:
    """Wait for the end of the server's decoders; they are told to end, and the cores may be busy."""
    until = time.monotonic() + 10
    while decoders_of(server) and time.monotonic() < until:
        time.sleep(0.01)
    return not decoders_of(server)


@pytest.fixture
def server() -> int:
    guards_in_force()
    return SERVER.pid


def test_a_reading_can_be_left_and_begun_anew(clips, server):
    with open_video(clips["blended"]) as video:
        first = next(iter(read_frames(video, np.arange(40))))
        again = list(read_frames(video, np.arange(10)))
        assert (first.image_HW3 == again[0].image_HW3).all()
        assert len(again) == 10
        assert not list(read_frames(video, np.array([], np.int64)))
    assert all_end(server)


def test_no_decoder_stays_behind(clips, server):
    with pytest.raises(ZeroDivisionError), open_video(clips["blended"]) as video:  # noqa: PT012
        next(iter(read_frames(video, np.arange(40))))
        assert decoders_of(server)
        raise ZeroDivisionError
    assert all_end(server)


@linux
@pytest.mark.parametrize(("how", "error"), [("SIGSEGV", CrashedError), ("SIGXCPU", TimedOutError)])
def test_a_death_costs_one_file(clips, server, how, error):
    with pytest.raises(error, match=r"SIGSEGV|CPU time"), open_video(clips["blended"]) as video:  # noqa: PT012
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
    assert all_end(server)


def test_the_time_of_others_does_not_count(clips, monkeypatch):
    passed = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr("unmask.media.line.time", clock)
    with open_video(clips["blended"], Limits(seconds=20)) as video:
        for _ in read_frames(video, np.arange(40)):  # a wait counts as a second at most
            passed[0] += 30
    assert passed[0] == 40 * 30


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
    in_force = guards_in_force()
    assert set(in_force) >= set(GUARDS) - {"empty network", "no files"}  # which need a privilege, and Linux 5.13
    assert guards_in_force() == in_force


class Answers:
    """The answers of a decoder that a file has taken over."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = list(messages)

    def receive(self, *_) -> bytes:
        return self.messages.pop(0)

    def send(self, *_) -> None:
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
        real, decoder._line = decoder._line, Answers(message)
        try:
            with pytest.raises(CrashedError, match="makes no sense"):
                list(read_frames(video, np.arange(40)))
        finally:
            decoder._line = real


def test_no_more_frames_are_taken_than_were_asked_for(clips):
    with open_video(clips["blended"]) as video:
        decoder = video.decode.__self__
        said = [b'{"index": %d, "height": 4, "width": 4}' % i for i in range(40)]
        real, decoder._line = decoder._line, Answers(*said)
        try:
            with pytest.raises(CrashedError, match="makes no sense"):
                list(read_frames(video, np.array([0, 20, 39])))
            assert len(decoder._line.messages) == 36
        finally:
            decoder._line = real


@pytest.mark.parametrize("message", [b"[]", b'{"suffix": "exe"}', b'{"suffix": ["m4a"]}', b'{"suffix": "../m4a"}'])
def test_no_sound_is_believed(tmp_path, monkeypatch, message):
    with_sound = write_video(tmp_path / "v.mp4", map(pattern, range(10)), tone=True)
    original = Decoder._fork

    def fork(self, task):
        original(self, task)
        self._line.close()
        self._line = Answers(message, b"data")

    monkeypatch.setattr(Decoder, "_fork", fork)
    with pytest.raises(CrashedError, match="makes no sense"):
        read_sound(with_sound)


@pytest.mark.parametrize(
    ("indices", "signatures"),
    [
        (np.array([3, 2]), bytes(2 * SIGNATURE_BYTES)),
        (np.array([-1, 2]), bytes(2 * SIGNATURE_BYTES)),
        (np.array([1, 40]), bytes(2 * SIGNATURE_BYTES)),
        (np.array([1, 2]), bytes(SIGNATURE_BYTES)),
        (np.array([1]), bytes(SIGNATURE_BYTES - 1)),
        (np.arange(MAX_SIGNATURES + 1), bytes((MAX_SIGNATURES + 1) * SIGNATURE_BYTES)),
    ],
)
def test_no_signature_is_believed(clips, indices, signatures):
    with open_video(clips["blended"]) as video:
        decoder = video.decode.__self__
        real = decoder._line
        decoder._line = Answers(b'{"done": true}', indices.astype(np.int64).tobytes(), signatures)
        try:
            with pytest.raises(CrashedError, match="makes no sense"):
                list(read_frames(video, np.arange(40), SignatureLog()))
        finally:
            decoder._line = real


@pytest.mark.parametrize("isolate", [True, False])
def test_signatures_come_along_when_they_are_wanted(clips, isolate):
    with open_video(clips["blended"], Limits(isolate=isolate)) as video:
        log = SignatureLog()
        list(read_frames(video, np.array([0, 20, 39]), log))
        list(read_frames(video, np.array([10]), log))
    assert {0, 10, 20, 39} <= set(log.arrays()[0].tolist()) <= set(range(40))


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (
            b'{"fault": "Traceback\\n  File x\\nZeroDivisionError: by zero\\n"}',
            RuntimeError,
            "failed: ZeroDivisionError",
        ),
        (b'{"fault": "  "}', RuntimeError, "failed: no reason given"),
        (b'{"status": "unreadable", "message": "torn"}', UnreadableError, "^torn$"),
        (b'{"status": "rejected_limit", "message": "' + b"x" * 2000 + b'"}', LimitError, "^x{1000}$"),
        (b'{"status": "no such status"}', CrashedError, "makes no sense"),
        (b'{"description": ["a list"]}', CrashedError, "makes no sense"),
    ],
)
def test_what_went_wrong_in_it_is_raised_here(clips, monkeypatch, message, error, said):
    original = Decoder._fork

    def fork(self, task):
        original(self, task)
        self._line.close()
        self._line = Answers(message)

    monkeypatch.setattr(Decoder, "_fork", fork)
    with pytest.raises(error, match=said):
        read_description(clips["blended"])


def test_where_nothing_can_be_forked_nothing_is_in_force(monkeypatch, clips):
    monkeypatch.setattr("unmask.media.decoder.CAN_ISOLATE", False)
    monkeypatch.setattr("unmask.media.video.CAN_ISOLATE", False)
    assert guards_in_force() == ()
    assert len(list(sample_frames(clips["blended"], 2))) == 2


def test_hash_and_length_of_a_file_are_not_asked_of_its_decoder(clips, monkeypatch):
    """One that was taken over could name the hash of another file."""
    original = Decoder._receive_values

    def lie(self):
        values = original(self)
        if "facts" in values:
            values["facts"] |= {"sha256": "f" * 64, "size_bytes": 1}
        return values

    monkeypatch.setattr(Decoder, "_receive_values", lie)
    facts = probe(clips["blended"])
    assert facts.size_bytes == clips["blended"].stat().st_size
    assert facts.sha256 == hashlib.sha256(clips["blended"].read_bytes()).hexdigest()
