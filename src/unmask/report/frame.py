"""Verdicts as a table of pandas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from unmask.errors import UsageError
from unmask.report.people import reason_for
from unmask.types import Verdict


def to_pandas(verdicts: Iterable[Verdict], *, people: bool = False) -> Any:
    """Return verdicts as a `pandas.DataFrame`, one row each, in their order.

    Columns: ``path, status, label, fake_probability, reason, people, frames_decoded, duration_seconds, width, height,
    sha256``; what a verdict does not have is missing. With ``people``, one row for each person: ``path, person, label,
    fake_probability, start_seconds, end_seconds, frames, region, reason``.

    Args:
        verdicts: As `Scanner.scan_many` yields them.
        people: One row for each person.

    Raises:
        UsageError: pandas is not installed.
    """
    try:
        import pandas as pd  # not at the top: unmask does without
    except ModuleNotFoundError as error:
        raise UsageError("a table of verdicts needs pandas, which is not installed: pip install pandas") from error
    make, columns = (_people, _PERSON_COLUMNS) if people else (_verdict, _COLUMNS)
    return pd.DataFrame([row for verdict in verdicts for row in make(verdict)], columns=columns)


_COLUMNS = [
    "path", "status", "label", "fake_probability", "reason", "people", "frames_decoded", "duration_seconds", "width",
    "height", "sha256",
]  # fmt: skip
_PERSON_COLUMNS = [
    "path", "person", "label", "fake_probability", "start_seconds", "end_seconds", "frames", "region", "reason",
]  # fmt: skip


def _verdict(verdict: Verdict) -> list[tuple[Any, ...]]:
    media = verdict.media
    facts = (None, None, None) if media is None else (media.duration_seconds, media.width, media.height)
    reason = verdict.reasons[0] if verdict.reasons else None
    answer = verdict.path, verdict.status, verdict.label, verdict.fake_probability, reason
    return [(*answer, len(verdict.faces), verdict.frames_decoded, *facts, verdict.sha256)]


def _people(verdict: Verdict) -> list[tuple[Any, ...]]:
    sentences = (*verdict.reasons, *verdict.warnings)
    why = {unjudged.person: unjudged.why for unjudged in verdict.unjudged}
    return [
        (
            verdict.path,
            face.person,
            face.label,
            face.fake_probability,
            face.start_seconds,
            face.end_seconds,
            face.frames,
            face.region,
            reason_for(sentences, face.person, face.label, why.get(face.person)),
        )
        for face in verdict.faces
    ]
