import re

import pytest

from unmask import Verdict


def test_a_verdict_shows_itself(scanner, short_clips):
    verdict = scanner.scan(short_clips["blended"])
    html = verdict._repr_html_()
    assert html.count('class="map"') == 6
    assert html.count("<svg") == 1
    assert verdict.reasons[0] in html
    assert not re.search(r"<script|https?://|<html|<body|\sid=", html), "it stands in a page of others"
    rules = re.search(r"<style>(.*?)</style>", html, re.DOTALL).group(1)
    assert all(line.startswith(".unmask") for line in rules.strip().splitlines())


@pytest.mark.parametrize("path", ["<b>x</b>.mp4", "a\udcff.mp4"])
def test_a_verdict_without_people_shows_its_words(path):
    html = Verdict(path, "no_face", None, None, ("no <i>face</i>",))._repr_html_()
    assert "no_face" in html
    assert "<b>x" not in html
    assert "<i>face" not in html
    html.encode()
