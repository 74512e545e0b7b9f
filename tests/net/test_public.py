"""Downloads from public hosts; whole scans of addresses are in tests/cli/test_addresses.py."""

import io
import ssl

import pytest
import trustme

from tests.server import serve
from unmask.errors import DownloadError
from unmask.net import download
from unmask.net.public import fetch_public

CONTENT = bytes(range(256)) * 500


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Release a file over https from this machine, with a certificate that is trusted."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    with serve({"a": CONTENT}, context) as server:
        yield server


def is_loopback(ip):
    return ip in ("127.0.0.1", "::1")


def test_a_broken_connection_is_continued(server):
    file = io.BytesIO()
    server.break_after = [50_000]
    fetch_public(f"{server.url}/a", file, len(CONTENT), may_reach=is_loopback)
    assert file.getvalue() == CONTENT
    assert server.asked == [("a", None), ("a", "bytes=50000-")]


def test_this_machine_is_not_public(server):
    with pytest.raises(DownloadError, match="localhost lies within this machine or a private network"):
        fetch_public(f"{server.url}/a", io.BytesIO(), len(CONTENT))
    assert server.connections == 0


def test_files_that_are_too_large_are_refused(server):
    with pytest.raises(DownloadError, match="more than 1000 are not fetched") as caught:
        fetch_public(f"{server.url}/a", io.BytesIO(), 1000, may_reach=is_loopback)
    assert caught.value.status == "rejected_limit"


def test_a_download_can_be_given_up(server):
    with pytest.raises(DownloadError, match="was given up"):
        fetch_public(f"{server.url}/a", io.BytesIO(), len(CONTENT), lambda: True, is_loopback)


@pytest.mark.parametrize("url", ["http://127.0.0.1/a", "file:///etc/passwd", "https://"])
def test_only_https_is_fetched(url):
    with pytest.raises(DownloadError, match="no https address"):
        fetch_public(url, io.BytesIO(), 1000)
