"""Read datasets that a table of their authors describes: FakeAVCeleb and Deepfake-Eval-2024.

FakeAVCeleb v1.2 (Khalid et al. 2021, arXiv 2108.05080): ``meta_data.csv`` has the columns ``source, target1, target2,
method, category, type, race, gender, path``, of which the last is a file's name, and one more without a name, its
folder. The files lie in ``<type>/<race>/<gender>/<source>/``. The authors publish the table with the clips alone; its
form is that of the loaders of many projects, which agree.

Deepfake-Eval-2024 (Chandra et al. 2025, arXiv 2503.02857): ``video-metadata-publish.csv``, or the same with links, has
``Filename``, ``Video Ground Truth`` (Real, Fake or Unknown), ``Audio Ground Truth`` and ``Finetuning Set`` (train or
test); the clips lie in ``video-data``.

A clip of which only the sound was changed shows an authentic face, and is ``real`` here with the method ``sound``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    name_problem,
    printable,
    register_reader,
    split_of_name,
)
from unmask.datasets.readers.text import shown
from unmask.datasets.tables import Row, read_table
from unmask.errors import UsageError
from unmask.storage.walk import is_file

FAKE_AV_CELEB_FILE = "meta_data.csv"
EVAL_2024_FILES = ("video-metadata-publish.csv", "video-metadata-publish-with-links.csv")
_FAKE_AV_CELEB = ("source", "method", "type", "race", "gender", "path")
_EVAL_2024 = ("filename", "video ground truth", "finetuning set")

PathOf = Callable[[Row], str]
Describe = Callable[[Row, str], Clip | str]
"""Gives the clip of a row with this path, or why there is none."""


@register_reader("fake_av_celeb")
def read_fake_av_celeb(root: Path) -> Index | None:
    """Read meta_data.csv; the fakes of a person were made from their one authentic clip."""
    rows = _rows(root / FAKE_AV_CELEB_FILE, _FAKE_AV_CELEB)
    if rows is None:
        return None
    sources: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.cells["type"] == "RealVideo-RealAudio":
            sources[_person(row)].append(clip_id(_av_path(row)))

    def describe(row: Row, path: str) -> Clip | str:
        kind = row.cells["type"]
        picture, _, sound = kind.partition("-")
        if picture not in ("RealVideo", "FakeVideo") or sound not in ("RealAudio", "FakeAudio"):
            return f"type {shown(kind)} is none of the four; set aside; correct it"
        label: ClipLabel = "fake" if picture == "FakeVideo" else "real"
        method = row.cells["method"] if label == "fake" else "sound" if sound == "FakeAudio" else None
        own = sources[_person(row)]
        original = own[0] if label == "fake" and len(own) == 1 else None
        people = {row.cells["source"], row.cells.get("target1", "-")} if label == "fake" else {row.cells["source"]}
        named = tuple(sorted(name for name in people if name.startswith("id")))
        return Clip(clip_id(path), path, label, original, method, people=named)

    return _index(root, "fake_av_celeb", FAKE_AV_CELEB_FILE, rows, _av_path, describe)


def _person(row: Row) -> tuple[str, str, str]:
    return row.cells["race"], row.cells["gender"], row.cells["source"]


def _av_path(row: Row) -> str:
    cells = row.cells
    return "/".join((cells["type"], cells["race"], cells["gender"], cells["source"], cells["path"]))


@register_reader("deepfake_eval_2024")
def read_deepfake_eval_2024(root: Path) -> Index | None:
    """Read the table of the videos; a clip whose picture nobody could judge has no label."""
    for name in EVAL_2024_FILES:
        rows = _rows(root / name, _EVAL_2024)
        if rows is not None:
            return _index(root, "deepfake_eval_2024", name, rows, _eval_path, _describe_eval_2024)
    return None


def _eval_path(row: Row) -> str:
    return f"video-data/{row.cells['filename']}"


def _describe_eval_2024(row: Row, path: str) -> Clip | str:
    truth = row.cells["video ground truth"].lower()
    if truth not in ("real", "fake", "unknown"):
        return f"ground truth {shown(truth)} is neither real, fake nor unknown; set aside; correct it"
    label: ClipLabel | None = "real" if truth == "real" else "fake" if truth == "fake" else None
    only_sound = label == "real" and row.cells.get("audio ground truth", "").lower() == "fake"
    split = split_of_name(row.cells["finetuning set"])
    return Clip(clip_id(path), path, label, method="sound" if only_sound else None, split=split)


def _rows(table: Path, columns: Sequence[str]) -> tuple[Row, ...] | None:
    """Return the rows of a table that has some columns, None of another file or none."""
    if not table.is_file():
        return None
    try:
        content = read_table(table, columns)
    except UsageError:
        return None
    return content.rows if set(columns) <= set(content.columns) else None


def _index(root: Path, dataset: str, where: str, rows: Sequence[Row], path_of: PathOf, describe: Describe) -> Index:
    """Return the clips that are there; those that are not are told in one sentence, other faults each."""
    clips: dict[str, Clip] = {}
    faults: list[Fault] = []
    missing: list[str] = []
    twice = 0
    for row in rows:
        path = path_of(row)
        if problem := _path_problem(path):
            faults.append(Fault(where, row.place, problem))
        elif not is_file(root / path):
            missing.append(path)
        elif isinstance(clip := describe(row, path), str):
            faults.append(Fault(where, row.place, clip))
        elif clip.id in clips:
            twice += 1
        else:
            clips[clip.id] = clip
    if missing:
        text = (
            f"{len(missing)} of {len(rows)} listed files are not there, e.g. {shown(printable(missing[0]))}; set aside"
        )
        faults.append(Fault(where, None, f"{text}; fetch them again"))
    if twice:
        faults.append(Fault(where, None, f"{twice} files are listed more than once; the first row of each counts"))
    usable, wrong = check_originals(clips.values(), lambda clip: (where, clip.path))
    return Index(root, dataset, tuple(sorted(usable, key=lambda clip: clip.id)), (*faults, *wrong))


def _path_problem(path: str) -> str | None:
    if name_problem(path):
        return name_problem(path)
    parts = path.split("/")
    leads_out = {"", ".", ".."} & set(parts) or "\\" in path
    return f"{shown(path)} is no path within the dataset; set aside; correct it" if leads_out else None
