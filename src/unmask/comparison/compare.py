"""The whole flow in one function: two files -> fingerprints -> alignment -> pairs of frames -> faces -> answer."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from unmask.compared import AlignedBy, Comparison, FaceComparison
from unmask.comparison.alignment import Alignment, align, refine
from unmask.comparison.answer import NOT_THE_SAME, alignment_reasons, answer_of
from unmask.comparison.differences import MomentDifference, measure
from unmask.comparison.fingerprint import FRAMES_A_SECOND, MAX_FRAMES, fingerprint
from unmask.comparison.levelling import levelled
from unmask.comparison.pairs import When, read_moments
from unmask.comparison.people import SeenPair, compared_people, seen_pair
from unmask.comparison.placement import Placement
from unmask.errors import DownloadError, InputError, UsageError
from unmask.media import Shots, SignatureLog, Video, hashed, open_video_file
from unmask.media.video import Decode
from unmask.net.address import without_password
from unmask.scan.crowd import Crowd
from unmask.scan.decide import judge
from unmask.scan.inputs import open_input
from unmask.scan.people import number_people
from unmask.scan.scanner import Scanner
from unmask.scan.scores import FaceScores
from unmask.scan.timeline import timeline_of
from unmask.types import Frame

PathLike = str | os.PathLike[str]

MIN_FRAMES = 8
"""Frames that a film must have to be compared."""
CLOSER = 4
"""Times as many pairs of frames are compared where the first ones show each person too shortly."""


def compare(suspect: PathLike, original: PathLike, scanner: Scanner | None = None) -> Comparison:
    """Compare a clip with the original that it was perhaps made from.

    Both are files, or https addresses, which are fetched first. Frames that show the same moment are paired, whatever
    offset, speed, cut, size, mirroring, bars, codec or mark lies between them, and each face of the suspect is
    compared with the same place of the original: where they differ, and what the model scores in both.

    Args:
        suspect: The clip in question.
        original: The clip that it was perhaps made from.
        scanner: Whose models, frames and limits count; None for the bundled model. Keep it where many are compared.

    Raises:
        InputError: One of the files cannot be read; the message names it.
        DownloadError: One cannot be fetched.
        UsageError: Both are the same file, or one of them is a picture or too short.
    """
    started = time.perf_counter()
    scanner = scanner or Scanner()
    with _opened(suspect, "suspect", scanner) as a, _opened(original, "original", scanner) as b:
        if a.facts.sha256 == b.facts.sha256:
            raise UsageError("suspect and original are the same file, byte for byte; name two files")
        found = _compared(a, b, scanner)
    return replace(
        found,
        suspect=without_password(os.fspath(suspect)),
        original=without_password(os.fspath(original)),
        elapsed_seconds=time.perf_counter() - started,
    )


def _compared(suspect: Video, original: Video, scanner: Scanner) -> Comparison:
    """Compare two open films: the flow, from their frames to the answer."""
    known = Comparison(
        "",
        "",
        "not_the_same_footage",
        (),
        warnings=_warnings(suspect, original),
        suspect_media=suspect.facts,
        original_media=original.facts,
        models=scanner.models,
        settings=scanner.settings | {"hash": scanner.settings_hash},
    )
    rough = align(fingerprint(suspect), fingerprint(original))  # films -> fingerprints -> alignment
    if rough is None:
        return replace(known, reasons=(NOT_THE_SAME,))
    alignment = refine(suspect, original, rough)
    people, faces = _compared_at(suspect, original, alignment, scanner, scanner.options.frames)
    if people and all(person.changed is None for person in people):  # each is seen too shortly: look closer
        people, faces = _compared_at(suspect, original, alignment, scanner, CLOSER * scanner.options.frames)
    outcome, reasons = answer_of(people, faces.count)
    return replace(
        known,
        outcome=outcome,
        reasons=(*reasons, *alignment_reasons(alignment)),
        warnings=(*known.warnings, *faces.crowd.warnings()),
        alignment=_aligned_by(alignment, suspect),
        faces=tuple(people),
        frames_compared=faces.count,
    )


def _compared_at(
    suspect: Video, original: Video, alignment: Alignment, scanner: Scanner, count: int
) -> tuple[list[FaceComparison], _SeenFaces]:
    """Compare the people of ``count`` pairs of frames: pairs -> differences and scores -> people."""
    faces = _SeenFaces(scanner, suspect)
    min_side_px = max(card.crop.min_side_px for card in scanner.cards)
    when = When(alignment.line, alignment.span_seconds, alignment.mirrored)
    for moment in read_moments(suspect, original, when, count, faces.log):
        found = faces.crowd.look(moment.suspect.image_HW3)
        faces.add(measure(moment, found, alignment.placement, min_side_px), alignment.placement)
    return faces.compared(scanner), faces


class _SeenFaces:
    """The faces of all pairs of frames: how they differ, and what the models score on both sides."""

    def __init__(self, scanner: Scanner, suspect: Video) -> None:
        self.log, self.count = SignatureLog(), 0
        self.crowd = Crowd(scanner.detector, scanner.limits.seconds, suspect.facts.duration_seconds)
        self._pairs: list[SeenPair] = []
        self._cutter, self._timeline = scanner.cutter, timeline_of(suspect)
        self._sides = tuple(FaceScores(scanner.networks, max_faces=None) for _ in range(2))
        for side in self._sides:
            side.ask(len(scanner.networks))

    def add(self, measured: MomentDifference, placement: Placement) -> None:
        """Take a pair of frames: its faces go to the models, its views and maps are kept compressed."""
        moment, number = measured.moment, self.count
        self.count += 1
        self._pairs.append(seen_pair(measured, placement))
        faces = [face.face for face in measured.faces]
        frames = levelled(moment.suspect, moment.originals[0], placement) if faces else (moment.suspect, moment.suspect)
        for side, frame in zip(self._sides, frames, strict=True):
            numbered = replace(frame, index=number, time_seconds=moment.suspect.time_seconds)
            side.add(numbered, self._cutter.cut(numbered, faces))

    def compared(self, scanner: Scanner) -> list[FaceComparison]:
        """Wait for the scores; return one comparison for each person, the most different first."""
        timeline = self._timeline.with_shots(self.log) if len(self.log) else self._timeline
        indices = np.array([pair.index for pair in self._pairs], np.int64)
        # Frames are numbered by pairs here: a pair of a later shot than the one before begins a shot.
        shots = Shots(np.flatnonzero(np.diff(timeline.shots.number_of(indices), prepend=-1) > 0).astype(np.int64))
        people = number_people(self._sides[0].frames(), shots)
        scored = [side.scored_faces(people) for side in self._sides]
        if not scored[0]:
            return []
        judged = [{person.person: person for person in judge(side, scanner.cards).faces} for side in scored]
        return compared_people(self._pairs, people, scored, judged)


@contextmanager
def _opened(path: PathLike, side: str, scanner: Scanner) -> Iterator[Video]:
    """Open one of the files in a confined process of its own; what goes wrong with it names it."""
    try:
        with (
            open_input(path, scanner.limits.download_bytes) as file,
            hashed(file, scanner.limits.file_bytes) as sha256,
            open_video_file(file, sha256, scanner.limits, scanner.colours) as video,
        ):
            _check_length(video, path, side)
            yield replace(video, decode=_named_decode(video, path, side))
    except InputError as error:
        raise _named(error, path, side) from error
    except DownloadError as error:
        raise DownloadError(f"the {side}, {without_password(os.fspath(path))}: {error}", error.status) from error


def _named_decode(video: Video, path: PathLike, side: str) -> Decode:
    """Return a reader of frames whose errors name the file: both are read at a time."""

    def decode(indices: NDArray[np.int64], log: SignatureLog | None = None) -> Iterator[Frame]:
        try:
            yield from video.decode(indices, log)
        except InputError as error:
            raise _named(error, path, side) from error

    return decode


def _named(error: InputError, path: PathLike, side: str) -> InputError:
    """Return an error that says which of both files it is about."""
    if str(error).startswith(("the suspect, ", "the original, ")):
        return error
    return type(error)(f"the {side}, {without_password(os.fspath(path))}: {error}")


def _check_length(video: Video, path: PathLike, side: str) -> None:
    """Refuse what has no motion to be aligned by."""
    frames = len(video.index)
    if frames < MIN_FRAMES:
        what = "a picture" if video.facts.is_picture else f"{frames} frame{'s' * (frames != 1)} long"
        raise UsageError(
            f"the {side}, {os.fspath(path)}, is {what}; films are aligned by what moves in them: name a film of at "
            f"least {MIN_FRAMES} frames, better of some seconds"
        )


def _warnings(suspect: Video, original: Video) -> tuple[str, ...]:
    """Say what in the files limits the answer."""
    found = []
    for side, video in (("suspect", suspect), ("original", original)):
        if video.facts.films > 1:
            found.append(f"The {side} holds {video.facts.films} films; the first one was compared.")
        if video.facts.cut_short:
            found.append(f"The {side} is damaged: it ends before the data that its header lists.")
        if video.facts.duration_seconds > MAX_FRAMES / FRAMES_A_SECOND:
            minutes = video.facts.duration_seconds / 60
            found.append(
                f"The {side} is {minutes:.0f} minutes long and was searched coarsely; where no match is found, cut out "
                "the ten minutes around the scene."
            )
    return tuple(found)


def _aligned_by(alignment: Alignment, suspect: Video) -> AlignedBy:
    facts, placement = suspect.facts, alignment.placement
    corners = placement.applied(np.array([[0, 0], [facts.width, facts.height]], np.float64) - 0.5) + 0.5
    (left, top), (right, bottom) = (corners.round(2) + 0.0).tolist()  # no -0.0
    start, end = alignment.span_seconds
    return AlignedBy(
        offset_seconds=alignment.line.offset_seconds,
        rate=alignment.line.rate,
        mirrored=alignment.mirrored,
        scale_x=placement.scale_x,
        scale_y=placement.scale_y,
        xyxy_px=(left, top, right, bottom),
        start_seconds=start,
        end_seconds=end,
        likeness=alignment.line.likeness,
        points=alignment.inliers,
    )
