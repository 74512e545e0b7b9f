"""Servers that send without end what is no part of the file."""

import io
import socket
import ssl
import threading
from contextlib import suppress

import pytest
import trustme

from unmask.errors import DownloadError
from unmask.net import download
from unmask.net.bounded import Allowance, BoundedResponse
from unmask.net.public import fetch_public

MAX_BYTES = 100_000
FULL = MAX_BYTES + MAX_BYTES // 64 + (1 << 20)
OK, ENOUGH = b"HTTP/1.1 200 OK\r\n", b"x" * 65_000
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
FLOODS = {
    "redirects' bodies": (b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n", ENOUGH),
    "redirects' bodies with a length": (
        b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 99999999999\r\n\r\n", ENOUGH
    ),
    "redirects' chunks": (
        b"HTTP/1.1 307 Found\r\nLocation: /again\r\nTransfer-Encoding: chunked\r\n\r\n", b"fde8\r\n" + ENOUGH + b"\r\n"
    ),
    "interim responses": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "interim responses with headers": (b"", b"HTTP/1.1 100 Continue\r\nA: " + ENOUGH + b"\r\n\r\n"),
    "headers": (OK, b"A: " + ENOUGH + b"\r\n"),
    "one header": (OK + b"A: ", ENOUGH),
    "trailers": (CHUNKED + b"0\r\n", b"A: " + ENOUGH + b"\r\n"),
    "extensions of chunks": (CHUNKED, b"1;" + ENOUGH + b"\r\nx\r\n"),
    "one extension": (CHUNKED + b"1;", ENOUGH),
    "small chunks": (CHUNKED, b"1\r\nx\r\n" * 1000),
    "a body without a length": (OK + b"\r\n", ENOUGH),
    "an error's body": (b"HTTP/1.1 404 No\r\nContent-Length: 99999999999\r\n\r\n", ENOUGH),
    "a status line": (b"HTTP/1.1 200 ", ENOUGH),
    "parts that break off": (OK + b"Content-Length: 99999\r\n\r\n" + b"x" * 90_000, b""),
}  # fmt: skip


class Flood:
    """Answers each request with a start, then with the same bytes again and again; counts what was sent."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self.start, self.again, self.sent, self._context = b"", b"", 0, context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            try:
                plain.settimeout(10)
                with self._context.wrap_socket(plain, server_side=True) if self._context else plain as connection:
                    connection.recv(65_536)
                    connection.sendall(self.start)
                    self.sent += len(self.start)
                    while self.again and self.sent < 40 * FULL:
                        connection.sendall(self.again)
                        self.sent += len(self.again)
            except OSError:
                plain.close()

    def close(self) -> None:
        with suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    """Return a TLS context, and the file of the authority that stands for it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(path)
    return context, path


@pytest.fixture
def flood(request, certified, monkeypatch):
    context, authority = certified
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0.0)
    flood = Flood(context if request.param == "https" else None)
    yield flood
    flood.close()


@pytest.mark.parametrize("flood", ["https"], indirect=True)
@pytest.mark.parametrize("what", FLOODS)
def test_a_public_server_cannot_send_without_end(flood, what):
    flood.start, flood.again = FLOODS[what]
    with pytest.raises(DownloadError):
        fetch_public(f"https://localhost:{flood.port}/a", io.BytesIO(), MAX_BYTES, may_reach=lambda _: True)
    flood.close()
    assert flood.sent < FULL + (16 << 20)  # what lies in the buffers of both sides, for each of eleven connections


@pytest.mark.parametrize("flood", ["http"], indirect=True)
@pytest.mark.parametrize("what", FLOODS)
def test_nor_can_the_server_of_a_model(flood, what, tmp_path):
    flood.start, flood.again = FLOODS[what]
    with pytest.raises(DownloadError):
        download.download(f"http://127.0.0.1:{flood.port}/a", tmp_path / "a", lambda *_: None, MAX_BYTES)
    flood.close()
    assert flood.sent < FULL + (64 << 20)


def test_what_is_allowed_is_the_file_and_a_little_more():
    allowance = Allowance("https://a", MAX_BYTES)
    allowance.take(MAX_BYTES)
    allowance.take(FULL - MAX_BYTES)
    with pytest.raises(DownloadError, match="more than the 100000 bytes") as caught:
        allowance.take(1)
    assert caught.value.status == "rejected_limit"


def test_who_closes_the_response_closes_the_connection():
    here, there = socket.socketpair()
    with there:
        response = BoundedResponse(here, allowance=Allowance("https://a", MAX_BYTES))
        body = response.fp  # what still holds the stream keeps no connection open
        here.close()
        response.close()
        there.settimeout(5)
        assert there.recv(1) == b""
    assert body.closed
