"""Clients that are slow on purpose, or send what nobody wants: none of them is waited for without end."""

import socket
import time
from contextlib import suppress

import pytest

from tests.web.conftest import clip, form, head, raw, running, stub_settings
from unmask.web import connection, upload
from unmask.web.guard import MAX_BODY_BYTES

pytestmark = pytest.mark.slow

TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A service with a token, as others reach it, that waits half a second for a client."""
    settings = stub_settings(tmp_path_factory.mktemp("slow"), token=TOKEN, patience_seconds=0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "HEAD_SECONDS", 0.3)
        patch.setattr(connection, "TAKE_SECONDS", 0.3)
        with running(settings) as service:
            yield service


def trickle(service, start: bytes, piece: bytes, seconds: float = 5.0) -> tuple[bytes, float]:
    """Send a start, then a piece again and again; return what was answered, and how long it was taken."""
    begun, answer = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", service.client.base_url.port), timeout=0.05) as client:
        client.sendall(start)
        while time.monotonic() - begun < seconds:
            try:
                if piece:
                    client.sendall(piece)
                if not (part := client.recv(1 << 16)):
                    break
                answer += part
            except TimeoutError:
                pass
            except OSError:
                break
    return answer, time.monotonic() - begun


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    ("start", "piece"),
    [
        (b"", b""), (b"G", b""), (GET, b"A: b\r\n"), (b"", b"\r\n"), (b"GET /", b"a"), (GET + b"\r\n", b"G"),
        (b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999\r\n\r\n", b"refused without a token"),
    ],
    ids=["nothing", "a letter", "headers", "empty lines", "a path", "a second request", "a body after the answer"],
)  # fmt: skip
def test_a_head_has_an_end(service, start, piece):
    _, seconds = trickle(service, start, piece)
    assert seconds < 4


def test_a_whole_head_has_all_the_time_it_needs(service):
    """What is under way is not cut off, and a connection may be used again."""
    with service.client.stream("GET", "/healthz"):
        time.sleep(0.5)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with service.client.stream("GET", "/api/events", headers=headers):
        time.sleep(0.5)
        assert service.client.get("/healthz").status_code == 200


@pytest.mark.parametrize("line", [b"A: " + b"b" * 1000 + b"\r\n", b"A: " + b"b" * (1 << 20), b"a" * 99])
def test_a_flood_of_headers_is_cut_off(service, line):
    answer = raw(service, GET, then=line * (4000 if len(line) < 2000 else 4))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/api/session", "/nowhere", "/"])
def test_a_body_that_nobody_asked_for_is_not_kept(service, path):
    """Nobody needs a token to send one."""
    start = head(None, path).replace(b"multipart/form-data; boundary=edge", b"application/json")
    answer = raw(service, start, then=b"40000\r\n" + b"x" * 0x40000 + b"\r\n" + b"40000\r\n" + b"x" * 0x40000)
    assert int(answer[9:12] or b"413") in (400, 404, 405, 413, 401)
    if path == "/api/session" and answer:
        assert str(MAX_BODY_BYTES).encode() in answer


def test_a_body_that_trickles_in_is_given_up(service):
    answer, seconds = trickle(
        service, head(900, "/api/session").replace(b"multipart/form-data", b"application/json"), b" "
    )
    assert b" 408 " in answer[:15]
    assert seconds < 4


def test_a_file_that_trickles_in_is_given_up(service, monkeypatch):
    monkeypatch.setattr(upload, "MIN_BYTES_PER_SECOND", 100_000)
    start = (
        head(500_000).replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()) + form(clip())[:200]
    )
    answer, seconds = trickle(service, start, b"x" * 10)
    assert b" 408 " in answer[:15]
    assert b"less than 100000 bytes a second" in answer
    assert seconds < 4
    assert service.files() == []


def test_an_address_that_trickles_in_is_given_up(service):
    start = head(900).replace(b"multipart/form-data; boundary=edge", b"application/json")
    start = start.replace(b"\r\n\r\n", f"\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    answer, seconds = trickle(service, start, b" ")
    assert b" 408 " in answer[:15]
    assert seconds < 4


def test_a_client_that_takes_nothing_is_left(service):
    """It asks for the page's script again and again, and does not read."""
    ask = b"GET /static/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(0.2)
        client.connect(("127.0.0.1", service.client.base_url.port))
        own = client.getsockname()[1]
        with suppress(OSError):  # no more fits, or it was left already
            client.sendall(ask * 20_000)
        until = time.monotonic() + 10
        while any(one.client[1] == own for one in list(service.server.server_state.connections)):
            assert time.monotonic() < until, "it is waited for"
            time.sleep(0.02)
    assert service.client.get("/healthz").status_code == 200
