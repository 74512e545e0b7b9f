"""Write who is in which file: JSON, a table, and a contact sheet."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from unmask._version import __version__
from unmask.html import render
from unmask.identities.gather import FilePeople
from unmask.identities.people import Comparison, Person
from unmask.report.csv import Target, write_table
from unmask.report.words import spans_text
from unmask.runtime.jsonable import jsonable, portable
from unmask.storage.atomic import write_file
from unmask.storage.outputs import FileForm, is_own_page, json_form, table_form
from unmask.types import Span

COLUMNS = ("person", "name", "filename", "person_in_file", "start_seconds", "end_seconds", "frames", "side_px")
"""One row for each span, for a picture one without times. ``name`` is empty where it is not known, and ends with ``?``
where it is not sure."""
TABLE = FileForm("the table", table_form(COLUMNS), "people.csv")
JSON = FileForm("the JSON", json_form("unmask", "settings", "people", "files"), "people.json")
SHEET = FileForm("the contact sheet", is_own_page, "people.html")
MAX_PICTURES = 400
"""Portraits on a contact sheet, some 3 KB each; who is in most files comes first."""
MAX_OF_ONE = 24
"""Portraits of one person on it."""


def people_row(people: Sequence[Person], files: Sequence[FilePeople], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return who is in which file as JSON-ready values; vectors and portraits are not among them."""
    return {
        "unmask": __version__,
        "settings": dict(settings),
        "people": [
            {
                "person": person.person,
                "match": jsonable(person.match),
                "appearances": [
                    {
                        "path": portable(each.file.path),
                        "person": each.seen.person,
                        "spans": jsonable(each.seen.spans),
                        "frames": each.seen.frames,
                        "side_px": each.seen.side_px,
                    }
                    for each in person.appearances
                ],
            }
            for person in people
        ],
        "files": [
            {"path": portable(file.path), "status": file.status, "reason": file.reason, "people": len(file.people)}
            for file in files
        ],
    }


def write_people_table(people: Sequence[Person], target: Target) -> None:
    """Write one row for each span of each person in each file."""
    write_table(COLUMNS, _rows(people), target)


def _rows(people: Sequence[Person]) -> Iterator[tuple[str | float, ...]]:
    for person in people:
        for each in person.appearances:
            where = person.person, name_of(person), each.file.name, each.seen.person
            for span in each.seen.spans:
                times = round(span.start_seconds, 6), round(span.end_seconds, 6)
                yield (*where, *times, span.frames, each.seen.side_px)
            if not each.seen.spans:  # a picture
                yield (*where, "", "", each.seen.frames, each.seen.side_px)


def name_of(person: Person) -> str:
    """Return a person's name, with a question mark where it is not sure; empty where there is none."""
    if person.match is None:
        return ""
    return person.match.name + "?" * (person.match.likeness != "same")


def times_of(spans: Sequence[Span]) -> str:
    """Return spans in words; empty for a picture, which has none."""
    return spans_text({"spans": [asdict(span) for span in spans]}) if spans else ""


def comparison_text(found: Comparison | None, one: FilePeople, other: FilePeople, settings: Mapping[str, Any]) -> str:
    """Return in a sentence whether two files show one person."""
    if found is None:
        empty = one if not one.people else other
        return f"nothing to compare: {empty.name}: {empty.reason}"
    below, above = settings["same_below"], settings["different_above"]
    words = {
        "same": f"the same person: the distance {found.distance:.3f} is at most {below:g}",
        "different": f"two people: the distance {found.distance:.3f} is above {above:g}",
        "inconclusive": f"cannot tell: the distance {found.distance:.3f} lies between {below:g} and {above:g}",
    }
    several = [f"{file.name} shows {len(file.people)} people" for file in (one, other) if len(file.people) > 1]
    which = f" ({' and '.join(several)}; the nearest two count, numbers {found.one.person} and {found.other.person})"
    return words[found.likeness] + (which if several else "")


def write_sheet(people: Sequence[Person], files: Sequence[FilePeople], settings: Mapping[str, Any], path: Path) -> None:
    """Write the contact sheet: the people with their portraits, and the files in which nobody was seen."""
    shown, room = [], MAX_PICTURES
    for person in people:
        pictures = person.appearances[: min(MAX_OF_ONE, room)]
        room -= len(pictures)
        shown.append(
            {
                "number": person.person,
                "match": person.match,
                "count": len(person.appearances),
                "pictures": [
                    {
                        "jpeg": base64.b64encode(each.seen.thumbnail_jpeg).decode(),
                        "name": _readable(each.file.name),
                        "times": times_of(each.seen.spans),
                    }
                    for each in pictures
                ],
            }
        )
    content = render(
        "unmask.identities",
        "people.html.j2",
        people=shown,
        files=len(files),
        nobody=[(_readable(file.name), file.reason) for file in files if not file.people],
        settings=settings,
        version=__version__,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_file(path, content)


def _readable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
