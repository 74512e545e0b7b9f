"""Judge a file that holds several films: front and rear camera, two programmes, two views. The worst one counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from unmask.errors import CrashedError, InputError, TimedOutError
from unmask.report.words import probability_text
from unmask.types import Verdict

MAX_FILMS = 8
"""Films of one file that are judged; what there is beyond is named."""
_GRAVITY = {None: 0, "real": 1, "inconclusive": 2, "fake": 3}


def judge_films(scan: Callable[[int], Verdict]) -> Verdict:
    """Judge all films of a file; return the verdict of the most suspicious one, which names the others.

    Args:
        scan: Judges the film of a number, from 1.

    Raises:
        InputError: The first film cannot be read.
    """
    first = scan(1)
    films = first.media.films if first.media else 1
    if films < 2:
        return _told(first, [])
    found: list[tuple[int, Verdict | str]] = [(1, first)]
    for film in range(2, min(films, MAX_FILMS) + 1):
        try:
            found.append((film, scan(film)))
        except InputError as error:
            if isinstance(error, TimedOutError | CrashedError):  # a cost of the file, whichever film it is
                raise
            found.append((film, str(error)))
    verdicts = [(film, verdict) for film, verdict in found if isinstance(verdict, Verdict)]
    number, worst = max(verdicts, key=lambda item: (_GRAVITY[item[1].label], item[1].fake_probability or 0, -item[0]))
    told = [f"The file holds {films} films (picture tracks); this is the verdict on film {number}."]
    told += [f"Film {film}: {_summary(outcome)}." for film, outcome in found if film != number]
    if films > MAX_FILMS:
        told.append(f"Films {MAX_FILMS + 1} to {films} were not looked at; scan them as files of their own.")
    return _told(worst, told)


def _told(verdict: Verdict, sentences: list[str]) -> Verdict:
    others = verdict.media.other_pictures if verdict.media else 0
    if others and verdict.label is not None:
        what = "1 more picture track, which was" if others == 1 else f"{others} more picture tracks, which were"
        sentences = [*sentences, f"The file holds {what} not looked at: previews, or of a codec that is not read."]
    return replace(verdict, warnings=(*verdict.warnings, *sentences)) if sentences else verdict


def _summary(outcome: Verdict | str) -> str:
    if isinstance(outcome, str):
        return f"not judged ({outcome})"
    if outcome.fake_probability is None:
        return outcome.label or outcome.status.replace("_", " ")
    return f"{outcome.label} ({probability_text(outcome.fake_probability)})"
