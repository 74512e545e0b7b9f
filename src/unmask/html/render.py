"""Render self-contained pages: no script, no request, every value escaped."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def render(package: str, template: str, **values: Any) -> bytes:
    """Render a template of a package within the frame that all pages share.

    Args:
        package: Name of the package whose folder ``templates`` holds it, e.g. ``unmask.report``.
        template: Name of the file.
        values: What the template shows; text is escaped.

    Returns:
        The page in UTF-8; what UTF-8 cannot hold is replaced.
    """
    return _template(package, template).render(values).encode("utf-8", "replace")


@cache
def _template(package: str, name: str) -> Template:
    from jinja2 import ChoiceLoader, Environment, PackageLoader  # a tenth of a second that only pages need

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("unmask.html")])
    return Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(name)
