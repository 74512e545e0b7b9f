"""From a dataset to crops for training: boxes -> crops -> landmarks -> diffs -> folds, in one pass over each video.

Faces are looked for in originals only; their boxes serve the fakes made from them, so that the crops of a pair show the
same pixels. An original and its fakes form a family, and families are prepared in parallel. The manifest remembers
what each step of each clip was made from, so that a run that was killed goes on where it was, and what an earlier step
has made anew takes what hangs on it along.

Method: selimsef/dfdc_deepfake_challenge, mended: true frame numbers, any number of faces and frames, differences that
do not wrap around, and nothing skipped in silence.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from unmask._version import __version__
from unmask.datasets.index import Clip, Index, require_clips
from unmask.datasets.parquet import require_pyarrow
from unmask.errors import DISK_FAULTS, InputError, UnmaskError, UsageError
from unmask.media.regular import open_regular, sha256_of
from unmask.prepare.aligned import write_tube_list
from unmask.prepare.clip_steps import ClipSteps, CropStore, Leader, Prepared, Settings, UnlikeLeaderError
from unmask.prepare.folds import FOLDS, FoldRule, assign_folds, find_leaks, fold_warnings
from unmask.prepare.layout import IMAGE_FORMATS, list_crops, write_folds, write_table
from unmask.runtime.opencv import one_thread
from unmask.runtime.parallel import Failure, Stopped, cores, map_items
from unmask.storage.atomic import atomic_file, scratch_folder, sweep
from unmask.storage.rowlog import Row, RowLog

log = logging.getLogger(__name__)

STEPS = ("boxes", "crops", "landmarks", "diffs", "tubes", "folds")
DEFAULT_STEPS = ("boxes", "crops", "landmarks", "diffs", "folds")
"""All but RobustForensics' form."""
MANIFEST = "manifest.jsonl"

