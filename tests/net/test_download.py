import errno
import io
import json
import re
import socket
import socketserver
import threading
from urllib.error import HTTPError

import pytest

from tests.server import serve
from unmask import __version__
from unmask.errors import DownloadError, UsageError
from unmask.net import download as module

CONTENT = bytes(range(256)) * 5000


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)


def nothing(*_):
    pass


def download(url, path, on_progress, max_bytes=2_000_000):
    module.download(url, path, on_progress, max_bytes)


def test_a_file_is_fetched_and_progress_is_shown(tmp_path):
    calls = []
    with serve({"a.pth": CONTENT}) as server:
        download(f"{server.url}/a.pth", tmp_path / "new" / "a.pth", lambda *progress: calls.append(progress))
    assert (tmp_path / "new" / "a.pth").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.pth"]
    assert calls[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_connection_is_gone_on_with(tmp_path):
    with serve({"a": CONTENT}) as server:
        server.break_after = [500_000, 300_000]
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("a", None), ("a", "bytes=500000-"), ("a", "bytes=800000-")]


def test_a_later_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with serve({"a": CONTENT}) as server:
        server.break_after = [500_000]
        with pytest.raises(DownloadError, match="broke after 500000 of 1280000 bytes; run it again"):
            download(f"{server.url}/a", tmp_path / "a", nothing)
        assert not (tmp_path / "a").exists()
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked[-1] == ("a", "bytes=500000-")


def test_a_file_that_was_replaced_meanwhile_comes_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    with serve({"a": CONTENT}) as server:
        server.break_after = [500_000]
        with pytest.raises(DownloadError):
            download(f"{server.url}/a", tmp_path / "a", nothing)
        server.files["a"] = CONTENT[::-1]
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert (tmp_path / "a").read_bytes() == CONTENT[::-1]


def test_parts_without_an_etag_are_begun_anew(tmp_path):
    (tmp_path / "a.part").write_bytes(b"something else")
    with serve({"a": CONTENT}) as server:
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert server.asked == [("a", None)]


@pytest.mark.parametrize(
    "url",
    ["http://example.org/a", "ftp://example.org/a", "file:///etc/passwd", "https://", "http://127.0.0.1.nip.io/a"],
)
def test_only_https_is_fetched(url, tmp_path):
    with pytest.raises(UsageError, match="no https address"):
        download(url, tmp_path / "a", nothing)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("target", ["http://example.org/a", "file:///etc/passwd", "ftp://example.org/a"])
def test_redirects_lead_to_https_only(target, tmp_path):
    with serve({"a": CONTENT}) as server:
        server.redirects["a"] = target
        with pytest.raises(
            DownloadError, match=r"leads to another address, but .* is no https address|answers 302 .*not allowed"
        ):
            download(f"{server.url}/a", tmp_path / "a", nothing)
    assert not (tmp_path / "a").exists()


def test_https_never_leads_back_to_this_machine():
    redirects = module.HttpsRedirects(loopback=False)
    request = module.Request("https://example.org/a")
    assert redirects.redirect_request(request, io.BytesIO(), 302, "", {}, "https://cdn.example.org/a") is not None
    with pytest.raises(DownloadError, match="no https address"):
        redirects.redirect_request(request, io.BytesIO(), 302, "", {}, "http://127.0.0.1/a")


def test_redirects_are_followed(tmp_path):
    with serve({"b": CONTENT}) as server:
        server.redirects["a"] = f"{server.url}/b"
        server.break_after = [500_000]
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_proxy_is_asked_for_the_internet_and_never_for_this_machine(tmp_path, monkeypatch):
    """What the environment names as proxy; it sees the host of an https address, and here it refuses."""
    asked = []

    class Refuses(socketserver.StreamRequestHandler):
        def handle(self):
            asked.append(self.rfile.readline())
            self.wfile.write(b"HTTP/1.0 403 No\r\n\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Refuses) as proxy, serve({"a": CONTENT}) as server:
        proxy.timeout = 10
        asking = threading.Thread(target=proxy.handle_request, daemon=True)
        asking.start()
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.server_address[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        download(f"{server.url}/a", tmp_path / "a", nothing)
        with pytest.raises(DownloadError, match=r"cannot fetch https://host\.invalid/b: .*403"):
            download("https://host.invalid/b", tmp_path / "b", nothing)
        asking.join(20)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [line.rpartition(b" ")[0] for line in asked] == [b"CONNECT host.invalid:443"]


def test_a_missing_file_is_reported(tmp_path):
    with serve({}) as server, pytest.raises(DownloadError, match="the server answers 404"):
        download(f"{server.url}/a", tmp_path / "a", nothing)


def test_no_network_is_reported(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refused at once
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/a"
        with pytest.raises(DownloadError, match=f"cannot fetch {re.escape(url)}: .*refused"):
            download(url, tmp_path / "a", nothing)


def test_files_that_are_too_large_are_refused(tmp_path):
    with serve({"a": CONTENT}) as server, pytest.raises(DownloadError, match="more than 1000000 are not fetched"):
        download(f"{server.url}/a", tmp_path / "a", nothing, 1_000_000)
    assert list(tmp_path.iterdir()) == []


def test_the_disk_is_looked_at_first(tmp_path, monkeypatch):
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 3 * len(CONTENT) - 1}))
    with (
        serve({"a": CONTENT}) as server,
        pytest.raises(DownloadError, match=r"0.0 GB are needed, .* UNMASK_HOME"),
    ):
        download(f"{server.url}/a", tmp_path / "a", nothing)
    assert not (tmp_path / "a").exists()


