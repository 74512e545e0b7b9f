import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import unmask
from unmask.html import render


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Render ``{{ value }}`` from a package of its own within the frame of all pages."""
    templates = tmp_path / "pages_of_a_test" / "templates"
    templates.mkdir(parents=True)
    (templates.parent / "__init__.py").touch()
    (templates / "page.html.j2").write_text(
        '{% extends "base.html.j2" %}{% block title %}t{% endblock %}{% block body %}<p>{{ value }}</p>{% endblock %}'
    )
    monkeypatch.syspath_prepend(tmp_path)
    return lambda value: render("pages_of_a_test", "page.html.j2", value=value)


def test_every_value_is_escaped(page):
    assert b"<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>" in page("<script>alert(1)</script>")


def test_the_frame_forbids_all_requests(page):
    assert page("").startswith(b"<!doctype html>")
    assert b"default-src 'none'" in page("")


def test_what_utf_8_cannot_hold_is_replaced(page):
    assert b"<p>a?b</p>" in page("a\udcffb")


TEMPLATES = sorted(Path(unmask.__file__).parent.rglob("*.html.j2"))
VALUE = "\0"
STYLED = {"training.html.j2", "explore.html.j2"}
"""Templates that put numbers and colours of their own into styles."""


class Places(HTMLParser):
    """Finds places of a template where a value could be more than text."""

    def __init__(self, name):
        super().__init__()
        self.name, self.values, self.faults = name, 0, []

    def handle_starttag(self, tag, attrs):
        written = self.get_starttag_text()
        self.values += written.count(VALUE)
        if VALUE in re.sub(r"\"[^\"]*\"", "", written) or tag in ("script", "base", "link", "object", "embed"):
            self.faults.append(written)
        for name, value in attrs:
            is_address = name in ("href", "src") and (value or "").startswith(VALUE) and self.name != "index.html.j2"
            is_style = name == "style" and VALUE in (value or "") and self.name not in STYLED
            if is_address or is_style or name.startswith("on") or name in ("srcdoc", "action", "formaction"):
                self.faults.append(written)

    def handle_data(self, data):
        self.values += data.count(VALUE)
        if self.cdata_elem in ("script", "style") and VALUE in data:  # newer Pythons read a title so too, as text
            self.faults.append(data)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_values_stand_where_they_can_be_nothing_but_text(path):
    """In quoted attributes and between elements: not in a style sheet, a script, a name, or as a whole address."""
    source = path.read_text()
    assert not re.search(r"\|\s*safe\b|autoescape|Markup", source)
    places = Places(path.name)
    places.feed(re.sub(r"{#.*?#}|{%.*?%}", "", re.sub(r"{{.*?}}", VALUE, source, flags=re.DOTALL), flags=re.DOTALL))
    places.close()
    assert places.faults == []
    assert places.values > 0 or "{{" not in source


def test_places_are_found():
    for source in (
        f"<a href={VALUE}>", f"<script>{VALUE}</script>", f"<a href='{VALUE}'>", f'<a href="{VALUE}">', f"<p a{VALUE}>",
        f'<p {VALUE}="a">', f"<style>{VALUE}</style>", '<p onclick="a">', f'<p style="{VALUE}">', '<i srcdoc="a">',
    ):  # fmt: skip
        places = Places("any")
        places.feed(source)
        places.close()
        assert places.faults, source
