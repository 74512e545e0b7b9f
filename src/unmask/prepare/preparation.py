"""Prepare a dataset for training: boxes -> crops -> landmarks -> diffs -> changes -> folds, each video read once.

Originals only are searched for faces; their boxes serve the fakes made from them, so that the crops of a pair show the
same pixels. An original and its fakes form a family, and families are prepared in parallel. The manifest records what
each step of each clip was made from. So a run that was killed goes on where it was, and when a step is done again, the
steps that depend on it are done again too.

Method: selimsef/dfdc_deepfake_challenge, with true frame numbers, any number of faces and frames, differences that do
not wrap around, and nothing skipped without a report.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from unmask._version import __version__
from unmask.datasets.index import Index, require_clips
from unmask.datasets.parquet import require_pyarrow
from unmask.errors import UsageError
from unmask.prepare.aligned import write_tube_list
from unmask.prepare.changes import HEADER, changed_rows, follow_changes
from unmask.prepare.clip_steps import Settings
from unmask.prepare.deepfakebench import FOLDER, write_deepfakebench
from unmask.prepare.families import FOLDERS, FamilySteps, families
from unmask.prepare.folds import FOLDS, FoldRule, assign_folds, find_leaks, fold_warnings
from unmask.prepare.layout import IMAGE_FORMATS, list_crops, write_folds, write_table
from unmask.prepare.manifest import ClipRecord
from unmask.runtime.opencv import one_thread
from unmask.runtime.parallel import Failure, cores, map_items
from unmask.storage.atomic import atomic_file, sweep
from unmask.storage.rowlog import Row, RowLog, json_line

STEPS = ("boxes", "crops", "landmarks", "diffs", "changes", "tubes", "folds", "deepfakebench")
DEFAULT_STEPS = ("boxes", "crops", "landmarks", "diffs", "changes", "folds")
"""All but RobustForensics' form and DeepfakeBench's."""
OF_ALL_CLIPS = frozenset({"folds", "deepfakebench"})
"""Steps that look at no single clip."""
MANIFEST = "manifest.jsonl"
SETTINGS_FILE = "prepare.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run of `Preparation`."""

    skipped: tuple[tuple[str, str], ...]
    """Id of a clip, and a sentence that says what of it is missing and why."""
    warnings: tuple[str, ...]
    """What is wrong with the folds, in sentences."""
    crops: int
    """Lines of folds.csv; 0 when that step was not asked for."""
    unchanged: int = 0
    """Crops of fakes whose face was not changed; folds.csv has them as ``Settings.unchanged`` says."""


def mark_folder(out: Path) -> None:
    """Make a folder to fill, marked as unmask's, for shards of a run that share it; one that is marked stays."""
    out.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (out / MANIFEST).open("xb") as file:
        file.write(json_line({"unmask": __version__}).encode() + b"\n")


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
        out.mkdir(parents=True, exist_ok=True)
        self._log = RowLog(out / MANIFEST, lambda row: ClipRecord.from_row(row).id)
        try:
            self._claim(resume)
        except UsageError:
            self._log.close()
            raise
        self._family_steps = FamilySteps(index, out, self._steps, self._settings, self._log, self._stopping)

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
        folders = [self._out / folder for folder in FOLDERS.values()]
        if not self._log.was_empty:
            if not resume:
                raise UsageError(f"{self._out} holds an earlier run; go on with --resume, or name another folder")
            sweep(self._out, *folders, self._out / "retinaface")
            return
        folder_of = FOLDERS | {"deepfakebench": FOLDER}
        asked = [self._out / folder_of[step] for step in self._steps if step in folder_of]
        foreign = [folder.name for folder in asked if folder.exists()]
        if foreign:
            raise UsageError(
                f"{self._out} already holds {', '.join(foreign)}, which unmask did not write; leave these steps out, "
                "or name another folder"
            )
        self._log.append("", {"unmask": __version__})  # marks the folder as ours

    def run(self) -> Iterator[ClipRecord]:
        """Prepare all clips and yield the record of each, as in the manifest."""
        if OF_ALL_CLIPS.issuperset(self._steps):
            return
        with one_thread():
            for _, outcome in map_items(self._family_steps.do, families(self._index), self._workers, self._stopping):
                if isinstance(outcome, Failure):
                    raise outcome.error
                yield from outcome

    def known(self, name: str) -> Row | None:
        """Return the row that the manifest has of a clip, None where it has none."""
        return self._log.get(name)

    def take_over(self, rows: Iterable[Row]) -> Iterator[ClipRecord]:
        """Enter the rows of clips that were prepared elsewhere, see `unmask.prepare.families`; yield their records."""
        for row in rows:
            record = ClipRecord.from_row(row)
            if self._log.get(record.id) != row:
                self._log.append(record.id, row)
            yield record

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
        crops = unchanged = 0
        if "folds" in self._steps:
            crops, warnings = self._write_folds(records)
            unchanged = sum(row[HEADER.index("changed")] == "no" for row in self._changed_rows())
        if "deepfakebench" in self._steps:
            write_deepfakebench(self._index, self._out)
        settings = {
            "unmask": __version__,
            "steps": self._all_steps(),
            "folds": self._folds,
            "fold_rule": self._fold_rule,
        }
        with atomic_file(self._out / SETTINGS_FILE) as file:
            file.write(json.dumps(settings | asdict(self._settings), indent=1).encode() + b"\n")
        self._log.tidy(names)
        return Outcome(skipped, tuple(warnings), crops, unchanged)

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
        count = write_folds(follow_changes(listed, self._out, self._settings.unchanged), self._out / "folds.csv")
        write_table(self._changed_rows(), HEADER, self._out / "changed.csv")
        return count, warnings

    def _changed_rows(self) -> Iterator[tuple[object, ...]]:
        return changed_rows(self._index.clips, self._out, self._settings.image_format)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._log.close()
