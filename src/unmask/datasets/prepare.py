"""From a dataset to crops for training: boxes -> crops -> landmarks -> diffs -> folds, in one pass over each video.

Faces are looked for in originals only; their boxes serve the fakes made from them, so that the crops of a pair show the
same pixels. An original and its fakes form a family, and families are prepared in parallel. The manifest remembers
what was done with which settings, so that a run that was killed goes on where it was.

Method: selimsef/dfdc_deepfake_challenge, mended: true frame numbers, any number of faces and frames, differences that
do not wrap around, and nothing skipped in silence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

import cv2

from unmask._version import __version__
from unmask.atomic import TEMPORARY_FOLDER, atomic_file
from unmask.datasets.clip_steps import ClipSteps, CropStore, Leader, Prepared, Settings, Stopped, UnlikeLeaderError
from unmask.datasets.folds import FOLDS, FoldRule, assign_folds, find_leaks
from unmask.datasets.index import Clip, Index
from unmask.datasets.layout import IMAGE_FORMATS, CropRow, parse_stem, write_folds, write_table
from unmask.engine import Failure, cores, map_items
from unmask.errors import InputError, UnmaskError, UsageError
from unmask.log import Row, RowLog
from unmask.media.container import open_regular

log = logging.getLogger(__name__)

STEPS = ("boxes", "crops", "landmarks", "diffs", "tubes", "folds")
DEFAULT_STEPS = ("boxes", "crops", "landmarks", "diffs", "folds")
"""All but RobustForensics' form."""
MANIFEST = "manifest.jsonl"

_FORMAT_VERSION = 1
"""Raised when the same settings give other files."""

_LEADER_STEPS = ("boxes", "crops", "landmarks", "tubes")
_FOLLOWER_STEPS = ("crops", "diffs", "tubes")
_FOLDERS = {"crops": "crops", "landmarks": "landmarks", "diffs": "diffs", "tubes": "aligned"}
_FILE_FAULTS = ("unreadable", "unsupported", "no_video", "rejected_limit")
"""Statuses that the same bytes would get again."""


