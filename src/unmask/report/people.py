"""Verdicts as a table of people: who looks manipulated, from when to when, why, and in which file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from unmask.report.csv import Target, write_table
from unmask.storage.outputs import FileForm, table_form

COLUMNS = (
    "filename", "sha256", "verdict", "person", "label", "fake_probability", "start_seconds", "end_seconds", "frames",
    "spans", "reason",
)  # fmt: skip
"""``verdict`` is the word for the video, or its status where it has none; ``label`` and ``fake_probability`` are the
person's, and ``spans`` are the stretches in which they are seen, in seconds: ``0.0-4.5; 8.0-12.0``. The cells of a
person are empty in the one row of a video in which nobody was judged."""

PEOPLE = FileForm("the table of people", table_form(COLUMNS), "people.csv")
"""The form of the table."""


def write_people(rows: Iterable[tuple[str, Mapping[str, Any]]], target: Target) -> None:
    """Write one row for each person, and one for each video without people.

    Args:
        rows: Name and verdict (`Verdict.to_dict`) of each video.
        target: The table.
    """
    write_table(COLUMNS, (cells for name, row in rows for cells in _rows(name, row)), target)


def reason_for(row: Mapping[str, Any], person: int) -> str:
    """Return the sentence of a verdict that is about one person, or else its most important one."""
    named = re.compile(rf"\bperson {person}\b", re.IGNORECASE)
    sentences = (*row["reasons"], *row["warnings"])
    return next((text for text in sentences if named.search(text)), row["reasons"][0] if row["reasons"] else "")


def _rows(name: str, row: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    start = name, row["sha256"] or "", row["label"] or row["status"]
    if not row["faces"]:
        yield (*start, *[""] * 7, row["reasons"][0] if row["reasons"] else "")
    for face in row["faces"]:
        numbers = face["fake_probability"], face["start_seconds"], face["end_seconds"], face["frames"]
        spans = "; ".join(f"{span['start_seconds']}-{span['end_seconds']}" for span in face.get("spans", ()))
        yield (*start, face["person"], face["label"], *numbers, spans, reason_for(row, face["person"]))
