"""Prepare a dataset for training: boxes -> crops -> landmarks -> diffs -> folds, in one pass over each video.

Originals only are searched for faces; their boxes serve the fakes made from them, so that the crops of a pair show the
same pixels. An original and its fakes form a family, and families are prepared in parallel. The manifest records what
each step of each clip was made from. So a run that was killed goes on where it was, and when a step is done again, the
steps that depend on it are done again too.

Method: selimsef/dfdc_deepfake_challenge, with true frame numbers, any number of faces and frames, differences that do
not wrap around, and nothing skipped without a report.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from unmask._version import __version__
from unmask.datasets.index import Clip, Index, require_clips
from unmask.datasets.parquet import require_pyarrow
from unmask.errors import DISK_FAULTS, ChangedError, InputError, UsageError
from unmask.media import open_video
from unmask.prepare.aligned import write_tube_list
from unmask.prepare.clip_steps import ClipSteps, CropStore, Leader, Prepared, Settings, UnlikeLeaderError
from unmask.prepare.folds import FOLDS, FoldRule, assign_folds, find_leaks, fold_warnings
from unmask.prepare.layout import IMAGE_FORMATS, list_crops, write_folds, write_table
from unmask.prepare.manifest import (
    ClipRecord,
    FileStamp,
    StepRecord,
    carried_over,
    count_files,
    hash_clip,
    with_failure,
)
from unmask.runtime.opencv import one_thread
from unmask.runtime.parallel import Failure, Stopped, cores, map_items, stop_check
from unmask.storage.atomic import atomic_file, scratch_folder, sweep
from unmask.storage.rowlog import RowLog

STEPS = ("boxes", "crops", "landmarks", "diffs", "tubes", "folds")
DEFAULT_STEPS = ("boxes", "crops", "landmarks", "diffs", "folds")
"""All but RobustForensics' form."""
MANIFEST = "manifest.jsonl"
SETTINGS_FILE = "prepare.json"

_USUAL = Settings()
_FORMAT_VERSION = 1
"""Raised when the same settings give other files."""
_LEADER_STEPS = ("boxes", "crops", "landmarks", "tubes")
_FOLLOWER_STEPS = ("crops", "diffs", "tubes")
_FOLDERS = {"boxes": "boxes", "crops": "crops", "landmarks": "landmarks", "diffs": "diffs", "tubes": "aligned"}
_FILE_FAULTS = ("unreadable", "unsupported", "no_video")
"""Statuses that the same bytes would get again, whatever the limits."""


