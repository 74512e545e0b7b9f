"""Uploads that lie, dawdle, break off, or are not what they should be: each gets an answer, and nothing is kept."""

import errno
import threading
import time
from contextlib import ExitStack

import pytest

from tests.web.conftest import clip, form, head, raw, running, stub_settings
from unmask.web import upload
from unmask.web.files import DataFolder


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service that takes a megabyte, and waits half a second for a client."""
    settings = stub_settings(
        tmp_path_factory.mktemp("uploads"),
        max_upload_bytes=1 << 20,
        patience_seconds=0.5,
        client_uploads=2,
        queue_limit=3,
    )
    with running(settings) as service:
        yield service


@pytest.fixture(autouse=True)
def nothing_kept(service):
    """After each test the files are those that were there before it."""
    before = service.files()
    yield
    until = time.monotonic() + 10
    while service.files() != before and time.monotonic() < until:
        time.sleep(0.01)
    assert service.files() == before


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def chunked(content: bytes, size=65536) -> bytes:
    pieces = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_too_long_by_its_own_word(service):
    answer = raw(service, head(3 << 20))
    assert status(answer) == 413
    assert b"at most 1048576 bytes (1 MB)" in answer


def test_too_long_in_chunks(service):
    assert status(raw(service, head(None), then=chunked(form(clip(size=2 << 20))))) == 413


def test_endless_chunks(service):
    started = time.monotonic()
    answer = raw(service, head(None), then=chunked(form(clip(size=20 << 20)))[:-9])
    assert answer == b"" or status(answer) == 413
    assert time.monotonic() - started < 15


def test_shorter_than_it_said(service):
    body = form(clip())
    answer = raw(service, head(len(body) + 1000), then=body)
    assert status(answer) == 408


def test_longer_than_it_said(service):
    body = form(clip("longer"))
    assert status(raw(service, head(len(body) - 30), then=body)) == 400


def test_a_client_that_breaks_off(service):
    import socket

    with socket.create_connection(("127.0.0.1", service.client.base_url.port)) as connection:
        connection.sendall(head(1 << 20) + form(clip(size=500_000))[:300_000])
        until = time.monotonic() + 10
        while not any((service.settings.data / "incoming").iterdir()) and time.monotonic() < until:
            time.sleep(0.01)


def test_a_silent_client(service):
    answer = raw(service, head(5000), then=form(clip())[:200])
    assert status(answer) == 408
    assert b"nothing came for 0.5 seconds" in answer


@pytest.mark.parametrize(
    "content",
    [b"", b"hello" * 1000, b"%PDF-1.7 " * 500, b"<html><script>" * 200, b"PK\3\4" * 500, b"#EXTM3U\nhttp://x/"],
)
def test_what_is_no_media_is_not_kept(service, content):
    answer = service.upload(content)
    assert answer.status_code == 415
    assert "no video and no picture" in answer.json()["detail"]


def test_ten_thousand_parts(service):
    part = b'--edge\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n'
    body = part * 10_000 + b"--edge--\r\n"
    answer = raw(service, head(len(body)), then=body)
    assert status(answer) == 400
    assert b"more than 16 parts" in answer


def test_forms_that_are_none(service):
    post = service.client.post
    assert post("/api/jobs", content=b"x").status_code == 415
    assert post("/api/jobs", content=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 415
    kind = {"Content-Type": "multipart/form-data; boundary=edge"}
    assert post("/api/jobs", content=b"no form at all", headers=kind).status_code == 400
    assert post("/api/jobs", content=form(clip())[:-20], headers=kind).status_code == 400
    assert post("/api/jobs", data={"file": "text"}, files={"x": (None, b"y")}).status_code == 400
    two = [("file", ("a.png", clip("a"))), ("file", ("b.png", clip("b")))]
    assert post("/api/jobs", files=two).status_code == 400
    assert post("/api/jobs", data={"x": "y" * 100_000}, files={"file": ("a.png", clip())}).status_code == 400
    assert post("/api/jobs", content=form(clip(), "n" * 9000), headers=kind).status_code == 400


def test_uploads_of_one_client_at_a_time(service):
    with ExitStack() as stack:
        import socket

        for _ in range(2):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", service.client.base_url.port)))
            connection.sendall(head(5000) + form(clip())[:100])
        until = time.monotonic() + 10
        while sum(service.app.state.uploads.values()) < 2 and time.monotonic() < until:
            time.sleep(0.005)
        answer = service.upload()
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
    until = time.monotonic() + 10
    while service.app.state.uploads and time.monotonic() < until:
        time.sleep(0.005)
    assert service.app.state.uploads == {}


def test_a_full_queue_says_when_to_come_back(service):
    jobs = [service.upload(clip(f"wait=0.6 {i}")).json()["id"] for i in range(3)]
    answer = service.upload(clip("one more"))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    assert "3 jobs are waiting" in answer.json()["detail"]
    for job in jobs:
        service.wait(job)
        service.client.delete(f"/api/jobs/{job}")


def test_a_disk_that_fills_up_while_a_file_comes_in(service, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(upload._Writer, "write", full)
    answer = service.upload()
    assert answer.status_code == 507
    assert "the disk of the service is full" in answer.json()["detail"]


def test_a_disk_without_room(service, monkeypatch):
    monkeypatch.setattr(DataFolder, "free_bytes", lambda self: service.settings.min_free_bytes + 1000)
    assert service.upload(clip(size=5000)).status_code == 507


def test_a_database_without_room(service, monkeypatch):
    import sqlite3

    def full(*args, **options):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(service.service.store, "submit", full)
    answer = service.upload(clip("database"))
    assert answer.status_code == 507
    assert "disk" in answer.json()["detail"]


@pytest.mark.slow
def test_many_at_a_time_lose_nothing(service):
    """Two threads hand in the same file: one job, one scan."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(service.upload(clip("twice")))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    service.wait(answers[0].json()["id"])
    service.client.delete(f"/api/jobs/{answers[0].json()['id']}")
