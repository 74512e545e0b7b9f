"""Print what is installed, what is missing, and how to mend it."""

from __future__ import annotations

import json
import os
import platform
from typing import Annotated

import typer

from unmask._version import __version__
from unmask.cli.console import ExitCode, printable


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON, for a report of a fault.")] = False,
) -> None:
    """Check the installation: packages, CPU, models, face detector."""
    machine = {"Python": platform.python_version(), "platform": platform.platform(), "cores": os.cpu_count()}
    if not as_json:
        print(f"unmask {__version__}, Python {machine['Python']}, {machine['platform']}, {machine['cores']} cores")
    from unmask.cli.checks import CHECKS

    findings = []
    for name, check in CHECKS.items():
        try:
            ok, said = True, check()
        except Exception as error:  # noqa: BLE001 - a doctor reports whatever is wrong and goes on
            ok, said = False, str(error)
        findings.append({"check": name, "ok": ok, "said": said})
        if not as_json:
            print(printable(f"{'ok   ' if ok else 'FAIL '} {name}: {said}"))
    if as_json:
        print(json.dumps({"unmask": __version__, **machine, "checks": findings}, indent=1))
    raise SystemExit(ExitCode.ALL_OK if all(finding["ok"] for finding in findings) else ExitCode.SOME_NOT_OK)
