"""Text that would do something if a page took it for markup, and a browser that looks whether it did."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

NAME = "'\"><img src=x onerror=window.ran=1><svg onload=window.ran=2>{{7*7}}${7*7}"
"""As it may stand in the name of a file."""
TEXT = (
    "'\"></title></style></textarea></script></svg><script>window.ran=3</script><img src=https://outside.test/i "
    "onerror=window.ran=4><svg/onload=window.ran=5><a href=javascript:window.ran=6 autofocus onfocus=window.ran=7>"
    "{{7*7}}</a><iframe srcdoc='<script>parent.ran=8</script>'></iframe><link rel=stylesheet href=https://outside.test/s>"
)
_LOOK = """() => ({
    ran: window.ran ?? null,
    scripts: [...document.querySelectorAll("script")].filter(node => !node.src).length,
    handlers: [...document.querySelectorAll("*")].filter(node =>
        [...node.attributes].some(attribute => attribute.name.startsWith("on"))).length,
    frames: document.querySelectorAll("iframe[srcdoc], object, embed, base").length,
    addresses: [...document.querySelectorAll("[href], [src], [action]")]
        .map(node => node.getAttribute("href") ?? node.getAttribute("src") ?? node.getAttribute("action"))
        .filter(address => /^\\s*(javascript|https?|\\/\\/|data:text|file)/i.test(address)),
})"""
NOTHING = {"ran": None, "scripts": 0, "handlers": 0, "frames": 0, "addresses": []}


def hostile(value: Any, keep: tuple[str, ...] = (), name: str = "") -> Any:
    """Return a JSON-ready value whose texts are all `TEXT`, but for those whose key ends so."""
    if isinstance(value, str):
        return value if name.endswith(keep) else TEXT
    if isinstance(value, Mapping):
        return {key: hostile(inner, keep, key) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hostile(inner, keep, name) for inner in value]
    return value


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skip the test where it, or Playwright, is not there."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("there is no chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def watch(page: Any, own: tuple[str, ...]) -> list[str]:
    """Return a list that fills with what a page should not do: dialogs, requests, errors, what its policy stops."""
    faults: list[str] = []

    def dialog(opened: Any) -> None:
        faults.append(f"dialog: {opened.message}")
        opened.dismiss()

    page.on("dialog", dialog)
    page.on("request", lambda made: None if made.url.startswith((*own, "data:", "blob:")) else faults.append(made.url))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))

    def console(told: Any) -> None:
        if told.type == "error" and "Failed to load resource" not in told.text:  # 404: whom it asked is told above
            faults.append(told.text)

    page.on("console", console)
    page.on("popup", lambda _: faults.append("popup"))
    return faults


def found_in(page: Any, tries: int = 20) -> list[dict[str, Any]]:
    """Return what each frame of a page has in it that should not be there: `NOTHING`."""
    from playwright.sync_api import Error

    for number in range(tries):
        try:
            return [frame.evaluate(_LOOK) for frame in page.frames]
        except Error:  # a frame is just being exchanged
            if number == tries - 1:
                raise
            page.wait_for_timeout(100)
    raise AssertionError
