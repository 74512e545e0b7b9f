"""The page in a browser: Debian's Chromium, driven by Playwright; left out where one of them is missing."""

import base64
import csv
import io
import re
import shutil

import pytest

from tests.media_factory import pattern, write_film, write_video
from tests.web.conftest import clip, running, stub_settings
from tests.web.film_stub import MARK
from unmask.web.settings import ServeSettings

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("there is no chromium: apt-get install chromium", allow_module_level=True)
expect = playwright.expect
PATIENCE_MS = 120_000  # the neighbours may hold the cores
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser):
    """A function that opens the page of a service. In the end: nothing was asked of anybody else, and no error told."""
    opened, faults = [], []

    def open_at(service, path="/", expected=(), **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 850}, "locale": "en-US"} | options)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        base = str(service.client.base_url)
        page.on("request", lambda request: check(request.url.startswith((base, "data:", "blob:")), request.url))
        page.on("pageerror", lambda error: check(False, str(error)))
        page.on("console", lambda told: check(told.type != "error" or any(e in told.text for e in expected), told.text))
        page.goto(base + path)
        opened.append(context)
        return page

    def check(good, fault):
        if not good:
            faults.append(fault)

    yield open_at
    for context in opened:
        context.close()
    assert faults == []


@pytest.fixture(scope="module")
def film(portrait, tmp_path_factory):
    """A film of a second with two people, as the stub tells."""
    return write_film(portrait, tmp_path_factory.mktemp("film") / "film.mp4", 25).read_bytes() + MARK


@pytest.fixture(scope="module")
def service(film, tmp_path_factory):
    """A service that knows one film and one picture."""
    settings = stub_settings(tmp_path_factory.mktemp("page"), scanner="tests.web.film_stub:make")
    with running(settings) as service:
        service.wait(service.upload(film, "film.mp4").json()["id"])
        service.wait(service.upload(clip("picture"), "picture.png").json()["id"])
        yield service


def id_of(service, name):
    return service.client.get("/api/jobs", params={"search": name}).json()["jobs"][0]["id"]


def drop(page, name, content):
    """Drop a file onto the page."""
    put = """([name, data]) => {
        const files = new DataTransfer();
        files.items.add(new File([Uint8Array.from(atob(data), letter => letter.charCodeAt(0))], name));
        return files;
    }"""
    files = page.evaluate_handle(put, [name, base64.b64encode(content).decode()])
    page.locator("#drop").dispatch_event("dragover", {"dataTransfer": files})
    expect(page.locator("#drop")).to_have_class(re.compile("over"))
    page.locator("#drop").dispatch_event("drop", {"dataTransfer": files})


def film_time(page):
    expect(page.locator("video")).to_have_js_property("seeking", False)
    return page.locator("video").evaluate("film => film.currentTime")


def test_a_clip_is_dropped_judged_read_reviewed_and_deleted(open_page, clips, tmp_path):
    settings = ServeSettings(data=tmp_path / "data", workers=1, scanner_options={"frames": 8})
    with running(settings) as service:
        page = open_page(service)
        expect(page.get_by_text("Nothing was handed in yet.")).to_be_visible()
        drop(page, "dropped.mp4", clips["blended"].read_bytes())
        row = page.locator(".job", has_text="dropped.mp4")
        expect(row.get_by_role("progressbar")).to_be_visible()
        expect(row.locator(".badge b")).to_have_text(re.compile(r"\d"))
        expect(page.locator("#live")).to_contain_text("dropped.mp4")
        expect(row.locator("img")).to_have_js_property("complete", True)

        row.get_by_role("link").click()
        verdict = service.client.get(f"/api/jobs/{id_of(service, 'dropped')}/verdict").json()
        expect(page.locator(".answer .label")).to_contain_text(verdict["label"])
        expect(page.locator(".answer")).to_contain_text(verdict["reasons"][0])
        expect(page.locator("video")).to_have_js_property("error", None)
        expect(page.locator(".boxes .box")).to_have_count(1)
        report = page.frame_locator("iframe")
        expect(report.locator("h2").first).to_have_text("People")
        expect(report.locator(".strip img.map").first).to_be_visible()
        report.locator("svg:has(> .times)").click(position={"x": 200, "y": 40})
        assert film_time(page) > 0.2

        page.get_by_label("fake", exact=True).check()
        page.get_by_label("Note").fill("The jaw.")
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Saved.")).to_be_visible()
        page.get_by_role("link", name="History").click()
        expect(row.locator(".own")).to_have_text("you: fake")
        expect(row).to_contain_text("The jaw.")

        row.get_by_role("button", name="Delete dropped.mp4").click()
        page.get_by_role("button", name="Keep").click()
        expect(row).to_be_visible()
        row.get_by_role("button", name="Delete dropped.mp4").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(row).to_have_count(0)
        assert service.client.get("/api/jobs").json()["total"] == 0
        page.context.close()