@dataclass(frozen=True, slots=True)
class Family:
    """A clip that shows its own faces, and the fakes that were made from it."""

    leader: Clip
    followers: tuple[Clip, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run of `Preparation` came to."""

    skipped: tuple[tuple[str, str], ...]
    """Id of a clip, and what is missing of it and why, in a sentence."""
    leaks: tuple[str, ...]
    """What clips of different folds have in common, in sentences."""
    crops: int
    """Lines of folds.csv; 0 when that step was not asked for."""


def families(index: Index) -> list[Family]:
    """Group clips around their originals; a fake whose original is missing stands alone."""
    by_id = {clip.id: clip for clip in index.clips}
    followers: dict[str, list[Clip]] = defaultdict(list)
    leaders = []
    for clip in index.clips:
        if clip.original in by_id:
            followers[clip.original].append(clip)
        else:
            leaders.append(clip)
    return [Family(leader, tuple(followers[leader.id])) for leader in leaders]


class Preparation:
    """A run of ``unmask prepare``.

    with Preparation(index, Path("prepared")) as preparation:
        for row in preparation.run():          # one for each clip
            print(row["id"], row["status"])
        outcome = preparation.finish()         # folds and reports
    """

    def __init__(
        self,
        index: Index,
        out: Path,
        *,
        steps: Sequence[str] = DEFAULT_STEPS,
        settings: Settings | None = None,
        workers: int | None = None,
        folds: int = FOLDS,
        fold_rule: FoldRule = "auto",
        resume: bool = False,
    ) -> None:
        """Claim the output folder.

        Args:
            index: The dataset.
            out: The folder to fill; see `unmask.datasets.layout`.
            steps: Out of `STEPS`; earlier ones must have been done before when they are left out.
            settings: How; the winner's by default.
            folds: Number of folds.
            fold_rule: How they are cut; see `unmask.datasets.folds.assign_folds`.
            workers: Families under way at a time; None for one per core.
            resume: Go on with what an earlier run left in ``out``.

        Raises:
            UsageError: An argument makes no sense, or ``out`` is in use or holds an earlier run.
        """
        self._index, self._out, self._steps = index, out, tuple(step for step in STEPS if step in steps)
        self._settings = settings or Settings()
        self._folds, self._fold_rule = folds, fold_rule
        self._workers = workers or cores()
        self._stopping = threading.Event()
        self._check(steps)
        self._clip_steps = ClipSteps(out, self._settings, self._stopping)
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / MANIFEST, lambda row: row["id"] if row["status"] != "internal_error" else None)
        if not resume and not self._log.was_empty:
            self._log.close()
            raise UsageError(f"{out} holds an earlier run; go on with --resume, or name another folder")
        for leftover in [*out.glob(f"{TEMPORARY_FOLDER}*"), *out.glob(f"*/{TEMPORARY_FOLDER}*"), *out.rglob(".*.tmp")]:
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()

    def _check(self, steps: Sequence[str]) -> None:
        unknown = sorted(set(steps) - set(STEPS))
        if unknown or not steps:
            raise UsageError(f"unknown steps {', '.join(unknown) or '(none)'}; use some of {', '.join(STEPS)}")
        if self._settings.every < 1:
            raise UsageError(f"cannot keep every {self._settings.every}th frame; use at least 1")
        if self._settings.image_format not in IMAGE_FORMATS:
            raise UsageError(f"unknown format {self._settings.image_format!r}; use one of {', '.join(IMAGE_FORMATS)}")
        if not self._index.clips:
            raise UsageError("the dataset has no clip that can be used")

    def run(self) -> Iterator[Row]:
        """Prepare all clips and yield one row for each, as in the manifest."""
        if self._steps == ("folds",):
            return
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)  # families keep all cores busy; OpenCV's own threads would wait for each other
        try:
            for _, outcome in map_items(self._family, families(self._index), self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield from outcome
        finally:
            cv2.setNumThreads(threads)

    def _family(self, family: Family) -> list[Row]:
        first = self._clip(family.leader, None)
        if first["status"] not in ("ok", "no_face"):
            orphaned = "its original cannot be used: it has its own boxes and no difference masks"
            return [first, *(self._clip(clip, None, orphaned) for clip in family.followers)]
        leader = Leader(
            family.leader.id, self._index.path_of(family.leader), first["sha256"],
            (first["width"], first["height"]), CropStore(self._out / "crops" / family.leader.id),
        )  # fmt: skip
        with ExitStack() as stack:
            if self._settings.image_format != "png" and "diffs" in self._steps:
                spool = stack.enter_context(tempfile.TemporaryDirectory(dir=self._out, prefix=TEMPORARY_FOLDER))
                leader = replace(leader, crops=CropStore(Path(spool)), lossy=True)
            return [first, *(self._clip(clip, leader) for clip in family.followers)]

    def _clip(self, clip: Clip, leader: Leader | None, note: str | None = None) -> Row:
        """Do what is left to do of one clip; return its row."""
        path, old = self._index.path_of(clip), self._log.get(clip.id)
        sha256 = _sha256(path, old)
        if old is not None and old["sha256"] != sha256:
            old = None
        steps = _FOLLOWER_STEPS if leader else _LEADER_STEPS
        keys = {step: self._key(step, sha256, leader) for step in steps if step in self._steps}
        missing = [step for step in keys if not self._is_done(clip, old, step, keys[step])]
        if old is not None and (not missing or old["status"] in _FILE_FAULTS):
            return old
        row: Row = {"id": clip.id, "status": "ok", "sha256": sha256, **_stamp(path), "width": None, "height": None}
        row |= {"steps": {}, "notes": {}} if old is None else {k: old[k] for k in ("width", "height", "steps", "notes")}
        if not missing:
            return row
        try:
            done = self._clip_steps.run(clip.id, path, leader, missing)
        except UnlikeLeaderError as error:
            return self._clip(clip, None, str(error))
        except (Stopped, UsageError):
            raise
        except Exception as error:  # noqa: BLE001 - one clip never stops the rest
            row |= _failure(clip, error)
        else:
            row |= _success(row, done, keys, note)
        self._log.append(clip.id, row)
        return row

    def _key(self, step: str, sha256: str, leader: Leader | None) -> str:
        """Hash all that the files of a step depend on."""
        settings = asdict(self._settings)
        if step != "landmarks":
            del settings["landmark_detection"]
        if step in ("boxes", "diffs"):
            del settings["image_format"]
        facts = [_FORMAT_VERSION, step, settings, sha256, leader.sha256 if leader else None]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    def _is_done(self, clip: Clip, row: Row | None, step: str, key: str) -> bool:
        """Whether the files of a step are those that these settings would give, and all still there."""
        known = row["steps"].get(step) if row else None
        if known is None or known["key"] != key:
            return False
        try:
            if step == "boxes":
                sizes = [(self._out / "boxes" / f"{clip.id}.json").stat().st_size]
            else:
                sizes = [entry.stat().st_size for entry in os.scandir(self._out / _FOLDERS[step] / clip.id)]
        except OSError:
            return False
        return [len(sizes), sum(sizes)] == known["files"]

    def finish(self) -> Outcome:
        """Write folds.csv when asked for, skipped.csv, index.parquet, prepare.json and the tidied manifest."""
        rows = {clip.id: row for clip in self._index.clips if (row := self._log.get(clip.id)) is not None}
        skipped = tuple((name, text) for name, row in rows.items() for text in row["notes"].values())
        crops: list[CropRow] = []
        leaks: list[str] = []
        if "folds" in self._steps:
            crops, leaks = self._assign_folds({name: row["sha256"] for name, row in rows.items() if row["sha256"]})
            write_folds(crops, self._out / "folds.csv")
        if "tubes" in self._steps:
            self._write_tube_list()
        self._index.write(self._out / "index.parquet")
        write_table(skipped, ("video", "what"), self._out / "skipped.csv")
        settings = {"unmask": __version__, "folds": self._fold_rule, **asdict(self._settings)}
        with atomic_file(self._out / "prepare.json") as file:
            file.write(json.dumps(settings, indent=1).encode() + b"\n")
        self._log.tidy(rows)
        return Outcome(skipped, tuple(leaks), len(crops))

    def _write_tube_list(self) -> None:
        """Write tubes.txt, as RobustForensics lists images: pattern, first frame, stride, count, label."""
        suffix, every = self._settings.image_format, self._settings.every
        with atomic_file(self._out / "tubes.txt") as file:
            for clip in self._index.clips:
                first = sorted((self._out / "aligned" / clip.id).glob(f"frame1_face*.{suffix}"))
                for path in first if clip.label else ():
                    face = path.stem.rpartition("face")[2]
                    count = len(list(path.parent.glob(f"frame*_face{face}.{suffix}")))
                    pattern = f"{clip.id}/frame%d_face{face}.{suffix}"
                    file.write(f"{pattern} 1 {every} {count} {int(clip.label == 'fake')}\n".encode())

    def _assign_folds(self, sha256: dict[str, str]) -> tuple[list[CropRow], list[str]]:
        clips = [clip for clip in self._index.clips if clip.label is not None]
        fold_of = assign_folds(clips, self._fold_rule, self._folds, sha256=sha256)
        known = {clip.id for clip in clips}
        rows = []
        for clip in clips:
            # A fake that was cut with its own boxes has its own landmarks, and no pair.
            paired = clip.original in known and not (self._out / "boxes" / f"{clip.id}.json").exists()
            original = clip.original if paired and clip.original else clip.id
            for (frame, _), name in _list_crops(self._out / "crops" / clip.id):
                rows.append(CropRow(clip.id, name, int(clip.label == "fake"), original, frame, fold_of[clip.id]))
        return rows, find_leaks(clips, fold_of, sha256)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()


def _list_crops(folder: Path) -> list[tuple[tuple[int, int], str]]:
    paths = folder.iterdir() if folder.is_dir() else ()
    return sorted((place, path.name) for path in paths if (place := parse_stem(path.stem)) is not None)


def _failure(clip: Clip, error: Exception) -> Row:
    status: str = error.status if isinstance(error, InputError) else "skipped"
    text = str(error)
    if not isinstance(error, UnmaskError):
        status = "internal_error"
        log.exception("preparing %r failed", clip.path)
        text = f"unmask failed, not the file: {type(error).__name__}: {error}"
    return {"status": status, "steps": {}, "notes": {"video": text}}


def _success(row: Row, done: Prepared, keys: dict[str, str], note: str | None) -> Row:
    steps = row["steps"] | {step: {"key": keys[step], "files": files} for step, files in done.files.items()}
    notes = {step: text for step, text in row["notes"].items() if step not in ("video", *done.files)} | done.notes
    if note is not None:
        notes["pair"] = note
    known: Row = {"status": "ok", "steps": dict(sorted(steps.items())), "notes": dict(sorted(notes.items()))}
    if done.facts is None:
        return known
    if not done.faces:
        known |= {"status": "no_face", "notes": known["notes"] | {"video": "no face was found"}}
    return known | {"width": done.facts.width, "height": done.facts.height}


def _stamp(path: Path) -> Row:
    try:
        facts = path.stat()
    except OSError:
        return {"size_bytes": None, "mtime_ns": None}
    return {"size_bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}


def _sha256(path: Path, old: Row | None) -> str:
    """Hash a clip; one whose size and time have not changed is not read again. Empty when it cannot be read."""
    if old is not None and old["size_bytes"] is not None and _stamp(path).items() <= old.items():
        return str(old["sha256"])
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (InputError, OSError):
        return ""
