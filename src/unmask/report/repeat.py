"""The command that repeats a scan."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any


def repeat_command(row: Mapping[str, Any]) -> str | None:
    """Return the command line that scans the file of a verdict (`Verdict.to_dict`) as it was scanned.

    What one file may cost (``--limits``) changes no score and is left out. Models are named as their cards are; the
    sha256 of each stands on the page. None where the verdict does not tell, as of a scanner that was written in Python.
    """
    settings = row["settings"]
    preset = settings.get("preset")
    if preset is None and settings.get("scanner") != "Scanner":
        return None
    words = ["unmask", "scan", row["path"].encode("utf-8", "surrogateescape").decode("utf-8", "replace")]
    words += ["--preset", preset] if preset else []
    names = [model["name"] for model in row["models"]]
    if "sampling" in settings:  # a system with a flow of its own takes no such options
        if preset is None and names != ["bundled"]:
            words += [word for name in names for word in ("--model", name)]
        words += ["--frames", str(settings["frames"])]
        words += ["--adaptive"] if settings.get("adaptive") else []
    if isinstance(settings.get("precision"), list) and len(set(settings["precision"])) == 1:
        words += ["--precision", settings["precision"][0]]
    return shlex.join([*words, "--html", "report.html"])
