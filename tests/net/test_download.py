import io
import re
import socket

import pytest

from tests.server import serve
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