@dataclass(frozen=True, slots=True)
class Family:
    """A clip that shows its own faces, and the fakes that were made from it."""

    leader: Clip
    """The clip that is searched for faces."""
    followers: tuple[Clip, ...]
    """The fakes that use its boxes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run of `Preparation`."""

    skipped: tuple[tuple[str, str], ...]
    """Id of a clip, and a sentence that says what of it is missing and why."""
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
        for clip in preparation.run():
            print(clip.id, clip.status)
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
                files that unmask did not write.
        """
        self._index, self._out, self._steps = index, out, tuple(step for step in STEPS if step in steps)
        self._settings, self._folds, self._fold_rule = settings or Settings(), folds, fold_rule
        self._workers, self._stopping = workers or cores(), threading.Event()
        self._check(steps)
        self._clip_steps = ClipSteps(out, self._settings, self._stopping)
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / MANIFEST, lambda row: ClipRecord.from_row(row).id)
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
        """Refuse to write over files of another program, and clean up after a run that was killed."""
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
        self._log.append("", {"unmask": __version__})  # marks the folder as ours

    def run(self) -> Iterator[ClipRecord]:
        """Prepare all clips and yield the record of each, as in the manifest."""
        if self._steps == ("folds",):
            return
        with one_thread():
            for _, outcome in map_items(self._family, families(self._index), self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield from outcome

    def _family(self, family: Family) -> list[ClipRecord]:
        lost = "its original is not in the dataset: it has its own boxes and no difference masks"
        first = self._clip(family.leader, None, lost if family.leader.original else None)
        if not first.is_prepared:
            orphaned = "its original cannot be used: it has its own boxes and no difference masks"
            return [first, *(self._clip(clip, None, orphaned) for clip in family.followers)]
        leader = Leader(
            family.leader.id,
            self._index.path_of(family.leader),
            first.sha256,
            self._boxes_key(family.leader.id, first),
            first.steps["tubes"].source if "tubes" in first.steps else None,
            (first.width, first.height),
            CropStore(self._out / "crops" / family.leader.id),
        )
        with ExitStack() as stack:
            if self._settings.image_format != "png" and "diffs" in self._steps:
                spool = stack.enter_context(scratch_folder(self._out))
                leader = replace(leader, crops=CropStore(spool), lossy=True)
            return [first, *(self._follower(clip, leader) for clip in family.followers)]

    def _follower(self, clip: Clip, leader: Leader) -> ClipRecord:
        """Do the steps of a fake: with its original's boxes, or with its own where the frames differ in size."""
        try:
            if "crops" not in self._steps:  # cutting crops opens the clip and compares the sizes
                leader.check_size(self._size_px(clip))
        except UnlikeLeaderError as error:
            return self._clip(clip, None, str(error))
        return self._clip(clip, leader)

    def _size_px(self, clip: Clip) -> tuple[int | None, int | None]:
        """Return width and height of a clip's frames, from the manifest or the file; None when it cannot be read."""
        path, record = self._index.path_of(clip), self._record(clip.id)
        if record is not None and record.width is not None and record.stamp == FileStamp.of(path):
            return record.width, record.height
        try:
            with open_video(path, self._settings.limits, check=stop_check(self._stopping)) as video:
                return video.facts.width, video.facts.height
        except InputError:
            return None, None

    def _clip(self, clip: Clip, leader: Leader | None, pair_note: str | None = None) -> ClipRecord:
        """Do the steps of one clip that are missing; return its record."""
        path, old = self._index.path_of(clip), self._record(clip.id)
        stamp = FileStamp.of(path)
        sha256 = hash_clip(path, stamp, old, self._settings.limits.file_bytes, stop_check(self._stopping))
        known = old if old is not None and old.sha256 == sha256 else None
        if known is not None and known.status in _FILE_FAULTS:
            return known
        sources = self._sources(clip.id, sha256, known, leader)
        keys = {step: _hash(step, source, self._own_settings(step)) for step, source in sources.items()}
        missing = [step for step in keys if step in self._steps and not self._is_done(clip, known, step, keys[step])]
        record = ClipRecord(clip.id, "ok", leader.id if leader else "", sha256, stamp)
        record = carried_over(record, known, missing, sources, pair_note)
        try:
            if missing:
                saved = self._has_saved_crops(clip.id, known, keys["crops"])
                done = self._clip_steps.run(clip.id, path, leader, missing, saved)
                if done.facts is not None and done.facts.sha256 != sha256:
                    raise ChangedError("the file was changed before it was prepared; run it again")
                record = _with_results(record, done, keys, sources)
        except UnlikeLeaderError as error:
            return self._clip(clip, None, str(error))
        except (Stopped, UsageError):
            raise
        except Exception as error:  # one clip never stops the rest
            if isinstance(error, OSError) and error.errno in DISK_FAULTS:
                raise
            record = with_failure(record, clip.path, error)
        if record != old:
            self._remove_stale(record, old)
            self._log.append(clip.id, record.to_row())
        return record

    def _record(self, name: str) -> ClipRecord | None:
        row = self._log.get(name)
        return None if row is None else ClipRecord.from_row(row)

    def _sources(self, name: str, sha256: str, known: ClipRecord | None, leader: Leader | None) -> dict[str, str]:
        """Return for each step that a clip can have a hash of what its files are made from, settings aside."""
        sha256 = sha256 if self._settings.colours == _USUAL.colours else _hash(sha256, self._settings.colours)
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
        settings = self._settings
        listed = {"max_frames": settings.max_frames, "max_faces": settings.max_faces}
        of_step: dict[str, dict[str, Any]] = {
            "boxes": {"box_pixels": settings.box_pixels},
            "landmarks": listed | {"landmark_search": settings.landmark_search},
            "diffs": listed,
        }
        changed = {name: value for name, value in of_step.get(step, {}).items() if value != getattr(_USUAL, name)}
        if step == "landmarks":
            return asdict(settings.landmark_detection) | changed
        return {"image_format": settings.image_format} if step in ("crops", "tubes") else changed

    def _boxes_key(self, name: str, record: ClipRecord | None) -> str | None:
        """Return the key of the boxes that are there: that of their step, or the hash of another program's file."""
        if record is not None and "boxes" in record.steps:
            return record.steps["boxes"].key
        path = self._out / "boxes" / f"{name}.json"
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None

    def _has_saved_crops(self, name: str, record: ClipRecord | None, key: str) -> bool:
        """Tell whether lossless crops are there that these settings would cut; another program's always count."""
        if record is not None and "crops" in record.steps:
            return self._settings.image_format == "png" and record.steps["crops"].key == key
        return next((self._out / "crops" / name).glob("*.png"), None) is not None

    def _is_done(self, clip: Clip, record: ClipRecord | None, step: str, key: str) -> bool:
        """Tell whether the files of a step are those that these settings would give, and all still there."""
        made = record.steps.get(step) if record else None
        if made is None or made.key != key:
            return False
        try:
            return count_files(self._files_of(clip.id, step)) == made.files
        except OSError:
            return False

    def _files_of(self, name: str, step: str) -> Path:
        """Return the file or folder that a step makes of a clip."""
        return self._out / _FOLDERS[step] / (f"{name}.json" if step == "boxes" else name)

    def _remove_stale(self, record: ClipRecord, old: ClipRecord | None) -> None:
        """Delete what an earlier run made of a clip and what is not valid any more."""
        for step in set(old.steps if old else ()) - set(record.steps):
            path = self._files_of(record.id, step)
            if step == "boxes":
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)

    def finish(self) -> Outcome:
        """Write folds.csv when asked for, skipped.csv, index.parquet, prepare.json and the tidied manifest."""
        self._index.write(self._out / "index.parquet")
        names = [clip.id for clip in self._index.clips if clip.id in self._log]
        records = [ClipRecord.from_row(row) for row in self._log.rows(names)]
        skipped = tuple((record.id, text) for record in records for text in record.notes.values())
        write_table(skipped, ("video", "what"), self._out / "skipped.csv")
        if "tubes" in self._steps:
            write_tube_list(self._index.clips, self._out, self._settings.image_format, self._settings.every)
        warnings: list[str] = []
        crops = 0
        if "folds" in self._steps:
            crops, warnings = self._write_folds(records)
        settings = {
            "unmask": __version__,
            "steps": self._all_steps(),
            "folds": self._folds,
            "fold_rule": self._fold_rule,
        }
        with atomic_file(self._out / SETTINGS_FILE) as file:
            file.write(json.dumps(settings | asdict(self._settings), indent=1).encode() + b"\n")
        self._log.tidy(names)
        return Outcome(skipped, tuple(warnings), crops)

    def _all_steps(self) -> list[str]:
        """Return the steps of this run and of the earlier ones that filled the folder."""
        try:
            earlier = json.loads((self._out / SETTINGS_FILE).read_bytes())["steps"]
        except (OSError, ValueError, KeyError, TypeError):  # a first run, or one that was killed
            earlier = []
        return [step for step in STEPS if step in self._steps or step in earlier]

    def _write_folds(self, records: Sequence[ClipRecord]) -> tuple[int, list[str]]:
        clips = [clip for clip in self._index.clips if clip.label is not None]
        sha256 = {record.id: record.sha256 for record in records if record.sha256}
        fold_of = assign_folds(clips, self._fold_rule, self._folds, sha256=sha256)
        warnings = fold_warnings(clips, fold_of, self._folds) + find_leaks(clips, fold_of, sha256)
        if unlabelled := len(self._index.clips) - len(clips):
            warnings.append(f"{unlabelled} clips have no label and are left out")
        leader_of = {record.id: record.leader or record.id for record in records}
        if not self._settings.unpaired_originals:
            sources = {clip.original for clip in clips}
            clips = [clip for clip in clips if clip.label == "fake" or clip.id in sources]
        rows = list_crops(clips, fold_of, leader_of, self._out / "crops")
        listed = (row for row in rows if self._settings.is_listed(row.frame, row.face))
        count = write_folds(listed, self._out / "folds.csv")
        return count, warnings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()


def _with_results(
    record: ClipRecord, done: Prepared, keys: Mapping[str, str], sources: Mapping[str, str]
) -> ClipRecord:
    """Return a record with what the steps have made."""
    new = {step: StepRecord(keys[step], sources[step], files) for step, files in done.files.items()}
    notes = {step: text for step, text in record.notes.items() if step not in done.files} | done.notes
    if done.facts is not None:
        status = "ok" if done.faces else "no_face"
        record = replace(record, width=done.facts.width, height=done.facts.height, status=status)
        notes.pop("faces", None)
        if not done.faces:
            notes["faces"] = "no face was found"
        if "video" not in done.notes:
            notes.pop("video", None)
    return replace(record, notes=dict(sorted(notes.items())), steps=dict(sorted((record.steps | new).items())))


def _hash(*facts: Any) -> str:
    return hashlib.sha256(json.dumps([_FORMAT_VERSION, *facts], sort_keys=True).encode()).hexdigest()[:16]
