"""Write verdicts as JSON, one file each or one line each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unmask.storage.atomic import atomic_file, write_file
from unmask.storage.outputs import FileForm, json_form
from unmask.storage.rowlog import json_line
from unmask.types import Verdict

JSON_LINES = FileForm("the JSON", json_form("schema_version", "status", "settings"), "verdicts.jsonl")
"""The form of verdicts, one a line."""


def write_json(row: Mapping[str, Any], path: Path) -> None:
    """Write one verdict, indented."""
    write_file(path, json.dumps(row, ensure_ascii=True, indent=1).encode() + b"\n")


def write_json_lines(rows: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Write one verdict a line."""
    with atomic_file(path) as file:
        file.writelines(json_line(row).encode() + b"\n" for row in rows)


def save_verdict(verdict: Verdict, path: Path) -> None:
    """Write one verdict; `Verdict.save` finds this function by the suffix."""
    write_json(verdict.to_dict(), path)
