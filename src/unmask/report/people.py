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

_PERSON = re.compile(r"\bperson (\d+)\b", re.IGNORECASE)
_JUDGED = {
    "real": "No trace of manipulation was found.",
    "inconclusive": "The score lies where this model cannot tell.",
    "fake": "The person looks manipulated.",
}
_UNJUDGED = {
    "brief": "Seen in too few frames to be judged.",
    "small": "Too small to be judged.",
    "blurred": "Too blurred to be judged.",
    "still": "Does not move, as in a film of one photograph.",
}


def write_people(rows: Iterable[tuple[str, Mapping[str, Any]]], target: Target) -> None:
    """Write one row for each person, and one for each video without people.

    Args:
        rows: Name and verdict (`Verdict.to_dict`) of each video.
        target: The table.
    """
    write_table(COLUMNS, (cells for name, row in rows for cells in _rows(name, row)), target)


def reason_for(sentences: Iterable[str], person: int, label: str, why: str | None = None) -> str:
    """Return what a verdict says of one person.

    That is the sentence that names them; or else the first one, where that names nobody; or else what their label says.

    Args:
        sentences: Reasons and warnings of the verdict, most important first.
        person: Their number.
        label: Their label.
        why: Why they could not be judged, None where they could.
    """
    about = [(text, {int(number) for number in _PERSON.findall(text)}) for text in sentences]
    for text, people in about:
        if person in people:
            return text
    if about and not about[0][1] and why is None:
        return about[0][0]
    return _UNJUDGED[why] if why else _JUDGED[label]


def _rows(name: str, row: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    start = name, row["sha256"] or "", row["label"] or row["status"]
    if not row["faces"]:
        yield (*start, *[""] * 7, row["reasons"][0] if row["reasons"] else "")
    why = {unjudged["person"]: unjudged["why"] for unjudged in row.get("unjudged", ())}
    for face in row["faces"]:
        numbers = face["fake_probability"], face["start_seconds"], face["end_seconds"], face["frames"]
        spans = "; ".join(f"{span['start_seconds']}-{span['end_seconds']}" for span in face.get("spans", ()))
        person, label = face["person"], face["label"]
        reason = reason_for((*row["reasons"], *row["warnings"]), person, label, why.get(person))
        yield (*start, person, label, *numbers, spans, reason)