_FORMAT_VERSION = 1
"""Raised when the same settings give other files."""
_LEADER_STEPS = ("boxes", "crops", "landmarks", "tubes")
_FOLLOWER_STEPS = ("crops", "diffs", "tubes")
_FOLDERS = {"boxes": "boxes", "crops": "crops", "landmarks": "landmarks", "diffs": "diffs", "tubes": "aligned"}
_FILE_FAULTS = ("unreadable", "unsupported", "no_video")
"""Statuses that the same bytes would get again, whatever the limits."""
_FIELDS = frozenset({"id", "status", "leader", "sha256", "size_bytes", "mtime_ns", "width", "height", "steps", "notes"})


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
    warnings: tuple[str, ...]
    """What is wrong with the folds, in sentences."""
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
        folds: int = FOLDS,
        fold_rule: FoldRule = "auto",
        workers: int | None = None,
        resume: bool = False,
    ) -> None:
        """Claim the output folder.

        Args:
            index: The dataset.
            out: The folder to fill; see `unmask.prepare.layout`.
            steps: Out of `STEPS`; earlier ones must have been done before when they are left out.
            settings: How; the winner's by default.
            folds: Number of folds.
            fold_rule: How they are cut; see `unmask.prepare.folds.assign_folds`.
            workers: Families under way at a time; None for one per core.
            resume: Go on with what an earlier run left in ``out``.

        Raises:
            UsageError: An argument makes no sense, pyarrow is missing, or ``out`` is in use or holds an earlier run or
                somebody else's files.
        """
        self._index, self._out, self._steps = index, out, tuple(step for step in STEPS if step in steps)
        self._settings, self._folds, self._fold_rule = settings or Settings(), folds, fold_rule
        self._workers, self._stopping = workers or cores(), threading.Event()
        self._check(steps)
        self._clip_steps = ClipSteps(out, self._settings, self._stopping)
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / MANIFEST, lambda row: row["id"] if row.keys() >= _FIELDS else None)
        try:
            self._claim(resume)
        except UsageError:
            self._log.close()
            raise

    def _check(self, steps: Sequence[str]) -> None:
        unknown = sorted(set(steps) - set(STEPS))
        if unknown or not steps:
            raise UsageError(f"unknown steps {', '.join(unknown) or '(none)'}; use some of {', '.join(STEPS)}")
        if self._settings.every < 1:
            raise UsageError(f"cannot keep every {self._settings.every}th frame; use at least 1")
        if self._settings.image_format not in IMAGE_FORMATS:
            raise UsageError(f"unknown format {self._settings.image_format!r}; use one of {', '.join(IMAGE_FORMATS)}")
        require_clips(self._index)
        require_pyarrow()

    def _claim(self, resume: bool) -> None:
        """Refuse to write over what is not ours, and clean up after a run that was killed."""
        folders = [self._out / folder for folder in _FOLDERS.values()]
        if not self._log.was_empty:
            if not resume:
                raise UsageError(f"{self._out} holds an earlier run; go on with --resume, or name another folder")
            sweep(self._out, *folders, self._out / "retinaface")
            return
        asked = [self._out / _FOLDERS[step] for step in self._steps if step in _FOLDERS]
        foreign = [folder.name for folder in asked if folder.exists()]
        if foreign:
            raise UsageError(
                f"{self._out} already holds {', '.join(foreign)}, which unmask did not write; leave these steps out, "
                "or name another folder"
            )
        self._log.append("", {"unmask": __version__})  # from now on, what is here is ours

    def run(self) -> Iterator[Row]:
        """Prepare all clips and yield one row for each, as in the manifest."""
        if self._steps == ("folds",):
            return
        with one_thread():
            for _, outcome in map_items(self._family, families(self._index), self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield from outcome

    def _family(self, family: Family) -> list[Row]:
        first = self._clip(family.leader, None)
        if first["status"] not in ("ok", "no_face"):
            orphaned = "its original cannot be used: it has its own boxes and no difference masks"
            return [first, *(self._clip(clip, None, orphaned) for clip in family.followers)]
        leader = Leader(
            family.leader.id,
            self._index.path_of(family.leader),
            first["sha256"],
            self._boxes_key(family.leader.id, first),
            first["steps"].get("tubes", {}).get("source"),
            (first["width"], first["height"]),
            CropStore(self._out / "crops" / family.leader.id),
        )
        with ExitStack() as stack:
            if self._settings.image_format != "png" and "diffs" in self._steps:
                spool = stack.enter_context(scratch_folder(self._out))
                leader = replace(leader, crops=CropStore(spool), lossy=True)
            return [first, *(self._clip(clip, leader) for clip in family.followers)]

    def _clip(self, clip: Clip, leader: Leader | None, note: str | None = None) -> Row:
        """Do what is left to do of one clip; return its row."""
        path, old = self._index.path_of(clip), self._log.get(clip.id)
        stamp = _stamp(path)
        sha256 = _sha256(path, stamp, old)
        known = old if old is not None and old["sha256"] == sha256 else None
        if known is not None and known["status"] in _FILE_FAULTS:
            return known
        sources = self._sources(clip.id, sha256, known, leader)
        keys = {step: _hash(step, source, self._own_settings(step)) for step, source in sources.items()}
        missing = [step for step in keys if step in self._steps and not self._is_done(clip, known, step, keys[step])]
        kept = {
            step: record
            for step, record in (known["steps"] if known else {}).items()
            if step not in missing and record["source"] == sources.get(step)
        }
        row: Row = {"id": clip.id, "status": "ok", "leader": leader.id if leader else "", "sha256": sha256, **stamp}
        row |= {key: known[key] for key in ("status", "width", "height", "notes")} if known else {"notes": {}}
        row = {"width": None, "height": None} | row | {"steps": kept, "notes": _noted(row["notes"], kept, note)}
        if row["status"] not in ("ok", "no_face"):
            row["status"] = "ok"
        try:
            if missing:
                saved = self._has_saved_crops(clip.id, known, keys["crops"])
                done = self._clip_steps.run(clip.id, path, leader, missing, saved)
                row |= _success(row, done, keys, sources)
        except UnlikeLeaderError as error:
            return self._clip(clip, None, str(error))
        except (Stopped, UsageError):
            raise
        except Exception as error:  # one clip never stops the rest
            if isinstance(error, OSError) and error.errno in DISK_FAULTS:
                raise
            row |= _failure(clip, error, kept)
        if row != old:
            self._remove_all_but(row["steps"], clip.id, old)
            self._log.append(clip.id, row)
        return row

    def _sources(self, name: str, sha256: str, known: Row | None, leader: Leader | None) -> dict[str, str]:
        """Return for each step that a clip can have a hash of what its files are made from, settings aside."""
        texts = self._clip_steps.texts_key(name) if leader is None else None
        if leader is not None:
            pair = _hash(leader.boxes_key, leader.sha256, sha256, self._settings.every)
            return {"crops": pair, "diffs": pair, "tubes": _hash(leader.tubes_key, sha256)}
        detection = asdict(self._settings.detection)
        found = _hash(texts, detection, self._settings.every, sha256)
        boxes = _hash("boxes", found, self._own_settings("boxes")) if "boxes" in self._steps else None
        cut = _hash(boxes or self._boxes_key(name, known), sha256, self._settings.every)
        return {"boxes": found, "crops": cut, "landmarks": cut, "tubes": found}

    def _own_settings(self, step: str) -> dict[str, Any]:
        """Return the settings that count for one step alone."""
        if step == "landmarks":
            return asdict(self._settings.landmark_detection)
        return {"image_format": self._settings.image_format} if step in ("crops", "tubes") else {}

    def _boxes_key(self, name: str, row: Row | None) -> str | None:
        """Name the boxes that are there: by the key of the step, or, of somebody else's, by their content."""
        if row is not None and "boxes" in row["steps"]:
            return str(row["steps"]["boxes"]["key"])
        path = self._out / "boxes" / f"{name}.json"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

    def _has_saved_crops(self, name: str, row: Row | None, key: str) -> bool:
        """Whether lossless crops are there that these settings would cut; somebody else's are taken as they are."""
        record = row["steps"].get("crops") if row else None
        if record is not None:
            return self._settings.image_format == "png" and record["key"] == key
        return next((self._out / "crops" / name).glob("*.png"), None) is not None

    def _is_done(self, clip: Clip, row: Row | None, step: str, key: str) -> bool:
        """Whether the files of a step are those that these settings would give, and all still there."""
        record = row["steps"].get(step) if row else None
        if record is None or record["key"] != key:
            return False
        try:
            if step == "boxes":
                sizes = [(self._out / "boxes" / f"{clip.id}.json").stat().st_size]
            else:
                sizes = [entry.stat().st_size for entry in os.scandir(self._out / _FOLDERS[step] / clip.id)]
        except OSError:
            return False
        return [len(sizes), sum(sizes)] == record["files"]

    def _remove_all_but(self, steps: dict[str, Any], name: str, old: Row | None) -> None:
        """Delete what an earlier run made of a clip and what is not valid any more."""
        for step in set(old["steps"] if old else ()) - set(steps):
            if step == "boxes":
                (self._out / "boxes" / f"{name}.json").unlink(missing_ok=True)
            else:
                shutil.rmtree(self._out / _FOLDERS[step] / name, ignore_errors=True)

    def finish(self) -> Outcome:
        """Write folds.csv when asked for, skipped.csv, index.parquet, prepare.json and the tidied manifest."""
        self._index.write(self._out / "index.parquet")
        names = [clip.id for clip in self._index.clips if clip.id in self._log]
        skipped = tuple((row["id"], text) for row in self._log.rows(names) for text in row["notes"].values())
        write_table(skipped, ("video", "what"), self._out / "skipped.csv")
        if "tubes" in self._steps:
            write_tube_list(self._index.clips, self._out, self._settings.image_format, self._settings.every)
        warnings: list[str] = []
        crops = 0
        if "folds" in self._steps:
            crops, warnings = self._write_folds(names)
        settings = {"unmask": __version__, "steps": self._steps, "folds": self._folds, "fold_rule": self._fold_rule}
        with atomic_file(self._out / "prepare.json") as file:
            file.write(json.dumps(settings | asdict(self._settings), indent=1).encode() + b"\n")
        self._log.tidy(names)
        return Outcome(skipped, tuple(warnings), crops)

    def _write_folds(self, names: Sequence[str]) -> tuple[int, list[str]]:
        clips = [clip for clip in self._index.clips if clip.label is not None]
        sha256 = {row["id"]: row["sha256"] for row in self._log.rows(names) if row["sha256"]}
        fold_of = assign_folds(clips, self._fold_rule, self._folds, sha256=sha256)
        warnings = fold_warnings(clips, fold_of, self._folds) + find_leaks(clips, fold_of, sha256)
        if unlabelled := len(self._index.clips) - len(clips):
            warnings.append(f"{unlabelled} clips have no label and are left out")
        leader_of = {row["id"]: row["leader"] or row["id"] for row in self._log.rows(names)}
        count = write_folds(list_crops(clips, fold_of, leader_of, self._out / "crops"), self._out / "folds.csv")
        return count, warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()


def _hash(*facts: Any) -> str:
    return hashlib.sha256(json.dumps([_FORMAT_VERSION, *facts], sort_keys=True).encode()).hexdigest()[:16]


def _failure(clip: Clip, error: Exception, kept: dict[str, Any]) -> Row:
    if isinstance(error, InputError):
        return {"status": error.status, "steps": {}, "notes": {"video": str(error)}}
    if isinstance(error, UnmaskError):
        return {"status": "skipped", "steps": kept, "notes": {"video": str(error)}}
    log.exception("preparing %r failed", clip.path)
    text = f"unmask failed, not the file: {type(error).__name__}: {error}"
    return {"status": "internal_error", "steps": kept, "notes": {"video": text}}


def _success(row: Row, done: Prepared, keys: dict[str, str], sources: dict[str, str]) -> Row:
    new = {step: {"key": keys[step], "source": sources[step], "files": files} for step, files in done.files.items()}
    notes = {step: text for step, text in row["notes"].items() if step not in done.files} | done.notes
    known: Row = {"steps": dict(sorted((row["steps"] | new).items()))}
    if done.facts is not None:
        known |= {"width": done.facts.width, "height": done.facts.height, "status": "ok" if done.faces else "no_face"}
        notes.pop("faces", None)
        if not done.faces:
            notes["faces"] = "no face was found"
        if "video" not in done.notes:
            notes.pop("video", None)
    return known | {"notes": dict(sorted(notes.items()))}


def _noted(notes: dict[str, str], steps: dict[str, Any], pair: str | None) -> dict[str, str]:
    """Return the notes that still hold, with what is to be said of the pair."""
    kept = {name: text for name, text in notes.items() if name in steps or name in ("video", "faces")}
    return kept if pair is None else dict(sorted((kept | {"pair": pair}).items()))


def _stamp(path: Path) -> dict[str, int | None]:
    try:
        facts = path.stat()
    except OSError:
        return {"size_bytes": None, "mtime_ns": None}
    return {"size_bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}


def _sha256(path: Path, stamp: dict[str, int | None], old: Row | None) -> str:
    """Hash a clip; one whose size and time have not changed is not read again. Empty when it cannot be read."""
    if old is not None and stamp["size_bytes"] is not None and stamp.items() <= old.items():
        return str(old["sha256"])
    try:
        with open_regular(path) as file:
            return sha256_of(file)
    except (InputError, OSError):
        return ""
