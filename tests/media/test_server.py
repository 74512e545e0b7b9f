import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing.connection import Connection

import numpy as np
import pytest

from unmask.errors import CrashedError
from unmask.media import Limits, SignatureLog, guards_in_force, open_video, prepare_decoding, read_frames, sample_frames
from unmask.media.memory import nameless_memory
from unmask.media.messages import Order, parse
from unmask.media.server import CAN_ISOLATE, SERVER, DecoderServer, Fork, ServerLostError

pytestmark = pytest.mark.skipif(not CAN_ISOLATE, reason="this platform cannot fork")
server_module = importlib.import_module("unmask.media.server")


def kill_server():
    os.kill(SERVER.pid, signal.SIGKILL)


def test_the_server_comes_back(clips):
    guards_in_force()
    server = SERVER.pid
    kill_server()
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    assert len(list(sample_frames(clips["blended"], 4))) == 4
    assert SERVER.pid != server


def test_its_death_costs_no_frame_of_a_reading(clips):
    """The decoder dies with the server; what it was asked for is asked for once more, and comes out the same."""
    with open_video(clips["blended"]) as video:
        log, undisturbed = SignatureLog(), SignatureLog()
        wanted = list(read_frames(video, np.arange(20), undisturbed))
        frames = []
        for frame in read_frames(video, np.arange(20), log):
            frames.append(frame)
            if len(frames) == 7:
                kill_server()
        assert [frame.index for frame in frames] == list(range(20))
        assert all((a.image_HW3 == b.image_HW3).all() for a, b in zip(frames, wanted, strict=True))
        assert [values.tolist() for values in log.arrays()] == [values.tolist() for values in undisturbed.arrays()]


def test_a_file_is_tried_twice_and_no_more(clips):
    def read():
        for _ in read_frames(video, np.arange(20)):
            kill_server()

    with open_video(clips["blended"]) as video, pytest.raises(CrashedError, match="server of decoders"):
        read()
    assert len(list(sample_frames(clips["blended"], 4))) == 4


def test_others_outlive_what_was_asked_of_a_dead_server(clips):
    """An order to end a decoder of the last server reaches no decoder, and no process, of the next one."""
    guards_in_force()
    with open_video(clips["blended"]) as old:
        stale = old.decode.__self__._process
        kill_server()
        with open_video(clips["authentic"]) as video:
            with pytest.raises(ServerLostError):
                SERVER.end(stale)
            assert len(list(read_frames(video, np.arange(10)))) == 10


def test_the_server_kills_nobody_else():
    guards_in_force()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        assert SERVER.end(Fork(stranger.pid, SERVER._starts)) == 0
        assert stranger.poll() is None
        stranger.communicate(b"\n")
    assert guards_in_force()


def test_it_needs_no_folder_for_temporary_files(monkeypatch):
    """On a read-only root the folder for them may be elsewhere, and the server's environment does not say where."""

    def nowhere(*_, **__):
        raise FileNotFoundError("no usable temporary directory found")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", nowhere)
    monkeypatch.setattr(tempfile, "tempdir", None)
    server_module._load_everything()


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_decoders_start_where_standard_streams_are_closed(clips, closed, tmp_path):
    """Else a received file takes the number of a stream, and is replaced by what a decoder puts there."""
    code = "import sys; from unmask.media import sample_frames; n = len(list(sample_frames(sys.argv[1], 3)))"
    code += "; open(sys.argv[2], 'w').write(str(n))"
    arguments = [
        "sh",
        "-c",
        f'exec "$@" {closed}',
        "sh",
        sys.executable,
        "-c",
        code,
        clips["blended"],
        tmp_path / "out",
    ]
    assert subprocess.run(arguments, timeout=60).returncode == 0
    assert (tmp_path / "out").read_text() == "3"


def test_a_command_says_nothing_to_closed_streams_and_writes_all_else(tmp_path):
    code = "import sys; from unmask.cli import main; sys.argv = ['unmask', 'models', 'list']; main()"
    arguments = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", code]
    assert subprocess.run(arguments, timeout=60).returncode == 0


def test_the_server_can_start_ahead(clips):
    SERVER.stop()
    prepare_decoding(Limits(isolate=False))
    assert SERVER._process.poll() is not None, "nobody needs it"
    prepare_decoding(Limits())
    server = SERVER.pid
    prepare_decoding(Limits())
    assert len(list(sample_frames(clips["blended"], 1))) == 1
    assert SERVER.pid == server


def test_the_server_loads_nothing_that_checks_or_fetches():
    code = (
        "import sys, unmask.media.server as server, unmask.evidence.labels, unmask.evidence.traces\n"
        "server._load_everything()\n"
        "print({'pydantic', 'openvino', 'cv2', 'ssl', 'urllib.request'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_it_tells_its_time_once_it_runs():
    guards_in_force()
    assert SERVER.cpu_seconds() > 0
    assert DecoderServer().cpu_seconds() == 0, "it was never started"


def test_one_that_does_not_end_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr(server_module, "_STOP_SECONDS", 0.05)
    server = DecoderServer()
    server.stop()
    server._start()
    try:
        os.kill(server.pid, signal.SIGSTOP)
    finally:
        server.stop()
    assert server._process.returncode == -signal.SIGKILL


def test_decoders_end_with_their_server(clips):
    server = DecoderServer()
    ours, theirs = socket.socketpair()
    memory, video = nameless_memory(1 << 20), os.open(clips["blended"], os.O_RDONLY)
    try:
        fork = server.fork(Order("decode", "0" * 64, Limits(), 60), [theirs.fileno(), video, memory])
        theirs.close()
        with Connection(ours.detach()) as connection:
            assert "facts" in parse(connection.recv_bytes())
            server.stop()
            with suppress(EOFError, ConnectionError):
                while connection.poll(20):
                    connection.recv_bytes()
        assert server._process.returncode == 0
        with pytest.raises(ProcessLookupError):
            os.kill(fork.pid, 0)
    finally:
        server.stop()
        for descriptor in (memory, video):
            os.close(descriptor)


@pytest.mark.parametrize("takes", [True, False])
def test_a_server_that_ends_without_an_answer_is_lost(takes, monkeypatch):
    server = DecoderServer()
    ours, theirs = socket.socketpair()
    code = f"import socket; socket.socket(fileno={theirs.fileno()}).recv(9999 if {takes} else 1)"

    def start():
        server._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()])
        theirs.close()
        ours.settimeout(30)
        server._control, server._starts = ours, 1

    monkeypatch.setattr(server, "_start", start)
    try:
        with pytest.raises(ServerLostError, match=r"cannot be reached: .*; run: unmask doctor"):
            server.fork(Order("guards", "", Limits(), 60), [0, 1, 2])
        assert server.pid is None
        with pytest.raises(ServerLostError, match="ended"):
            server.end(Fork(1, 1))
    finally:
        server.stop()