def test_boxes_follow_the_film_and_a_click_seeks(open_page, service):
    page = open_page(service, f"/#/jobs/{id_of(service, 'film')}")
    expect(page.locator("video")).to_have_js_property("readyState", 4)

    def left_of_first():  # of the box, as a share of the picture; boxes are drawn anew all the time
        return page.evaluate("""() => {
            const place = (selector) => document.querySelector(selector).getBoundingClientRect();
            return (place(".boxes .box.fake").left - place("video").left) / place("video").width;
        }""")

    timeline = page.get_by_role("slider", name="Scores over time")
    timeline.press("Home")
    expect(page.locator(".boxes .box")).to_have_count(2)
    assert left_of_first() == pytest.approx(0.1, abs=0.02)
    timeline.click(position={"x": timeline.bounding_box()["width"] / 2, "y": 20})
    assert film_time(page) == pytest.approx(0.5, abs=0.03)
    assert left_of_first() == pytest.approx(0.2, abs=0.02)
    timeline.press("ArrowRight")
    assert film_time(page) == pytest.approx(0.75, abs=0.01)
    expect(timeline).to_have_attribute("aria-valuetext", "0.75 s, Person 1 0.90, Person 2 0.05")
    page.frame_locator("iframe").locator(".strip li").nth(1).click()
    assert film_time(page) == pytest.approx(0.25, abs=0.01)
    timeline.press("End")
    expect(page.locator(".boxes .box")).to_have_count(2)


def test_what_the_browser_cannot_play_is_told_and_shown_as_frames(open_page, service, tmp_path):
    path = write_video(tmp_path / "old.mp4", map(pattern, range(10)), rate=25, codec="mpeg4")
    job = service.wait(service.upload(path.read_bytes() + MARK, "old.mp4").json()["id"])
    page = open_page(service, f"/#/jobs/{job['id']}")
    expect(page.get_by_text("This browser cannot play the codec mpeg4.")).to_be_visible()
    expect(page.locator(".stills figcaption")).to_have_text("Person 1 at 0.00 s")
    page.get_by_role("slider").press("End")
    expect(page.locator(".stills figcaption")).to_have_text("Person 1 at 0.30 s")


def test_history_is_searched_filtered_sorted_and_exported(open_page, service):
    page = open_page(service)
    names = page.locator(".job .clip-name")
    expect(names.first).to_be_visible()
    page.get_by_label("Search").fill("p")
    page.locator("#label").select_option("fake")
    expect(page.locator("#count")).to_have_text(re.compile("^1 video|^[0-9]+ videos"))
    page.get_by_label("Search").fill("film.mp4")
    expect(names).to_have_text(["film.mp4"])
    page.locator("#label").select_option("real")
    expect(page.get_by_text("Nothing fits this search.")).to_be_visible()
    page.get_by_label("Search").fill("picture")
    expect(names).to_have_text(["picture.png"])
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert [(row["name"], row["label"]) for row in rows] == [("picture.png", "real")]
    page.locator("#label").select_option("")
    page.get_by_label("Search").fill("")
    page.locator("#sort").select_option("name")
    expect(names.first).to_have_text("film.mp4")
    page.locator("#sort").select_option("-fake_probability")
    expect(names.last).to_have_text("picture.png")


