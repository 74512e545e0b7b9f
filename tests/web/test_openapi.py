"""Every operation keeps to the OpenAPI description, whatever is sent: Schemathesis makes it up."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import booleans

from tests.web.conftest import clip, running, stub_settings
from unmask.errors import DownloadError
from unmask.web import fetching

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.checks import CHECKS, load_all_checks  # noqa: E402

load_all_checks()
positive_data_acceptance = CHECKS.get_one("positive_data_acceptance")

EXAMPLES = int(os.environ.get("UNMASK_SCHEMA_EXAMPLES", "12"))
"""Requests for each operation; 400 make ten thousand of all."""
ENDLESS = ("/api/events",)
MEDIA = ("/api/jobs", "/videos/jobs")
"""What takes files and addresses: no schema says what media are, so these may refuse what keeps to it."""


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    with running(
        stub_settings(tmp_path_factory.mktemp("openapi"), max_upload_bytes=1 << 20, queue_limit=10_000)
    ) as service:
        yield service


@pytest.fixture(scope="module")
def schema(service):
    return schemathesis.openapi.from_url(f"{service.client.base_url}/openapi.json")


def test_the_description_is_whole(service):
    described = service.client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            assert operation.get("description"), f"{method} {path}"
            assert operation["responses"]
    assert described["components"]["schemas"]["JobView"]["example"]["label"] == "fake"
    assert "application/json" in described["paths"]["/api/jobs"]["post"]["requestBody"]["content"]


def test_no_page_asks_others_for_help(service):
    """FastAPI's own documentation pages load scripts from elsewhere: they are off."""
    for path in ("/docs", "/redoc"):
        assert service.client.get(path).status_code == 404


def check(operation, job):
    """Send made-up requests to one operation."""
    excluded = [positive_data_acceptance] if operation.path in MEDIA else []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck), derandomize=True,
    )  # fmt: skip
    @given(case=operation.as_strategy(), exists=booleans())
    def send(case, exists):
        if exists and "job_id" in case.path_parameters:
            case.path_parameters["job_id"] = job
        case.call_and_validate(excluded_checks=excluded)

    send()


@pytest.mark.slow
def test_every_operation_keeps_to_its_description(service, schema, monkeypatch):
    def fetch(url, *_):
        raise DownloadError(f"{url} is not fetched in tests")

    monkeypatch.setattr(fetching, "fetch_public", fetch)
    job = service.wait(service.upload(clip("schema")).json()["id"])["id"]
    tried = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path in ENDLESS:
            continue

        check(operation, job)
        tried.add((operation.method.upper(), operation.path))
    assert ("POST", "/api/jobs") in tried
    assert len(tried) > 15
    assert service.client.get("/healthz").json() == {"status": "ok"}
