import pytest

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
