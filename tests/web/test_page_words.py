"""What the page's files say, without a browser."""

import ast
import json
import re
from typing import get_args

import pytest

from unmask.types import Label, Status
from unmask.web.app import STATIC
from unmask.web.jobs import State

WORDS = {name: json.loads((STATIC / f"{name}.json").read_text()) for name in ("en", "de", "ko")}
ERRORS = {*get_args(Status)} - {"ok", "ok_partial", "no_face"}
"""Statuses that are the code of an error's message; `no_face` has sentences of its own."""
SCRIPTS = "".join(path.read_text() for path in STATIC.glob("*.js"))
PAGE = (STATIC / "index.html").read_text()


def places(text):
    """Return the values that a text names."""
    return set(re.findall(r"\{(\w+)\}", text))


def coded_calls():
    """Yield code and names of values of each call of `unmask.sentences.coded` in the source."""
    for path in sorted(STATIC.parents[1].rglob("*.py")):
        if "coded(" in (source := path.read_text()):
            for node in ast.walk(ast.parse(source)):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "coded":
                    assert isinstance(node.args[0], ast.Constant), path
                    yield node.args[0].value, {word.arg for word in node.keywords}


@pytest.mark.parametrize("language", ["de", "ko"])
def test_every_reason_has_a_text_in_each_language(language):
    """English is the sentence itself."""
    values = dict(coded_calls())
    assert len(values) > 20
    texts = WORDS[language]["reasons"]
    assert texts.keys() == values.keys() | ERRORS
    for code, names in values.items():
        wanted = {name for name in names if name not in ("start_seconds", "end_seconds")}
        assert places(texts[code]) == wanted | ({"when"} if "start_seconds" in names else set()), code
    for code in ERRORS:
        assert places(texts[code]) == {"detail"}


@pytest.mark.parametrize("language", ["de", "ko"])
def test_every_text_stands_in_each_language_with_the_same_values(language):
    assert WORDS[language].keys() == {*WORDS["en"], "reasons"}
    for part, texts in WORDS["en"].items():
        assert WORDS[language][part].keys() == texts.keys()
        for name, text in texts.items():
            assert WORDS[language][part][name].strip()
            assert places(WORDS[language][part][name]) == places(text), name


def test_every_text_of_the_page_is_there_and_used():
    named = set(re.findall(r'data-(?:say|label|hint)="(\w+)"', PAGE))
    named |= set(re.findall(r'"(\w+)"', SCRIPTS)) & WORDS["en"]["page"].keys()
    assert named == WORDS["en"]["page"].keys()
    assert set(re.findall(r'\bsay\("(\w+)"', SCRIPTS)) <= WORDS["en"]["page"].keys()


def test_every_label_state_and_status_has_a_word():
    told = {*get_args(Label), *get_args(State), *get_args(Status), "open"}
    assert WORDS["en"]["words"].keys() == told


def test_nothing_of_the_page_is_inline_or_from_elsewhere():
    assert re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", PAGE) == []
    for name in ("index.html", "app.js", "dom.js", "verdict.js", "words.js", "style.css"):
        text = (STATIC / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert re.findall(r"https?://\w[^\s\"'`]*|innerHTML|insertAdjacentHTML", text) == [], name


def test_verdicts_have_the_colours_of_the_report():
    report = (STATIC.parents[1] / "html" / "templates" / "base.html.j2").read_text()
    own = (STATIC / "style.css").read_text()
    for name in ("fake", "real", "open"):
        colours = re.findall(rf"--{name}: (#\w+)", report)[:2]  # light and dark; print follows
        assert re.findall(rf"--{name}: (#\w+)", own) == colours
