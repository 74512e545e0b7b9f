"""Pages of which every text is hostile, in Chromium: with a policy and without, nothing runs or is asked of anybody."""

import json
import re
from dataclasses import replace
from xml.sax.saxutils import quoteattr

import pytest

from tests.bench.test_tables import results
from tests.evaluation.samples import made_up
from tests.evidence.label_files import TERM, Content, manifest_store, write, xmp
from tests.explore.conftest import dataset
from tests.html.inert import NAME, NOTHING, TEXT, chromium, found_in, hostile, watch
from tests.identities.test_people import CARD, FILES, SETTINGS, direction
from tests.media_factory import pattern, write_video
from tests.report.test_comparison import comparison  # noqa: F401 - a fixture
from unmask.bench.outputs import Curve, Extra, Line, write_outputs
from unmask.bench.tables import Table
from unmask.datasets import Clip, Fault
from unmask.evaluation import Labels, Prediction, evaluate, write_evaluation_page
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.faces import show_faces, write_faces_page
from unmask.explore.page import write_explore_page
from unmask.identities.outputs import write_sheet
from unmask.identities.people import Known, group_people
from unmask.report import write_index
from unmask.report.comparison import write_comparison_page
from unmask.report.html import notebook
from unmask.training.plot import write_plot

pytestmark = pytest.mark.slow

WORDS = ("label", "status", "jpeg", "png")
"""Ends of the keys of what has a meaning for a page; all else is text."""


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def assert_inert(browser, tmp_path):
    """A function that opens all pages of a folder, with their policy and without, and looks what they do."""

    def look(count):
        pages = sorted(tmp_path.rglob("*.html"))
        assert len(pages) == count
        for bypass in (False, True):
            with browser.new_context(bypass_csp=bypass) as context:
                page = context.new_page()
                faults = watch(page, ("file://",))
                for path in pages:
                    page.goto(path.as_uri())
                    page.keyboard.press("Tab")  # what is focused may run
                    assert (path.name, found_in(page)) == (path.name, [NOTHING])
                    assert page.locator("text={{7*7}}").count() > 0, "the text is shown as it is"
                assert faults == []

    return look


@pytest.fixture(scope="module")
def verdict(scanner, short_clips):
    return scanner.scan(short_clips["blended"])


def test_reports(verdict, assert_inert, tmp_path):
    row = verdict.to_dict(timing=True, pictures=True)
    row["traces"] = [{"kind": "written_by", "reason": TEXT, "values": {TEXT: TEXT}}]
    row["declared"] = [row["traces"][0] | {"scheme": "c2pa", "says": "generated", "where": TEXT, "signature": None}]
    row["warnings"], row["media"]["encoder"] = [TEXT], TEXT
    row["libraries"] |= {TEXT: TEXT}
    row["settings"] |= {TEXT: TEXT}
    failed = row | {"status": "unreadable", "label": None, "fake_probability": None, "faces": [], "media": None}
    write_index([hostile(row, WORDS), row | {"path": NAME}, hostile(failed, WORDS)], tmp_path / "report")
    assert_inert(4)


def test_reports_of_files_whose_every_tag_is_hostile(scanner, assert_inert, tmp_path):
    """Titles, programs, encoders, AIGC keys, XMP and C2PA, as the readers of the files hand them on."""
    names = ("title", "artist", "comment", "description", "copyright", "make", "model", "genre")
    aigc = json.dumps({"Label": "1", "ContentProducer": TEXT, "ProduceID": TEXT})
    tags = dict.fromkeys(names, TEXT) | {"software": f"ComfyUI {TEXT}", "AIGC": aigc}
    packet = xmp(f"xmp:CreatorTool={quoteattr(f'Adobe Premiere Pro {TEXT}')} Iptc4xmpExt:DigitalSourceType='{TERM}'")
    store = manifest_store().replace(b"Video Maker", b"<svg/onload")
    rows = []
    for suffix in ("mp4", "mov", "mkv", "avi", "webm"):
        path = write(tmp_path / f"{NAME}.{suffix}", Content(tags, store, packet))
        path.write_bytes(re.sub(rb"(?<=Lavf).{9}", b"<i onload", path.read_bytes()))
        rows.append(scanner.scan(path).to_dict(timing=True))
    told = json.dumps(rows)
    assert all(
        text in told for text in ("ComfyUI '", "Adobe Premiere Pro '", "<svg/onload", "Lavf<i onload", "produced by")
    )
    write_index(rows, tmp_path / "report")
    assert_inert(6)


def test_comparisons(comparison, assert_inert, tmp_path):  # noqa: F811
    row = comparison.to_dict(timing=True, pictures=True)
    write_comparison_page(hostile(row, WORDS), tmp_path / "comparison.html")
    assert_inert(1)


def test_contact_sheets(assert_inert, tmp_path):
    files = [*(replace(each, name=NAME, reason=each.reason and TEXT) for each in FILES)]
    write_sheet(
        group_people(files, CARD, [Known(TEXT, direction(4))]), files, hostile(SETTINGS), tmp_path / "people.html"
    )
    assert_inert(1)


def test_evaluations_and_benchmarks(assert_inert, tmp_path):
    predictions, truth = made_up()
    clips = tuple(replace(clip, traits={TEXT: TEXT}) for clip in truth.clips)
    labels, about = Labels(clips, (TEXT,)), {"predictions": TEXT, "labels": TEXT}
    report = evaluate([*predictions, Prediction(TEXT, 0.5)], labels, repeats=5, about=about)
    write_evaluation_page(report, tmp_path / "evaluation.html")
    named = [replace(result, model=TEXT, dataset=TEXT) for result in results()]
    (tmp_path / "bench").mkdir()
    curve = Curve(TEXT, ("0", TEXT), (Line(TEXT, 0, ((0, 0.9), (1, 0.5))),))
    write_outputs(named, tmp_path / "bench", Extra((Table(TEXT, (TEXT,), ((TEXT,),), (TEXT,)),), (curve,)))
    assert_inert(2)


def test_explorations_found_faces_and_trainings(portrait, assert_inert, tmp_path):
    write_video(tmp_path / "v.mp4", [pattern(i) for i in range(5)])
    clip = Clip(NAME, "v.mp4", "real", method=TEXT, split=TEXT)
    index = replace(dataset(tmp_path, [clip]), faults=(Fault(NAME, TEXT, TEXT),))
    with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
        list(exploration.run())
        write_explore_page(index, exploration.clips(), ExploreSettings(sample=0), tmp_path / "explored.html")
    write_faces_page(show_faces(portrait), TEXT, tmp_path / "faces.html")
    (tmp_path / NAME).mkdir()
    epoch = {"event": "epoch", "epoch": 0, "loss": 0.5, "real_loss": 0.4, "fake_loss": 0.6, "auc": 0.7}
    (tmp_path / NAME / "log.jsonl").write_text(json.dumps(epoch))
    write_plot(tmp_path / NAME, tmp_path / "loss.html")
    assert_inert(3)


def test_a_verdict_in_a_notebook(verdict, browser):
    """It stands in a page of others, which has no policy, and where scripts of others run."""
    shown = replace(
        verdict, path=TEXT, reasons=(TEXT,), warnings=(TEXT,), models=({"name": TEXT, "version": TEXT, "sha256": TEXT},)
    )
    with browser.new_context() as context:
        page = context.new_page()
        faults = watch(page, ())
        page.set_content(f"<!doctype html><body>{notebook(shown)}</body>")
        assert found_in(page) == [NOTHING]
        assert page.locator("text={{7*7}}").count() > 0
        assert faults == []
