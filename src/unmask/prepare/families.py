"""Prepare one family: an original and the fakes made from it, or a clip that stands alone.

What each step of each clip was made from is recorded. So a run that was killed goes on where it was, and when a step is
done again, the steps that depend on it are done again too.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from unmask.datasets.index import Clip, Index
from unmask.errors import ChangedError, InputError, UsageError
from unmask.media import open_clip
from unmask.prepare.changes import find_changes, write_changes
from unmask.prepare.clip_steps import ClipSteps, CropStore, Leader, Prepared, Settings, UnlikeLeaderError
from unmask.prepare.manifest import (
    ClipRecord,
    FileStamp,
    StepRecord,
    carried_over,
    count_files,
    hash_clip,
    with_failure,
)
from unmask.runtime.parallel import Stopped, stop_check
from unmask.storage.atomic import is_output_fault, scratch_folder
from unmask.storage.rowlog import Row

FOLDERS = {
    "boxes": "boxes",
    "crops": "crops",
    "landmarks": "landmarks",
    "diffs": "diffs",
    "changes": "changes",
    "tubes": "aligned",
}
"""Step -> folder of its files."""
_ONE_FILE = ("boxes", "changes")
"""Steps that make one file of a clip, not a folder."""

_USUAL = Settings()
_FORMAT_VERSION = 1
"""Raised when the same settings give other files."""
_FILE_FAULTS = ("unreadable", "unsupported", "no_video")
"""Statuses that the same bytes would get again, whatever the limits."""


@dataclass(frozen=True, slots=True)
class Family:
    """A clip that shows its own faces, and the fakes that were made from it."""

    leader: Clip
    """The clip that is searched for faces."""
    followers: tuple[Clip, ...]
    """The fakes that use its boxes."""


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


class Records(Protocol):
    """What is known of clips, by their ids."""

    def get(self, key: str) -> Row | None:
        """Return what is known of a clip, see `ClipRecord.to_row`."""
        ...

    def append(self, key: str, row: Mapping[str, Any]) -> None:
        """Remember it; any thread may call this."""
        ...


class FamilySteps:
    """Prepares families; safe to use from several threads."""

    def __init__(
        self,
        index: Index,
        out: Path,
        steps: Sequence[str],
        settings: Settings,
        records: Records,
        stopping: threading.Event,
    ) -> None:
        """Remember how.

        Args:
            index: The dataset.
            out: The folder to fill; see `unmask.prepare.layout`.
            steps: Which steps.
            settings: How.
            records: What earlier runs did; takes what is done now.
            stopping: Set when nobody waits any more.
        """
        self._index, self._out, self._steps, self._settings = index, out, steps, settings
        self._records, self._stopping = records, stopping
        self._clip_steps = ClipSteps(out, settings, stopping)

    def do(self, family: Family) -> list[ClipRecord]:
        """Prepare the clips of a family; return the record of each, the leader's first.

        Raises:
            Stopped: Nobody waits for it any more.
            OSError: The disk is full, or gone.
        """
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
            with open_clip(path, self._settings.limits, check=stop_check(self._stopping)) as video:
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
        sources = self._sources(clip, sha256, known, leader)
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
            if "changes" in missing:
                record = self._with_changes(clip, record, keys["changes"], sources["changes"])
        except UnlikeLeaderError as error:
            return self._clip(clip, None, str(error))
        except (Stopped, UsageError):
            raise
        except Exception as error:  # one clip never stops the rest
            if is_output_fault(error, self._out):
                raise
            record = with_failure(record, clip.path, error)
        if record != old:
            self._remove_stale(record, old)
            self._records.append(clip.id, record.to_row())
        return record

    def _record(self, name: str) -> ClipRecord | None:
        row = self._records.get(name)
        return None if row is None else ClipRecord.from_row(row)

    def _with_changes(self, clip: Clip, record: ClipRecord, key: str, source: str) -> ClipRecord:
        """Write which crops of a fake show a changed face; return its record with this step."""
        path, size_px = self._files_of(clip.id, "changes"), (record.width, record.height)
        leader, mask = record.leader or clip.id, self._index.mask_of(clip)
        path_of, limits = self._index.path_of(clip), self._settings.limits
        changes, problem = find_changes(self._out, clip.id, leader, path_of, mask, size_px, limits)
        write_changes(changes, path)
        steps = record.steps | {"changes": StepRecord(key, source, count_files(path))}
        notes = {step: text for step, text in record.notes.items() if step != "changes"}
        notes |= {} if problem is None else {"changes": problem}
        return replace(record, notes=dict(sorted(notes.items())), steps=dict(sorted(steps.items())))

    def _sources(self, clip: Clip, sha256: str, known: ClipRecord | None, leader: Leader | None) -> dict[str, str]:
        """Return for each step that a clip can have a hash of what its files are made from, settings aside."""
        name, mask = clip.id, self._index.mask_of(clip)
        masked = None if mask is None else asdict(FileStamp.of(mask))
        sha256 = sha256 if self._settings.colours == _USUAL.colours else _hash(sha256, self._settings.colours)
        texts = self._clip_steps.texts_key(name) if leader is None else None
        if leader is not None:
            pair = _hash(leader.boxes_key, leader.sha256, sha256, self._settings.every)
            compared = "diffs" in self._steps or self._files_of(name, "diffs").is_dir()
            changes = _hash(pair, compared, masked, self._own_settings("diffs"))
            return {"crops": pair, "diffs": pair, "changes": changes, "tubes": _hash(leader.tubes_key, sha256)}
        detection = asdict(self._settings.detection)
        found = _hash(texts, detection, self._settings.every, sha256)
        boxes = _hash("boxes", found, self._own_settings("boxes")) if "boxes" in self._steps else None
        cut = _hash(boxes or self._boxes_key(name, known), sha256, self._settings.every)
        sources = {"boxes": found, "crops": cut, "landmarks": cut, "tubes": found}
        return sources | ({"changes": _hash(cut, masked)} if masked is not None and clip.label == "fake" else {})

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
        return self._out / FOLDERS[step] / (f"{name}.json" if step in _ONE_FILE else name)

    def _remove_stale(self, record: ClipRecord, old: ClipRecord | None) -> None:
        """Delete what an earlier run made of a clip and what is not valid any more."""
        for step in set(old.steps if old else ()) - set(record.steps):
            path = self._files_of(record.id, step)
            if step in _ONE_FILE:
                path.unlink(missing_ok=True)
            else:
                shutil.rmtree(path, ignore_errors=True)


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
