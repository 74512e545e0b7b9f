"""Render HTML pages: the one place that renders templates, and the frame that all pages share."""

from unmask.html.render import render

__all__ = ["render"]
