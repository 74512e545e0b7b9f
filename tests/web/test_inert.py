"""HTML and script in all that a file, a caller or an analyst brings, shown by the page in Chromium: nothing runs."""

from urllib.parse import quote

import pytest

from tests.html.inert import NAME, NOTHING, TEXT, chromium, found_in, watch
from tests.media_factory import write_film
from tests.web.conftest import running, stub_settings
from tests.web.film_stub import MARK

pytestmark = pytest.mark.slow

PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def service(portrait, tmp_path_factory):
    """A service with a film, an address and a note, whose names and words are hostile."""
    folder = tmp_path_factory.mktemp("inert")
    film = write_film(portrait, folder / "film.mp4", 10).read_bytes() + MARK
    with running(stub_settings(folder, scanner="tests.web.hostile_stub:make")) as service:
        service.job = service.wait(service.upload(film, NAME).json()["id"])
        assert (service.job["state"], service.job["label"]) == ("done", "fake"), service.job
        url = f"https://127.0.0.1:1/{NAME}{TEXT.replace('/', '')}"
        answer = service.client.post("/videos/jobs", params={"url": url})
        service.wait(answer.json()["id"])
        note = {"label": "real", "note": TEXT}
        assert service.client.put(f"/api/jobs/{service.job['id']}/review", json=note).status_code == 200
        yield service


@pytest.mark.parametrize("bypass", [False, True], ids=["with its policy", "without"])
def test_nothing_of_the_page_runs_what_it_shows(service, browser, bypass):
    base, job = str(service.client.base_url).rstrip("/"), service.job
    with browser.new_context(bypass_csp=bypass, locale="en-US") as context:
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        faults = watch(page, (base,))

        def look(frames=1):
            page.wait_for_load_state("networkidle")
            found = found_in(page)
            assert found == [NOTHING | {"addresses": each["addresses"]} for each in found]
            assert len(found) == frames
            assert not [address for each in found for address in each["addresses"] if "outside" in address]
            assert not [address for each in found for address in each["addresses"] if "script" in address]

        page.goto(f"{base}/")
        page.locator(".job", has_text="{{7*7}}").nth(1).wait_for()
        page.locator("#search").fill("{{7*7}}")
        look()
        page.locator("#search").fill("<img src=x onerror=window.ran=9>")
        page.get_by_text("Nothing fits this search.").wait_for()
        look()
        for language in ("de", "ko", "en") if bypass else ("en",):
            page.goto(f"{base}/#/jobs/{job['id']}")
            page.locator("#language").select_option(language)
            page.frame_locator("iframe").get_by_text("{{7*7}}").first.wait_for()
            page.locator(".answer", has_text="{{7*7}}").wait_for()
            look(frames=2)
        page.locator("video").hover()
        page.get_by_role("slider").press("End")
        look(frames=2)
        kept = page.evaluate("() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]")
        assert kept == [["language"], [], ""], "nothing of jobs stays in the browser"
        page.goto(f"{base}/api/jobs/{job['id']}/report")
        page.get_by_text("{{7*7}}").first.wait_for()
        look()
        assert faults == []


def test_nor_does_what_the_service_answers_to_hostile_addresses(service, browser):
    base, text = str(service.client.base_url).rstrip("/"), quote(TEXT, safe="")
    with browser.new_context(bypass_csp=True) as context:
        page = context.new_page()
        faults = watch(page, (base,))
        for path in (
            f"/#/jobs/{text}", f"/#{text}", f"/?{text}", f"/nowhere/{text}", f"/static/{text}", f"/api/jobs/{text}",
            f"/api/jobs?search={text[:150]}", f"/api/jobs?sort={text}", f"/api/jobs?search={'%7B%7B7*7'}",
        ):  # fmt: skip
            page.goto(base + path)
            page.wait_for_load_state("networkidle")
            assert (path, found_in(page)) == (path, [NOTHING])
        assert faults == []
