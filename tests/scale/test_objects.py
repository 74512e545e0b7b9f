"""Objects of a store: a stand-in on loopback, of whose answers one in twenty is a fault."""

import http.client
import json
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.scale.runs import do, merged
from tests.scale.test_sources import tar_of
from unmask.errors import DownloadError
from unmask.net import objects
from unmask.scale.rows import Answer
from unmask.scale.sources import Sources
from unmask.scan.inputs import open_input

OBJECTS = 80


class Flaky(ThreadingHTTPServer):
    """Hands requests on to the stand-in; some get an error or no answer instead."""

    daemon_threads = True

    def __init__(self, port, share):
        super().__init__(("127.0.0.1", 0), FlakyHandler)
        self.port, self.share, self.rng = port, share, random.Random(1)
        self.requests, self.faults, self.lock = 0, 0, threading.Lock()

    def fault(self):
        with self.lock:
            self.requests += 1
            bad = self.rng.random() < self.share
            self.faults += bad
            return self.faults % 2 + 1 if bad else 0


class FlakyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault()
        if fault == 1:
            self.close_connection = True
            return
        if fault == 2:
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.port)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header(
            "Content-Length", answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
        )
        self.end_headers()
        self.wfile.write(data)
        upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one


@pytest.fixture(scope="module")
def store():
    """A stand-in for S3 and the flaky server in front of it."""
    pytest.importorskip("s3fs", reason="the extra s3 is not installed")
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
    moto = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    flaky = Flaky(port, share=0.0)
    threading.Thread(target=flaky.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{flaky.server_port}", "AWS_EC2_METADATA_DISABLED": "true",
        }.items():  # fmt: skip
            patch.setenv(name, value)
        patch.setattr(objects, "_STORES", {})
        files = objects.open_store("s3://bucket/")
        files.mkdir("s3://bucket")
        for number in range(OBJECTS):
            files.pipe_file(f"s3://bucket/in/{number:03d}.mp4", str(number).encode() * 50)
        files.pipe_file("s3://bucket/in/notes.doc", b"x")
        files.pipe_file("s3://bucket/in/deep/last.mp4", b"x")
        yield flaky
    flaky.shutdown()
    flaky.server_close()
    moto.stop()


class Fetch:
    """Reads an object and says what it holds."""

    settings_hash, width = "fetch", 1

    def __call__(self, row, known):
        with open_input(row.uri, 1 << 20) as file:
            text = file.read().decode()
        return Answer("0" * 64, "ok", json.dumps({"path": row.uri, "text": text}).encode())

    def cpu_seconds(self):
        return 0.0


def test_objects_are_listed_with_lengths_and_etags(store):
    rows = list(Sources(["s3://bucket/in/"]).rows())
    assert [row.name for row in rows] == [f"{number:03d}.mp4" for number in range(OBJECTS)]
    assert [row.size_bytes for row in rows[:11]] == [50] * 10 + [100]
    assert len({row.version for row in rows}) == OBJECTS
    assert rows[5].uri == "s3://bucket/in/005.mp4"
    assert [row.uri for row in Sources(["s3://bucket/in"], recursive=True).rows()][-1] == "s3://bucket/in/deep/last.mp4"
    assert [row.name for row in Sources(["s3://bucket/in/00*.mp4"]).rows()] == [f"00{n}.mp4" for n in range(10)]
    assert list(Sources(["s3://bucket/in/005.mp4"]).rows()) == [rows[5]]
    assert not len(objects.open_store("s3://bucket/").dircache), "a listing of millions is not kept"


@pytest.mark.slow
def test_one_request_in_twenty_fails_and_no_row_is_lost(store, tmp_path):
    rows = list(Sources(["s3://bucket/in/"]).rows())
    store.share, store.requests, store.faults = 0.05, 0, 0
    try:
        do(tmp_path, rows, make=Fetch)
    finally:
        store.share = 0.0
    texts = [json.loads(line)["text"] for line in merged(tmp_path).splitlines()]
    assert texts == [str(number) * 50 for number in range(OBJECTS)]
    assert store.faults >= 2
    assert store.requests <= 1.2 * OBJECTS


def test_what_is_not_there_or_too_long(store):
    with (
        pytest.raises(DownloadError, match="cannot fetch s3://bucket/gone"),
        open_input("s3://bucket/gone.mp4", 99),
    ):
        pass
    with (
        pytest.raises(DownloadError, match="more than the 49 bytes") as caught,
        open_input("s3://bucket/in/001.mp4", 49),
    ):
        pass
    assert caught.value.status == "rejected_limit"


def test_members_of_an_archive_in_a_store(store, tmp_path):
    tar_of(tmp_path / "0.tar", {"1.mp4": b"a" * 700, "1.txt": b"x", "2.mp4": b"b" * 100})
    objects.open_store("s3://bucket/").put_file(str(tmp_path / "0.tar"), "s3://bucket/tars/0.tar")
    rows = list(Sources(["s3://bucket/tars/"]).rows())
    assert [row.name for row in rows] == ["0.tar/1.mp4", "0.tar/2.mp4"]
    with open_input(rows[1].uri, 1 << 20) as file:
        assert file.read() == b"b" * 100


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(objects, "_STORES", {})
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(Exception, match="pip install gcsfs"):
        objects.open_store("gs://bucket/x.mp4")
