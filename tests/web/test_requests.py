"""Requests that are read one way by one program and another way by the next, or say who sent them."""

import pytest

from tests.web.conftest import clip, raw, running, stub_settings
from unmask.web.guard import MAX_FAILURES

HOST = b"Host: localhost\r\n"
SECOND = b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n\r\n"
TOKEN = "a-token-of-some-length"


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Length: 6\r\nContent-Length: 5\r\n", b"Content-Length: +6\r\n", b"Content-Length: 0x6\r\n",
        b"Content-Length: 6, 5\r\n", b"Transfer-Encoding: chunked, identity\r\n", b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length : 6\r\n", b"Content-Length: 6\r\nHost: other\r\n", b"A\0: b\r\n",
    ],
)  # fmt: skip
def test_a_request_whose_end_is_doubtful_is_the_last_one(service, headers):
    answer = raw(service, b"PUT /api/session HTTP/1.1\r\n" + HOST + headers + b"\r\n0\r\n\r\n" + SECOND, seconds=3)
    assert len(statuses(answer)) == 1
    assert statuses(answer)[0] in (400, 501)


def test_chunks_count_where_a_length_is_named_too(service):
    """As RFC 9112 has it: nothing of the body is taken for a request."""
    start = b"PUT /api/session HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(SECOND), SECOND)
    last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n" + HOST + b"\r\n"
    answer = raw(service, start + body + last, seconds=5)
    assert statuses(answer) == [405, 200]


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "TRACK", "PATCH", "DEBUG"])
def test_other_methods_are_not_known(service, method):
    answer = service.client.request(method, "/api/jobs", headers={"X-Secret": "told"})
    assert answer.status_code == 405
    assert "told" not in answer.text


def test_no_connection_becomes_another_one(service):
    for kind in ("websocket", "h2c"):
        headers = {
            "Connection": "Upgrade",
            "Upgrade": kind,
            "Sec-WebSocket-Key": "x" * 24,
            "Sec-WebSocket-Version": "13",
        }
        assert service.client.get("/healthz", headers=headers).status_code == 200


def test_nobody_says_who_somebody_is(tmp_path):
    """What proxies add is not believed: it changes neither whom limits are counted for, nor name and scheme."""
    with running(stub_settings(tmp_path, token=TOKEN)) as service:

        def forged(number):
            one = f"203.0.113.{number}"
            return {
                "X-Forwarded-For": one, "Forwarded": f"for={one};host=evil.example;proto=https", "X-Real-IP": one,
                "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Authorization": "Bearer wrong",
            }  # fmt: skip

        answers = [service.client.get("/api/jobs", headers=forged(number)) for number in range(MAX_FAILURES + 1)]
        assert [answer.status_code for answer in answers] == [401] * MAX_FAILURES + [429]
        assert not any("strict-transport-security" in answer.headers for answer in answers)
        assert list(service.app.state.guard._failures) == ["127.0.0.1"]
        assert service.client.get("/healthz", headers={"Host": "evil.example"} | forged(1)).status_code == 421


def test_a_value_twice_is_one_value(service):
    """Of what may stand once, the last one counts, for search and page alike; nothing is put together."""
    listed = service.client.get("/api/jobs?search=a&search=no-such-name&per_page=1&per_page=2").json()
    assert (listed["total"], listed["per_page"]) == (0, 2)
    assert service.client.get("/api/jobs?page=1&page=x").status_code == 422


def test_no_field_is_set_that_was_not_asked_for(service):
    job = service.wait(service.upload(clip("fields")).json()["id"])["id"]
    for more in ({"state": "queued"}, {"name": "x"}, {"id": "x"}, {"__proto__": {"label": "fake"}}):
        answer = service.client.put(f"/api/jobs/{job}/review", json={"label": "real", "note": ""} | more)
        assert answer.status_code == 422
    assert service.client.get(f"/api/jobs/{job}").json()["review"]["label"] is None
