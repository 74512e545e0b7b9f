"""Fifty uploads on two workers: nothing is lost, nothing is done twice, memory and temporary files stay bounded."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.web.conftest import clip, running, stub_settings
from unmask.web import service as module

UPLOADS = 50


def memory_mb(process: subprocess.Popen, field: str) -> float:
    """Return what a process uses now (VmRSS), or used at most (VmHWM)."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks at memory in /proc")
def test_fifty_uploads_on_two_workers(tmp_path):
    options = json.dumps({"queue_limit": 10, "client_uploads": 8, "stub": {"seconds": 0.02}})
    command = [sys.executable, "-m", "tests.web.run_server", str(tmp_path), options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        load(process, tmp_path)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def load(process, tmp_path):
    told, refused, statuses = {}, [], []
    with httpx.Client(base_url=process.stdout.readline().strip(), timeout=60) as client:

        def post(name, content):
            return client.post("/api/jobs", files={"file": (name, content)})

        def count(state):
            return client.get("/api/jobs", params={"state": state, "per_page": 1}).json()["total"]

        def wait_for(jobs):
            until = time.monotonic() + 60
            while count("done") < jobs and time.monotonic() < until:
                time.sleep(0.02)

        assert post("first.png", clip("first")).status_code == 202
        wait_for(1)
        before, over = memory_mb(process, "VmRSS"), threading.Event()

        def hand_in(number):
            while (answer := post(f"{number}.png", clip(str(number), 1 << 20))).status_code != 202:
                assert answer.status_code == 429
                assert int(answer.headers["retry-after"]) > 0
                refused.append(number)
                time.sleep(0.1)
            told[number] = answer.json()["id"]

        def ask():
            while not over.wait(0.05):
                statuses.append(client.get("/healthz").status_code)

        asking = threading.Thread(target=ask)
        asking.start()
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(hand_in, range(UPLOADS)))
        wait_for(UPLOADS + 1)
        over.set()
        asking.join()
        assert len(set(told.values())) == UPLOADS
        assert (count("done"), count("queued"), count("running")) == (UPLOADS + 1, 0, 0)
        assert list((tmp_path / "data" / "incoming").iterdir()) == []
        assert memory_mb(process, "VmHWM") - before < 60  # eight uploads of a megabyte, and some room
    begun = [line for line in (tmp_path / "log").read_text().splitlines() if line.startswith("begin")]
    assert len(begun) == len(set(begun)) == UPLOADS + 1
    assert refused  # the queue was full, and said so
    assert set(statuses) == {200}


@pytest.mark.slow
def test_scans_that_bring_the_process_down(tmp_path):
    """The one that does has failed after three attempts; the one beside it is done."""
    with running(stub_settings(tmp_path)) as service:
        bad = service.upload(clip("wait=0.1 die")).json()["id"]
        good = [service.upload(clip(f"wait=0.3 {i}")).json()["id"] for i in range(3)]
        assert [service.wait(job)["state"] for job in good] == ["done"] * 3
        job = service.wait(bad)
        assert (job["state"], job["status"], job["has_result"]) == ("failed", "crashed", False)
        assert "3 times" in job["reason"]
        assert service.client.get(f"/api/jobs/{bad}/verdict").status_code == 404
        assert "unmask_scan_process_starts_total 4" in service.client.get("/metrics").text


def test_a_result_that_the_disk_cannot_take_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FULL_DISK_SECONDS", 0.05)
    with running(stub_settings(tmp_path)) as service:
        original, calls = service.service.scans.scan, []

        async def full_at_first(*args):
            calls.append(args)
            if len(calls) < 3:
                raise OSError("No space left on device")
            return await original(*args)

        monkeypatch.setattr(service.service.scans, "scan", full_at_first)
        assert service.wait(service.upload(clip("full")).json()["id"])["state"] == "done"
        assert len(calls) == 3


def test_a_database_that_is_away_for_a_while(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.05)
    with running(stub_settings(tmp_path)) as service:
        service.wait(service.upload(clip("before")).json()["id"])
        original, failures = service.service.store.lease, []

        def away(state):
            if len(failures) < 4:
                failures.append(state)
                raise RuntimeError("away")
            return original(state)

        monkeypatch.setattr(service.service.store, "lease", away)
        assert service.wait(service.upload(clip("after")).json()["id"])["state"] == "done"
        assert len(failures) == 4


def test_old_jobs_are_forgotten(tmp_path):
    with running(stub_settings(tmp_path, keep_days=1)) as service:
        old = service.wait(service.upload(clip("old")).json()["id"])["id"]
        between = time.time()
        new = service.wait(service.upload(clip("new")).json()["id"])["id"]
        service.call(service.service.forget_before(between))
        assert [job["id"] for job in service.client.get("/api/jobs").json()["jobs"]] == [new]
        assert service.client.get(f"/api/jobs/{old}").status_code == 404
        assert len(service.files()) == 2


@pytest.mark.slow
def test_postgresql_serves_as_well(tmp_path, postgres):
    with running(stub_settings(tmp_path, database=postgres)) as service:
        job = service.wait(service.upload(clip("postgres"), "p.png").json()["id"])
        assert (job["state"], job["label"]) == ("done", "real")
        assert service.upload(clip("postgres")).status_code == 200
        assert service.client.get("/api/jobs", params={"search": "P.PNG"}).json()["total"] == 1
        assert service.client.delete(f"/api/jobs/{job['id']}").status_code == 204
        assert service.files() == []
    assert not (tmp_path / "data" / "jobs.sqlite").exists()


def test_it_stops_though_something_does_not(tmp_path, monkeypatch):
    """A task that is not ended by the first request to end keeps the service from nothing."""
    monkeypatch.setattr(module, "STOP_SECONDS", 0.2)
    asked = []

    async def stubborn():
        while len(asked) < 2:  # the second request is the event loop's own
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                asked.append(True)

    async def begin(service):
        service._tasks.append(asyncio.ensure_future(stubborn()))

    with running(stub_settings(tmp_path)) as service:
        service.call(begin(service.service))
    assert asked
    assert not (service.settings.data / "lock").exists()