class Opener:
    """Answers with what it was given, in turn; an exception is raised."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def open(self, request, timeout):
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Response(io.BytesIO):
    def __init__(self, content, status=200, **headers):
        super().__init__(content)
        self.status, self.url = status, "https://a.example/x"
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def part_of(tmp_path, content=b"", **options):
    file = io.BytesIO(content)
    return module.PartialFile(file, tmp_path, "to test", **options), file


def test_a_part_that_the_server_does_not_know_is_begun_anew(tmp_path):
    refused = HTTPError("https://a.example/x", 416, "No", {}, io.BytesIO(b"body"))
    part, file = part_of(tmp_path, b"old")
    part.etag = '"1"'
    opener = Opener(refused, Response(b"new", ETag='"2"', Content_Length="3"))
    module.fetch("https://a.example/x", opener, part, 99, nothing)
    assert (file.getvalue(), part.etag) == (b"new", '"2"')
    first, second = ({name.lower(): value for name, value in request.header_items()} for request in opener.asked)
    assert (first["range"], first["if-range"], first["accept-encoding"]) == ("bytes=3-", '"1"', "identity")
    assert first["user-agent"] == f"unmask/{__version__}"
    assert "range" not in second
    assert refused.fp.closed


@pytest.mark.parametrize(("code", "there"), [(416, b""), (403, b"old")])
def test_other_refusals_end_it(tmp_path, code, there):
    part, _ = part_of(tmp_path, there)
    opener = Opener(HTTPError("https://a.example/x", code, "No", {}, io.BytesIO()))
    with pytest.raises(module.DownloadError, match=f"the server answers {code} No"):
        module.fetch("https://a.example/x", opener, part, 99, nothing)
    assert len(opener.asked) == 1


@pytest.mark.parametrize("call", ["write", "flush"])
def test_a_full_disk_is_told_and_not_tried_again(tmp_path, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    part, file = part_of(tmp_path)
    setattr(file, call, fail)
    opener = Opener(Response(b"new"))
    with pytest.raises(DownloadError, match=r"cannot keep .*No space left on device; room is needed to test"):
        module.fetch("https://a.example/x", opener, part, 99, nothing)


@pytest.mark.parametrize("etag", [{"ETag": 'W/"weak"'}, {}])
def test_a_broken_line_is_waited_for(tmp_path, monkeypatch, etag):
    pauses = []
    monkeypatch.setattr(module, "PAUSE_SECONDS", 7.0)
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    part, file = part_of(tmp_path)
    opener = Opener(Response(b"ab", Content_Length="4", **etag), Response(b"abcd", Content_Length="4"))
    module.fetch("https://a.example/x", opener, part, 4, nothing)
    assert (file.getvalue(), part.etag, pauses) == (b"abcd", "", [7.0])
    assert not opener.asked[1].has_header("Range"), "without a strong ETag nothing promises the same bytes"


def test_a_part_from_another_place_is_refused(tmp_path):
    part, _ = part_of(tmp_path, b"old")
    opener = Opener(Response(b"new", 206, Content_Range="bytes 2-4/5"))
    with pytest.raises(DownloadError, match="continues at another place"):
        module.fetch("https://a.example/x", opener, part, 99, nothing)


@pytest.mark.parametrize(("kept", "etag"), [('"\\"1\\""', '"1"'), ("[1]", ""), ('"a\\nb"', ""), ("{", ""), (None, "")])
def test_an_etag_is_kept_for_a_later_run(tmp_path, kept, etag):
    if kept is not None:
        (tmp_path / "etag").write_text(kept)
    part, _ = part_of(tmp_path, etag_file=tmp_path / "etag")
    assert part.etag == etag
    part.begin('"2"')
    assert json.loads((tmp_path / "etag").read_text()) == part.etag == '"2"'
