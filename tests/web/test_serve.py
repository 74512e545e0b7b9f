"""The command ``unmask serve``: it starts, stops within seconds, and says what is wrong in a sentence."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import httpx
import pytest
from typer.testing import CliRunner

from tests.web.conftest import clip, form, head
from unmask.cli import app


@pytest.fixture
def started(tmp_path):
    """A service with slow scans in a process of its own, and its address."""
    command = [sys.executable, "-m", "tests.web.run_server", str(tmp_path), '{"stub": {"seconds": 30}}']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process, process.stdout.readline().strip(), tmp_path / "data"
    process.kill()
    process.communicate()


@pytest.mark.slow
def test_it_stops_within_ten_seconds_whatever_is_under_way(started, tmp_path):
    process, address, data = started
    with httpx.Client(base_url=address, timeout=60) as client, client.stream("GET", "/api/events") as events:
        lines = events.iter_lines()
        next(lines)
        job = client.post("/api/jobs", files={"file": ("a.png", clip("slow"))}).json()
        while '"running"' not in next(lines):
            pass
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as upload:
            upload.sendall(head(100_000) + form(clip())[:5000])
            asked = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) in (0, -signal.SIGTERM, 143)
            assert time.monotonic() - asked < 10
    assert list((data / "incoming").iterdir()) == []
    assert not list(data.glob("*-wal"))
    with sqlite3.connect(data / "jobs.sqlite") as database:
        assert database.execute("SELECT id, state FROM jobs").fetchall() == [(job["id"], "queued")]


def test_a_second_service_on_the_same_folder_is_refused(started, tmp_path):
    _, _, data = started
    done = CliRunner().invoke(app, ["serve", "--data", str(data), "--port", "0"])
    assert (done.exit_code, "another run is writing" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--host", "0.0.0.0"], "clients need a token"),
        (["--max-upload", "much"], "is no length"),
        (["--database", "mysql://x"], "PostgreSQL address"),
        (["--database", "postgresql:///x?host=/nowhere"], "the database cannot be reached"),
        (["--keep-days", "0"], "cannot be kept for 0.0 days"),
        (["--limits", "x=1"], "makes no sense"),
        (["--host", "256.1.1.1"], "cannot listen on"),
    ],
)
def test_wrong_use_is_code_2_and_a_sentence(tmp_path, args, message, monkeypatch):
    monkeypatch.setenv("UNMASK_TOKEN", "" if args[:2] == ["--host", "0.0.0.0"] else "x" * 20)
    done = CliRunner().invoke(app, ["serve", "--data", str(tmp_path / "data"), "--port", "0", *args])
    assert (done.exit_code, message in done.stderr) == (2, True), done.output


def test_a_port_that_is_taken_and_a_model_that_is_not_there(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(app, ["serve", "--data", str(tmp_path / "data"), "--port", port])
    assert (done.exit_code, "--port" in done.stderr) == (2, True)
    command = [
        sys.executable,
        "-m",
        "unmask",
        "serve",
        "--data",
        str(tmp_path / "data"),
        "--port",
        "0",
        "--model",
        "no-one",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=os.environ | {"UNMASK_HOME": str(tmp_path)}
    )
    assert (done.returncode, "no model" in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
