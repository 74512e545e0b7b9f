"""What the isolated process may not do."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from unmask.errors import ModelError
from unmask.isolation import process
from unmask.isolation.process import memory_bounded, run_isolated

MODULE = """
import {imports}
def main(job):
    {body}
"""

TRIES = {
    "connect": ("socket", "socket.create_connection(('127.0.0.1', int(job)), timeout=5)"),
    "look up a name": ("socket", "socket.getaddrinfo('localhost', 80)"),
    "listen": ("socket", "socket.socket().bind(('127.0.0.1', 0))"),
    "start a process": ("subprocess", "subprocess.run(['true'])"),
    "use a shell": ("os", "os.system('true')"),
    "fork": ("os", "os.fork()"),
    "become another program": ("os", "os.execv('/bin/true', ['true'])"),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a body of ``main`` in the isolated process."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))

    def run(body, job=b"", imports="os", timeout_seconds=60):
        (tmp_path / "hostile_module.py").write_text(MODULE.format(imports=imports, body=body))
        return run_isolated("hostile_module", job, tmp_path, timeout_seconds)

    return run


def test_the_answer_comes_back_and_what_is_printed_does_not(run, tmp_path):
    assert run("print('talk'); return job[::-1] + os.getcwd().encode()", b"abc") == b"cba" + str(tmp_path).encode()


def test_an_answer_has_a_length(run):
    assert len(run("return bytes(1 << 20)")) == 1 << 20
    with pytest.raises(ModelError, match="gave 1048577 bytes"):
        run("return bytes((1 << 20) + 1)")


@pytest.mark.parametrize("what", TRIES)
def test_hostile_code_may_not(what, run):
    imports, body = TRIES[what]
    with pytest.raises(ModelError, match=r"ended with 1 \(PermissionError: .* is not allowed here"):
        run(f"{body}; return b''", b"80", imports)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lets a process leave the network")
def test_there_is_no_network_even_below_python(run):
    own = {line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]}
    seen = run("return open('/proc/self/net/dev', 'rb').read()").decode().splitlines()[2:]
    names = {line.split(":")[0].strip() for line in seen}
    if names == own:
        pytest.skip("this system does not permit it")
    assert names == {"lo"}


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_memory_and_time_are_bounded(run):
    with pytest.raises(ModelError, match=r"MemoryError.*asks for more than is allowed"):
        run("return bytes(64 << 30)")
    with pytest.raises(ModelError, match="longer than 1 seconds"):
        run("import time; time.sleep(60); return b''", timeout_seconds=1)


def test_a_crash_is_reported(run):
    with pytest.raises(ModelError, match=r"was killed by signal 9|ended with"):
        run("os.kill(os.getpid(), 9)")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_memory_is_bounded_for_a_while():
    import resource

    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(ZeroDivisionError), memory_bounded(1 << 45):  # noqa: PT012
        assert resource.getrlimit(resource.RLIMIT_DATA) == (1 << 45, before[1])
        with memory_bounded(1 << 46):
            assert resource.getrlimit(resource.RLIMIT_DATA)[0] == 1 << 45, "a bound is not raised"
        raise ZeroDivisionError
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_where_there_are_no_limits_none_are_set(monkeypatch):
    monkeypatch.setattr(process, "resource_module", lambda: None)
    with memory_bounded(1):
        assert len(bytes(1 << 20)) == 1 << 20


def test_only_named_folders_are_searched_for_modules(monkeypatch, tmp_path):
    """An empty entry would be the folder in which a hostile file may lie."""
    asked = []

    def run(command, **options):
        asked.append(options["env"]["PYTHONPATH"])
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(process.subprocess, "run", run)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    run_isolated("m", b"", tmp_path, 1)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "a", str(tmp_path)]))
    run_isolated("m", b"", tmp_path, 1)
    assert asked == ["", os.pathsep.join([str(Path("a").absolute()), str(tmp_path)])]


def test_what_a_process_said_last_is_shown(run):
    with pytest.raises(ModelError, match=r"ended with 3 \(last\)"):
        run("import sys; print('first' * 100 + '\\n\\nlast\\n', file=sys.stderr); sys.stderr.flush(); os._exit(3)")
    with pytest.raises(ModelError, match=r"ended with 4 \(no message\)"):
        run("os._exit(4)")


@pytest.mark.skipif(sys.platform != "linux", reason="the guards of Linux")
def test_it_is_confined_before_the_module_is_imported(run):
    """What the audit hook refuses is the outer wall only."""
    body = "return open('/proc/self/status', 'rb').read() + open('/proc/self/limits', 'rb').read()"
    said = run(body).decode()
    status = dict(line.split(":\t") for line in said.splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    if os.getuid() == 0:
        assert int(status["CapEff"], 16) & ~0b11111 == 0, "nothing but what root may do with files"
    limits = {line[:26].strip(): line[26:].split()[:2] for line in said.splitlines() if line.startswith("Max ")}
    own = {line[:26].strip(): line[26:].split()[1] for line in Path("/proc/self/limits").read_text().splitlines()}
    wanted = {"cpu time": 3600, "file size": 8 << 30, "data size": 16 << 30, "core file size": 0}
    for name, most in wanted.items():
        hard = own[f"Max {name}"]
        value = str(most if hard == "unlimited" else min(most, int(hard)))
        assert limits[f"Max {name}"] == [value, value], name


@pytest.mark.parametrize(
    ("event", "is_refused"),
    [
        ("socket.connect", True), ("socket.bind", True), ("socket.getaddrinfo", True), ("subprocess.Popen", True),
        ("os.exec", True), ("os.fork", True), ("os.forkpty", True), ("os.posix_spawn", True), ("os.spawn", True),
        ("os.system", True), ("os.startfile", True), ("open", False), ("import", False), ("os.remove", False),
        ("os.listdir", False), ("socketserver.x", False),
    ],
)  # fmt: skip
def test_connections_and_processes_are_refused_by_name(event, is_refused):
    with pytest.raises(PermissionError, match=f"{event} is not allowed here") if is_refused else nullcontext():
        process._refuse(event, ())


def test_what_it_said_is_shown_whatever_its_encoding(run):
    with pytest.raises(ModelError, match="ended with 3 \\(caf\ufffd\\)"):
        run("os.write(2, b'caf\\xe9'); os._exit(3)")
