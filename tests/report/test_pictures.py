import base64
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from unmask import Verdict
from unmask.report import write_page
from unmask.report.html import MAX_PAGE_BYTES
from unmask.report.pictures import fitting_pictures, overlay_png
from unmask.scan.pictures import map_png


@pytest.fixture(scope="module")
def verdict(scanner, short_clips) -> Verdict:
    return scanner.scan(short_clips["blended"])


def page_of(row, tmp_path) -> str:
    write_page(row, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def crowd(verdict, people, frames):
    """Return the verdict with more people, each in so many frames, and all of them with pictures."""
    faces = [replace(verdict.faces[0], person=number) for number in range(1, people + 1)]
    seen = [
        replace(verdict.frames[0], person=face.person, time_seconds=i / frames) for i in range(frames) for face in faces
    ]
    pictures = [replace(verdict.pictures[0], person=face.person) for face in faces]
    return replace(verdict, faces=tuple(faces), frames=tuple(seen), pictures=tuple(pictures))


def test_a_page_shows_crops_maps_and_a_frame(verdict, tmp_path):
    page = page_of(verdict.to_dict(pictures=True), tmp_path)
    strip = re.search(r'<ol class="strip">.*?</ol>', page, re.DOTALL).group()
    assert strip.count('class="map"') == len(verdict.pictures[0].strip) == 6
    for sighting in verdict.pictures[0].strip:
        assert f"{sighting.time_seconds:.2f} s <b>{sighting.fake_probability:.2f}</b>" in strip
        assert base64.b64encode(sighting.crop_jpeg).decode() in strip
    x1, y1, *_ = verdict.pictures[0].scene.xyxy_px
    assert f'class="box" x="{x1}" y="{y1}"' in page
    assert page.count('r="5"') == 6, "the crops of the strip are marked in the timeline"
    assert len(page) <= MAX_PAGE_BYTES


def test_maps_are_switched_off_without_a_script(verdict, tmp_path):
    page = page_of(verdict.to_dict(pictures=True), tmp_path)
    assert '<input type="checkbox" id="maps" checked>' in page
    assert "#maps:not(:checked) ~ .person .map { display: none; }" in page
    assert page.index('id="maps"') < page.index('<section class="person">')
    assert "<script" not in page


def test_without_maps_there_is_no_switch(verdict, tmp_path):
    row = verdict.to_dict(pictures=True)
    row["pictures"][0]["strip"] = [sighting | {"map_png": None} for sighting in row["pictures"][0]["strip"]]
    page = page_of(row, tmp_path)
    assert 'id="maps"' not in page.replace("#maps", "")
    assert 'class="strip"' in page


def test_a_page_without_pictures_says_so(verdict, tmp_path):
    page = page_of(verdict.to_dict(), tmp_path)
    assert 'class="strip"' not in page
    assert "Crops and frames were not kept with these scores" in page


@pytest.mark.parametrize(("people", "frames"), [(8, 32), (4, 256), (80, 32)])
def test_pages_stay_small_whoever_is_in_the_clip(verdict, tmp_path, people, frames):
    page = page_of(crowd(verdict, people, frames).to_dict(pictures=True), tmp_path)
    assert len(page.encode()) <= MAX_PAGE_BYTES
    assert page.count("<strong>Person ") == people, "everybody is named"
    left_out = people - page.count('<ol class="strip">')
    assert f"no crops of {left_out} further people" in page


def test_the_most_suspicious_people_keep_their_pictures(verdict):
    row = crowd(verdict, 5, 4).to_dict(pictures=True)
    one = len(str(row["pictures"][0]))
    shown, left_out = fitting_pictures(row, 3 * one)
    assert list(shown) == [face["person"] for face in row["faces"]][: len(shown)]
    assert len(shown) + left_out == 5
    assert 0 < len(shown) < 5


def test_colour_covers_more_where_the_network_is_surer():
    overlay = cv2.imdecode(
        np.frombuffer(overlay_png(map_png(np.float32([[0, 0.5, 1]]))), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert overlay.shape == (1, 3, 4)
    assert overlay[0, :, 3].tolist() == pytest.approx([0, 0.3 * 255, 0.6 * 255], abs=1)


def test_what_a_page_must_carry(verdict, tmp_path):
    page = page_of(verdict.to_dict(pictures=True, timing=True), tmp_path)
    for text in (verdict.sha256, "h264", "bundled 3", verdict.models[0]["sha256"], verdict.settings["hash"]):
        assert text in page
    precision = verdict.settings["precision"][0]
    assert f"unmask scan {verdict.path} --frames 16 --precision {precision} --html report.html" in page
    assert f"Scanned {verdict.scanned_at[:10]}" in page
    assert "Only faces were examined" in page
    assert f"fake from {verdict.settings['thresholds']['fake_above']:.2f} on" in page
