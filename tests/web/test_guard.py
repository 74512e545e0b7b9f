"""Who may ask, and what goes out with every answer."""

import logging
import re
import ssl
import statistics
import time
import warnings

import httpx
import pytest
import trustme

from tests.web.conftest import clip, running, stub_settings
from unmask.errors import UsageError
from unmask.web.guard import MAX_FAILURES, host_of, same_token
from unmask.web.jobs import new_id
from unmask.web.settings import ServeSettings

TOKEN = "a-token-of-some-length"
EXTENSION = "chrome-extension://abcdefgh"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A service with a token, a further name, and a plug-in that may use it."""
    settings = stub_settings(
        tmp_path_factory.mktemp("guarded"), token=TOKEN, hosts=("unmask.test",), origins=(EXTENSION,)
    )
    with running(settings) as service:
        yield service


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "192.168.0.7:8000"])
def test_a_strangers_host_name_is_refused(service, host):
    assert service.client.get("/api/jobs", headers={"Host": host}).status_code == 421
    assert service.client.get("/", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:8000", "[::1]:8000"])
def test_loopbacks_names_are_answered(service, host):
    assert service.client.get("/api/jobs", headers={"Host": host}).status_code == 200


def test_host_names_are_read_as_they_are_written():
    assert [host_of(text) for text in ("a:80", "A", "[::1]:80", "[::1]", "a:b")] == ["a", "a", "::1", "::1", "a:b"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "file://"])
def test_another_page_changes_nothing(service, origin):
    headers = {"Origin": origin}
    assert service.upload(clip("csrf"), headers=headers).status_code == 403
    assert service.client.delete(f"/api/jobs/{new_id()}", headers=headers).status_code == 403
    assert service.client.put(f"/api/jobs/{new_id()}/review", json={}, headers=headers).status_code == 403
    answer = service.client.get("/api/jobs", headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_another_page_that_hides_its_origin_changes_nothing(service):
    assert service.upload(clip("csrf"), headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_the_own_page_may(service):
    origin = str(service.client.base_url).rstrip("/")
    answer = service.upload(clip("own"), headers={"Origin": origin, "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code in (200, 202)


def test_a_plug_in_that_was_named_may(guarded):
    headers = {"Origin": EXTENSION, "Authorization": f"Bearer {TOKEN}"}
    asked = guarded.client.options(
        "/videos/jobs", headers={"Origin": EXTENSION, "Access-Control-Request-Method": "POST"}
    )
    assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, EXTENSION)
    answer = guarded.client.post("/videos/jobs", files={"file": ("a.png", clip("plug-in"))}, headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, EXTENSION)


def test_the_further_name_is_answered(guarded):
    assert guarded.client.get("/healthz", headers={"Host": "unmask.test"}).status_code == 200


OPEN = ["/", "/static/app.js", "/healthz"]
CLOSED = ["/api/jobs", "/api/events", "/api/about", "/api/export.csv", "/metrics", "/openapi.json", "/nowhere"]


def test_without_the_token_nothing_is_told(guarded):
    assert [guarded.client.get(path).status_code for path in OPEN] == [200] * len(OPEN)
    for path in [*CLOSED, f"/api/jobs/{new_id()}", f"/api/jobs/{new_id()}/video", f"/videos/jobs/{new_id()}"]:
        answer = guarded.client.get(path)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.upload().status_code == 401
    assert guarded.files() == [] or guarded.upload().status_code == 401


def test_with_the_token_everything_is(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.client.get("/api/jobs", headers=headers).status_code == 200
    assert guarded.client.get("/metrics", headers=headers).status_code == 200


def test_a_browser_gets_a_cookie_that_no_script_reads(guarded):
    with httpx.Client(base_url=guarded.client.base_url) as browser:
        answer = browser.post("/api/session", json={"token": TOKEN})
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        assert browser.get("/api/jobs").status_code == 200
        kept = browser.cookies["unmask_session"]
        assert len(kept) >= 43  # 256 bits
        browser.post("/api/session", json={"token": TOKEN})
        assert browser.cookies["unmask_session"] != kept
        ended = browser.delete("/api/session")
        assert "storage" in ended.headers["clear-site-data"]
        for cookie in (None, kept, "0" * 43):  # the back button, and a cookie that somebody kept
            headers = {} if cookie is None else {"Cookie": f"unmask_session={cookie}"}
            assert httpx.get(f"{guarded.client.base_url}/api/jobs", headers=headers).status_code == 401


def test_sessions_end_by_themselves(guarded, monkeypatch):
    from unmask.web import guard

    monkeypatch.setattr(guard, "SESSION_SECONDS", -1.0)
    with httpx.Client(base_url=guarded.client.base_url) as browser:
        assert browser.post("/api/session", json={"token": TOKEN}).status_code == 204
        assert browser.get("/api/jobs").status_code == 401


def test_a_token_counts_to_the_letter(guarded):
    for other in (TOKEN.upper(), TOKEN[:-1], TOKEN + "x", f" {TOKEN}", TOKEN.replace("-", "_"), ""):
        assert guarded.client.post("/api/session", json={"token": other}).status_code == 401
    guarded.app.state.guard._failures.clear()


def test_the_oldest_session_gives_way(guarded, monkeypatch):
    from unmask.web import guard

    monkeypatch.setattr(guard, "MAX_SESSIONS", 2)
    cookies = []
    for _ in range(3):
        answer = httpx.post(f"{guarded.client.base_url}/api/session", json={"token": TOKEN})
        cookies.append({"Cookie": f"unmask_session={answer.cookies['unmask_session']}"})
    answers = [httpx.get(f"{guarded.client.base_url}/api/jobs", headers=cookie) for cookie in cookies]
    assert [answer.status_code for answer in answers] == [401, 200, 200]


def test_over_https_cookies_and_later_visits_are_held_to_it(tmp_path):
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "certificate.pem")
    settings = stub_settings(tmp_path, token=TOKEN, certificate=tmp_path / "certificate.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(settings) as service:
        url = f"https://localhost:{service.client.base_url.port}"
        answer = httpx.post(f"{url}/api/session", json={"token": TOKEN}, verify=context)
        assert answer.headers["set-cookie"].startswith("__Host-unmask_session=")
        assert "Secure" in answer.headers["set-cookie"]
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        authority.configure_trust(old)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"{url}/healthz", verify=old)


def test_guessing_tokens_is_slowed_down(guarded):
    guarded.app.state.guard._failures.clear()
    wrong = {"Authorization": "Bearer no-such-token-at-all"}
    for _ in range(MAX_FAILURES):
        assert guarded.client.get("/api/jobs", headers=wrong).status_code == 401
    answer = guarded.client.get("/api/jobs", headers=wrong)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) <= 61
    assert guarded.client.post("/api/session", json={"token": TOKEN}).status_code == 429
    guarded.app.state.guard._failures.clear()
    assert guarded.client.post("/api/session", json={"token": "wrong"}).status_code == 401


def test_the_log_tells_who_came_and_who_was_refused(guarded, caplog):
    """On one line each, once a minute and client, without the token."""
    caplog.set_level("INFO", "unmask.web.guard")
    guarded.app.state.guard._told.clear()
    with httpx.Client(base_url=guarded.client.base_url) as browser:
        for _ in range(3):
            browser.get("/", headers={"Host": "evil.example\t\x1b[31m"})
            browser.put("/api/jobs", headers={"Origin": "https://evil.example"})
            browser.get("/api/jobs")
        browser.post("/api/session", json={"token": "not the token of this"})
        browser.post("/api/session", json={"token": TOKEN})
        browser.delete("/api/session")
    guarded.app.state.guard._failures.clear()
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "refused 127.0.0.1: an unknown host name; Host 'evil.example\\t\\x1b[31m', Origin None",
        f"refused 127.0.0.1: another page; Host '127.0.0.1:{guarded.client.base_url.port}', Origin 'https://evil.example'",
        f"refused 127.0.0.1: no token, or a wrong one; Host '127.0.0.1:{guarded.client.base_url.port}', Origin None",
        "a wrong token from 127.0.0.1",
        "a session of 127.0.0.1 begins",
        "a session of 127.0.0.1 ends",
    ]


def test_lines_of_the_log_have_their_time_in_utc():
    from unmask.web.serve import _logging

    settings = _logging()["formatters"]["default"]
    formatter = settings["()"](settings["fmt"], settings["datefmt"], use_colors=False)
    record = logging.makeLogRecord({"msg": "a word", "created": 1_000_000_000.0, "levelname": "WARNING"})
    assert formatter.format(record) == "2001-09-09T01:46:40Z WARNING:  a word"


def test_tokens_are_compared_by_the_library_made_for_it(monkeypatch):
    from unmask.web import guard

    seen = []
    monkeypatch.setattr(guard.hmac, "compare_digest", lambda a, b: seen.append((a, b)) or False)
    assert not same_token("given", "token")
    assert seen == [(b"given", b"token")]


def test_others_reach_it_with_a_token_alone(tmp_path):
    with pytest.raises(UsageError, match="UNMASK_TOKEN"):
        ServeSettings(data=tmp_path, host="0.0.0.0")
    with pytest.raises(UsageError, match="too short"):
        ServeSettings(data=tmp_path, host="0.0.0.0", token="short")
    assert ServeSettings(data=tmp_path, host="0.0.0.0", token=TOKEN).token == TOKEN
    assert ServeSettings(data=tmp_path, host="0.0.0.0", token="x" * 1000).token == "x" * 1000
    assert ServeSettings(data=tmp_path).host == "127.0.0.1"
    assert TOKEN not in repr(ServeSettings(data=tmp_path, token=TOKEN))


def test_ids_cannot_be_guessed():
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", one) for one in ids)  # 128 bits
    assert len({one[:3] for one in ids}) > 900


def test_ids_that_are_none_are_refused(service):
    for job_id in ("1", "..", "%2e%2e%2f", "x" * 22 + "y", "' OR 1=1 --", "a" * 21 + "/"):
        assert service.client.get(f"/api/jobs/{job_id}").status_code in (404, 422)


@pytest.mark.parametrize("name", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "app.py", "index.html/..", ".", ""])
def test_the_page_gives_its_own_files_alone(service, name):
    answer = service.client.get(f"/static/{name}")
    assert answer.status_code == 404
    assert "root:" not in answer.text


def test_every_answer_has_the_headers(service):
    job = service.wait(service.upload(clip("headers")).json()["id"])["id"]
    paths = ["/", "/static/app.js", "/healthz", "/metrics", "/api/jobs", f"/api/jobs/{job}", f"/api/jobs/{job}/verdict"]
    paths += [f"/api/jobs/{job}/report", f"/api/jobs/{job}/video", "/api/export.csv", "/nowhere", "/api/jobs/none"]
    for path in paths:
        headers = service.client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors" in headers["content-security-policy"]
        assert "base-uri 'none'" in headers["content-security-policy"]
        assert "cache-control" in headers
        assert "server" not in headers or headers["server"] == "uvicorn"  # the command line leaves it out
    assert "unsafe" not in service.client.get("/").headers["content-security-policy"]


def test_files_are_saved_not_run(service):
    page = clip("<script>alert(1)</script>")
    job = service.wait(service.upload(page, '"><script>alert(2).html').json()["id"])
    url = f"/api/jobs/{job['id']}"
    video = service.client.get(f"{url}/video").headers
    assert video["content-type"] == "image/png"
    assert video["content-disposition"].startswith("attachment; filename*=UTF-8''")
    assert "%3Cscript%3E" in video["content-disposition"]
    assert "sandbox" in video["content-security-policy"]
    report = service.client.get(f"{url}/report")
    assert "<script" not in report.text
    assert "script-src" not in report.headers["content-security-policy"]
    assert "sandbox allow-same-origin" in report.headers["content-security-policy"]


def test_no_answer_names_a_path_of_the_server(service):
    jobs = [service.wait(service.upload(clip(text)).json()["id"])["id"] for text in ("paths", "fail paths")]
    secret = str(service.settings.data)
    for job in jobs:
        for part in ("", "/verdict", "/report", "/events"):
            assert secret not in service.client.get(f"/api/jobs/{job}{part}").text
    for path in ("/api/jobs", "/metrics", "/openapi.json", "/api/about", "/api/export.csv"):
        assert secret not in service.client.get(path).text
    service.service.files.media_file(service.client.get(f"/api/jobs/{jobs[0]}").json()["sha256"]).unlink()
    answer = service.client.get(f"/api/jobs/{jobs[0]}/video")
    assert (answer.status_code, secret in answer.text) == (404, False)


def test_a_fault_of_ours_tells_nothing(service, monkeypatch, caplog):
    """But to the log."""

    def fail(*_):
        raise RuntimeError(f"secret {service.settings.data}")

    log = logging.getLogger("uvicorn.error")
    monkeypatch.setattr(log, "level", logging.ERROR)
    monkeypatch.setattr(log, "handlers", [caplog.handler])
    monkeypatch.setattr(service.service.store, "get", fail)
    answer = httpx.get(f"{service.client.base_url}/api/jobs/{new_id()}")  # the server closes the connection afterwards
    assert answer.status_code == 500
    assert "secret" not in answer.text
    until = time.monotonic() + 10
    while "secret" not in caplog.text and time.monotonic() < until:
        time.sleep(0.01)
    assert "secret" in caplog.text


def test_an_address_within_is_not_fetched(service):
    for url in ("http://127.0.0.1/x.mp4", "https://127.0.0.1:1/x.mp4", "file:///etc/passwd", "https://user:pw@host/x"):
        answer = service.client.post("/api/jobs", json={"url": url})
        if answer.status_code == 202:
            job = service.wait(answer.json()["id"])
            assert (job["state"], job["status"], job["has_result"]) == ("failed", "unreadable", False)
            assert "private network" in job["reason"]
        else:
            assert answer.status_code == 422


def test_a_lasting_answer_does_not_hold_others_up(service):
    """While five clients listen, others are answered."""
    with service.client.stream("GET", "/api/events"), service.client.stream("GET", "/api/events"):
        times = []
        for _ in range(20):
            started = time.perf_counter()
            assert service.client.get("/healthz").status_code == 200
            times.append(time.perf_counter() - started)
    assert statistics.median(times) < 5  # the benchmark measures it
