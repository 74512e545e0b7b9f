"""Addresses that are handed in: fetched from public hosts alone, and judged as files are."""

import pytest
import trustme

from tests.server import is_this_machine, serve, trusted_tls
from tests.web.conftest import clip, running, stub_settings
from unmask.web import fetching


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def serve_tls(authority, tmp_path, monkeypatch):
    """Release files over https from a server that is trusted and may be reached."""
    context = trusted_tls(authority, tmp_path, monkeypatch)
    monkeypatch.setattr(fetching, "is_public", is_this_machine)
    return lambda files: serve(files, context)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(stub_settings(tmp_path_factory.mktemp("addresses"), max_upload_bytes=1 << 20)) as service:
        yield service


def hand_in(service, url):
    answer = service.client.post("/api/jobs", json={"url": url})
    assert answer.status_code in (200, 202), answer.text
    return service.wait(answer.json()["id"])


def test_an_address_is_judged_as_its_file_is(service, serve_tls):
    with serve_tls({"clip.png": clip("address")}) as server:
        server.redirects["there"] = f"{server.url}/clip.png"
        job = hand_in(service, f"{server.url}/there")
    assert (job["state"], job["label"], job["name"], job["url"]) == ("done", "real", "there", f"{server.url}/there")
    assert service.client.get(f"/api/jobs/{job['id']}/video").content == clip("address")
    log = (service.settings.data.parent / "log").read_text()
    assert service.upload(clip("address")).json()["id"] == job["id"]
    with serve_tls({"copy.png": clip("address")}) as server:  # the content is known
        copy = hand_in(service, f"{server.url}/copy.png")
    assert (copy["state"], copy["label"], copy["name"]) == ("done", "real", "copy.png")
    assert (service.settings.data.parent / "log").read_text() == log
    service.client.delete(f"/api/jobs/{job['id']}")
    assert service.client.get(f"/api/jobs/{copy['id']}/report").status_code == 200  # it needs the files still


def test_what_cannot_be_fetched_has_failed_and_leaves_nothing(service, serve_tls):
    before = service.files()
    with serve_tls({"page.html": b"<html>" * 100, "long": clip(size=2 << 20), "empty": b""}) as server:
        told = {name: hand_in(service, f"{server.url}/{name}") for name in ("page.html", "long", "empty", "missing")}
    assert {job["state"] for job in told.values()} == {"failed"}
    assert {name: job["status"] for name, job in told.items()} == {
        "page.html": "unreadable", "long": "rejected_limit", "empty": "unreadable", "missing": "unreadable",
    }  # fmt: skip
    assert "no video and no picture" in told["page.html"]["reason"]
    assert not any(job["has_result"] for job in told.values())
    assert service.client.get(f"/api/jobs/{told['long']['id']}/video").status_code == 404
    assert service.files() == before


def test_one_address_at_a_time(service, serve_tls):
    with serve_tls({"slow.png": clip("slow address")}) as server:
        server.pause_seconds = 0.5
        urls = [service.client.post("/api/jobs", json={"url": f"{server.url}/slow.png"}) for _ in range(2)]
        assert [answer.status_code for answer in urls] == [202, 200]
        assert urls[0].json()["state"] in ("fetching", "queued")
        server.left.set()
        assert service.wait(urls[0].json()["id"])["state"] == "done"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{}", 422), (b"[]", 422), (b"nothing", 422), (b'{"url": 1}', 422), (b'{"url": "x"}', 422),
        (b'{"url": "ftp://a/b"}', 422), (b'{"url": "https://a/b", "more": 1}', 422),
        (b'{"url": "https://a/\\u0000"}', 422), (b'{"url": "' + b"x" * 100_000 + b'"}', 413),
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused(service, content, status):
    answer = service.client.post("/api/jobs", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
