"""``unmask scan https://...``, against a server on this machine that the tests alone may reach."""

import json
import threading
import time

import pytest
import trustme
from typer.testing import CliRunner

from tests.server import is_this_machine, serve, trusted_tls
from unmask import Scanner
from unmask.cli import app
from unmask.net import address, download, public
from unmask.scan import inputs

pytestmark = pytest.mark.usefixtures("searched_once")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def serve_tls(authority, tmp_path, monkeypatch):
    """Release files over https from a server that is trusted and may be reached."""
    context = trusted_tls(authority, tmp_path, monkeypatch)
    monkeypatch.setattr(inputs, "is_public", is_this_machine)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    return lambda files: serve(files, context)


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def files(short_clips):
    return {f"{name}.mp4": path.read_bytes() for name, path in short_clips.items()}


def row_of(scanner, url):
    verdict = scanner.scan(url)
    assert verdict.path == url
    return verdict.status, verdict.reasons[0]


def test_an_address_is_judged_as_its_file_is(scanner, serve_tls, files, short_clips, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with serve_tls(files) as server:
        server.redirects["there"] = f"{server.url}/blended.mp4"
        verdict = scanner.scan(f"{server.url}/there").to_dict()
    assert verdict == scanner.scan(short_clips["blended"]).to_dict() | {"path": f"{server.url}/there"}
    assert [path.name for path in tmp_path.iterdir()] == ["authority.pem"]


def test_rows_of_addresses_and_resuming(serve_tls, files, short_clips, tmp_path, monkeypatch):
    out, table = tmp_path / "o.jsonl", tmp_path / "s.csv"
    with serve_tls(files) as server:
        named = [f"{server.url}/{name}" for name in ("blended.mp4?key=1", "missing.mp4")] + [
            str(short_clips["authentic"])
        ]
        named.append("http://example.org/a.mp4")
        args = ["scan", *named, "--json", out, "--csv", table, "--frames", 2, "-q"]
        server.break_after = [1000]
        assert unmask(*args).exit_code == 3
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [row["path"] for row in rows] == named
        assert [row["status"] for row in rows] == ["ok", "unreadable", "ok", "unreadable"]
        assert "the server answers 404" in rows[1]["reasons"][0]
        assert "no https address" in rows[3]["reasons"][0]
        assert [line.split(",")[0] for line in table.read_text().splitlines()[1:]] == [
            "blended.mp4", "missing.mp4", "authentic.mp4", "a.mp4",
        ]  # fmt: skip
        whole, scanned = out.read_bytes(), []
        original = Scanner.scan_video
        monkeypatch.setattr(
            Scanner, "scan_video", lambda self, video, draft: scanned.append(1) or original(self, video, draft)
        )
        assert unmask(*args, "--resume").exit_code == 3
        assert (out.read_bytes(), scanned) == (whole, [])
        server.files["blended.mp4"] = files["authentic.mp4"]
        assert unmask(*args, "--resume").exit_code == 3
        assert (out.read_bytes() != whole, scanned) == (True, [])  # another content, but one that is known
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert rows[0]["path"] == named[0]
        assert rows[0] | {"path": ""} == rows[2] | {"path": ""}


def test_nothing_is_fetched_from_this_machine(scanner, serve_tls, files, monkeypatch):
    monkeypatch.setattr(inputs, "is_public", address.is_public)
    with serve_tls(files) as server:
        status, reason = row_of(scanner, f"{server.url}/blended.mp4")
    assert status == "unreadable"
    assert "private network" in reason
    assert "name the file" in reason
    assert server.connections == 0


def test_a_redirect_into_a_private_network_is_refused(scanner, serve_tls, files, monkeypatch):
    """Two names of one machine stand for a public and a private one."""
    with serve_tls(files) as inner, serve_tls({}) as server:
        monkeypatch.setattr(inputs, "is_public", lambda ip: "private" not in asked)
        server.redirects["a"] = f"https://private.example:{inner.server_port}/blended.mp4"
        asked = look_up(monkeypatch)
        status, reason = row_of(scanner, f"{server.url}/a")
    assert asked == ["localhost", "private"]
    assert (status, inner.connections, server.connections) == ("unreadable", 0, 1)
    assert "private.example lies within" in reason


def look_up(monkeypatch):
    """Let all names lead to this machine; return the list that their first words will be in."""
    asked, honest = [], public.socket.getaddrinfo

    def getaddrinfo(host, port, **options):
        asked.append(host.partition(".")[0])
        return honest("127.0.0.1", port, **options)

    monkeypatch.setattr(public.socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_changes_its_address_gains_nothing(scanner, serve_tls, files, monkeypatch):
    """The first answer is public and the second would be private: a name is asked for once a connection."""
    asked = look_up(monkeypatch)
    seen = []
    monkeypatch.setattr(inputs, "is_public", lambda ip: seen.append(ip) or True)
    with serve_tls(files) as server:
        assert row_of(scanner, f"{server.url}/blended.mp4")[0] == "ok"
    assert (asked, seen, server.connections) == (["localhost"], ["127.0.0.1"], 1)


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1/a", "file:///etc/passwd", "ftp://example.org/a", "https://[::1/a"]
)
def test_redirects_to_anything_else_are_refused(scanner, serve_tls, target):
    with serve_tls({}) as server:
        server.redirects["a"] = target
        status, reason = row_of(scanner, f"{server.url}/a")
    assert status == "unreadable"
    assert "no https address" in reason or "not allowed" in reason or "cannot fetch" in reason


def test_a_certificate_of_nobody_is_refused(scanner, serve_tls, files, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    with serve_tls(files) as server:
        status, reason = row_of(scanner, f"{server.url}/blended.mp4")
    assert status == "unreadable"
    assert "CERTIFICATE_VERIFY_FAILED" in reason


def test_proxies_are_not_asked(scanner, serve_tls, files, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with serve_tls(files) as server:
        assert row_of(scanner, f"{server.url}/blended.mp4")[0] == "ok"


@pytest.mark.parametrize("length", [True, False])
def test_a_large_one_is_refused(serve_tls, files, tmp_path, length):
    out = tmp_path / "o.jsonl"
    with serve_tls(files) as server:
        server.says_length = length
        unmask("scan", f"{server.url}/blended.mp4", "--limits", "download=10000", "--json", out, "-q")
    row = json.loads(out.read_text())
    assert row["status"] == "rejected_limit"
    assert "more than 10000 are not fetched" in row["reasons"][0]


def test_a_slow_server_is_given_up(scanner, serve_tls, files, monkeypatch):
    monkeypatch.setattr(public, "PATIENCE_SECONDS", 1.0)
    with serve_tls(files) as server:
        server.pause_seconds = 30.0
        started = time.monotonic()
        status, reason = row_of(scanner, f"{server.url}/blended.mp4")
        assert time.monotonic() - started < 10
    assert status == "timeout"
    assert "too slow" in reason


def test_leaving_does_not_wait_for_a_server(scanner, serve_tls, files, short_clips):
    with serve_tls(files) as server:
        server.pause_seconds = 30.0
        verdicts = scanner.scan_many([short_clips["authentic"], f"{server.url}/blended.mp4"])
        next(verdicts)
        started = time.monotonic()
        verdicts.close()
        assert time.monotonic() - started < 10
    assert not [thread for thread in threading.enumerate() if thread.name == "unmask-name"]


def test_an_empty_answer_is_no_video(scanner, serve_tls):
    with serve_tls({"a": b""}) as server:
        assert row_of(scanner, f"{server.url}/a") == (
            "unreadable", "nothing lies at this address: the server gives an empty file",
        )  # fmt: skip


def test_a_host_that_cannot_be_is_told_at_once(scanner):
    for url in (f"https://{'x' * 70}.example/a.mp4", "https://a..b/a.mp4"):
        status, reason = row_of(scanner, url)
        assert status == "unreadable"
        assert "cannot fetch" in reason


@pytest.mark.parametrize("url", ["https://", "https://[", "ftp://x/a.mp4", "concat://a|b", "file:///etc/passwd"])
def test_what_is_no_https_address_has_a_row(scanner, url):
    status, reason = row_of(scanner, url)
    assert status == "unreadable"
    assert "no https address" in reason