def test_the_keyboard_alone_goes_everywhere(open_page, service):
    page = open_page(service)
    expect(page.locator(".job").first).to_be_visible()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate("""() => {
            const focused = document.activeElement;
            const shown = focused.id === "files" ? focused.nextElementSibling : focused;
            const style = getComputedStyle(shown);
            return [focused.id || focused.dataset.part || focused.className || focused.textContent, style.outlineStyle,
                    focused.labels?.length || focused.textContent.trim() || focused.ariaLabel ? "named" : "nameless"];
        }""")
        seen.append(here[0])
        assert here[1:] == ["solid", "named"], here
        if here[0] == "delete":
            break
    assert seen == [
        "skip", "name", "language", "files", "address", "Fetch and scan", "search", "label", "sort", "export", "open",
        "delete",
    ]  # fmt: skip
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Keep")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.locator(".job", has_text="film.mp4").get_by_role("link").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#timeline")).to_be_visible()
    expect(page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("locale", ["en-US", "de-DE", "ko-KR"])
def test_a_narrow_screen_scrolls_in_one_direction(open_page, service, locale):
    page = open_page(service, viewport={"width": 420, "height": 800}, locale=locale, color_scheme="dark")
    expect(page.locator(".job").first).to_be_visible()
    assert page.locator("html").get_attribute("lang") == locale[:2]
    page.locator(".job", has_text="film.mp4").get_by_role("link").click()
    expect(page.frame_locator("iframe").locator("h1")).to_be_visible()
    for place in ("#/", f"#/jobs/{id_of(service, 'film')}"):
        page.evaluate("place => { location.hash = place }", place)
        expect(page.locator("#home" if place == "#/" else "#verdict")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 420
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 25)"


def test_the_language_can_be_chosen_and_is_remembered(open_page, service):
    page = open_page(service)
    page.locator("#language").select_option("de")
    expect(page.get_by_role("heading", name="Verlauf")).to_be_visible()
    expect(page.locator(".job", has_text="film.mp4").locator(".badge")).to_contain_text("gefälscht")
    page.locator(".job", has_text="film.mp4").get_by_role("link").click()
    said = "von 0.0 s bis 0.8 s manipuliert: Fälschungswahrscheinlichkeit 0.90 über 4 Bilder (Schwelle 0.80)."
    expect(page.locator(".answer p").nth(1)).to_have_text(f"Person 1 wirkt {said}")
    page.locator("#language").select_option("ko")
    expect(page.locator(".answer p").nth(1)).to_contain_text("인물 1의 얼굴이 0.0초부터 0.8초까지 조작된 것으로")
    page.get_by_role("link", name="기록").click()
    page.reload()
    expect(page.get_by_role("heading", name="기록")).to_be_visible()


def test_errors_are_told_in_place(open_page, service):
    page = open_page(service, expected=("415",))
    page.get_by_label("Address of a video").fill("http://example.org/clip.mp4")
    page.get_by_role("button", name="Fetch and scan").click()
    expect(page.get_by_role("alert")).to_contain_text("begins with https://")
    page.locator("#files").set_input_files([{"name": "<b>text</b>.txt", "mimeType": "text/plain", "buffer": b"text"}])
    expect(page.get_by_role("alert")).to_contain_text("<b>text</b>.txt: ")


def test_a_token_opens_the_page(open_page, film, tmp_path):
    token = "a token of the tests, long enough"
    with running(stub_settings(tmp_path, token=token)) as service:
        page = open_page(service, expected=("401",))
        page.get_by_label("Token").fill("another one")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Nothing was handed in yet.")).to_be_visible()
        page.context.close()
        page = open_page(service, "/#token=a%20token%20of%20the%20tests,%20long%20enough")
        expect(page.get_by_text("Nothing was handed in yet.")).to_be_visible()
        assert "token" not in page.url
        page.context.close()
