"""The server is killed at random moments: no job is lost, what is done is not done again, no file is left behind."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import clip

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc")

JOBS = 12
MARK = "UNMASK_TEST_MARK"


class Server:
    """A server in a process of its own, started as often as it is killed."""

    def __init__(self, folder: Path):
        self.folder, self.data, self.log = folder, folder / "data", folder / "log"
        self.process, self.client = None, None

    def start(self):
        command = [sys.executable, "-m", "tests.web.run_server", str(self.folder), '{"stub": {"seconds": 0.05}}']
        environment = os.environ | {MARK: str(self.folder)}
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
        address = self.process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        self.client = httpx.Client(base_url=address, timeout=30)

    def end(self, number):
        self.client.close()
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stdout.close()

    def begun(self, text):
        return self.log.read_text().splitlines().count(f"begin {text}") if self.log.exists() else 0

    def done(self):
        """Return name -> when it was finished, of the jobs that are done, as the database has them."""
        with sqlite3.connect(self.data / "jobs.sqlite") as database:
            return dict(database.execute("SELECT name, finished_at FROM jobs WHERE state = 'done'").fetchall())

    def left_running(self):
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.folder}".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                pass
        return [pid for pid in found if pid != os.getpid()]


def hand_in(server, taken):
    """Hand in what was not taken yet, until all is or the server is gone."""
    for number in range(JOBS):
        name = f"{number}.png"
        if name in taken:
            continue
        try:
            answer = server.client.post(
                "/api/jobs", files={"file": (name, clip(str(number), [2000, 400_000][number % 2]))}
            )
        except httpx.TransportError:
            return
        assert answer.status_code in (200, 202)
        taken[name] = answer.json()["id"]


def kill_again_and_again(folder, moments):
    server, taken, rng = Server(folder), {}, random.Random(moments)
    done, begun = {}, {}
    for _ in range(moments):
        server.start()
        killer = subprocess.Popen(["sh", "-c", f"sleep {rng.uniform(0, 2.5):.3f}; kill -9 {server.process.pid}"])
        hand_in(server, taken)
        killer.wait()
        server.end(signal.SIGKILL)
        until = time.monotonic() + 60  # one that is still being loaded ends once it looks for its first order
        while server.left_running() and time.monotonic() < until:
            time.sleep(0.01)
        assert server.left_running() == []
        assert server.done().items() >= done.items()  # what was done stays as it was ...
        assert {name: server.begun(name[:-4]) for name in begun} == begun  # ... and is not begun again
        done = server.done()
        begun = {name: server.begun(name[:-4]) for name in done}
    server.start()
    hand_in(server, taken)
    jobs = server.client.get("/api/jobs").json()
    until = time.monotonic() + 60
    while time.monotonic() < until and any(job["state"] != "done" for job in jobs["jobs"]):
        time.sleep(0.02)
        jobs = server.client.get("/api/jobs").json()
    assert {job["name"]: job["id"] for job in jobs["jobs"]}.items() >= taken.items()  # an answer may have been lost
    assert [job["state"] for job in jobs["jobs"]] == ["done"] * JOBS
    server.end(signal.SIGTERM)
    assert server.left_running() == []
    assert {name: server.done()[name] for name in done} == done
    hashes = {job["sha256"] for job in jobs["jobs"]}
    files = {
        kind: sorted(path.name for path in (server.data / kind).iterdir()) for kind in ("incoming", "media", "results")
    }
    assert files["incoming"] == []
    assert files["media"] == sorted(hashes)
    assert [name[:64] for name in files["results"]] == sorted(hashes)
    assert all(
        sorted(os.listdir(server.data / "results" / name)) == ["report.html", "verdict.json"]
        for name in files["results"]
    )


@pytest.mark.slow
def test_killed_at_three_moments(tmp_path):
    kill_again_and_again(tmp_path, moments=3)


@pytest.mark.kills
def test_killed_at_twenty_moments(tmp_path):
    kill_again_and_again(tmp_path, moments=20)
