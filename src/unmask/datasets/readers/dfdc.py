"""Read the Deepfake Detection Challenge: ``dfdc_train_part_N/metadata.json``, one such folder, or the test folder."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    id_problem,
    list_videos,
    name_problem,
    printable,
    register_reader,
)
from unmask.datasets.readers.listing import read_labels
from unmask.datasets.readers.text import BYTE_ORDER_MARK, parse_json, read_text, shown
from unmask.errors import UsageError
from unmask.storage.walk import is_file, is_folder

METADATA = "metadata.json"
_LABEL_FILES = ("labels.csv", "dfdc_test_labels.csv", "dfdc_val_labels.csv")
"""Tables ``filename,label`` that were released after the challenge, in the test folder or beside it."""


@register_reader("dfdc")
def read_dfdc(root: Path) -> Index | None:
    """Read the parts below ``root``, or ``root`` itself when it holds a metadata.json or is the test folder."""
    if not root.is_dir():
        return None
    parts = [root] if (root / METADATA).is_file() else _parts(root)
    if not parts or not any(_tells_labels(part / METADATA) for part in parts):
        return _read_test(root) or (_read_parts(root, parts) if parts else None)
    return _read_parts(root, parts)


def _parts(root: Path) -> list[Path]:
    """Return the folders that hold a metadata.json; archives of the parts unpack into folders of their own."""
    shallow = {path.parent for path in root.glob(f"*/{METADATA}") if path.is_file()}
    deep = {
        path.parent for path in root.glob(f"*/*/{METADATA}") if path.is_file() and path.parent.parent not in shallow
    }
    return sorted(shallow | deep)


def _tells_labels(path: Path) -> bool:
    """Tell whether a metadata.json has labels, or is broken; that of the challenge's test videos has none."""
    entries, _ = _read_metadata(path, METADATA)
    if entries is None:
        return True
    values = [dict(value) for _, value in entries if isinstance(value, _JsonObject)]
    return len(values) < len(entries) or any(set(value) & {"label", "is_fake"} for value in values) or not values


def _read_parts(root: Path, parts: list[Path]) -> Index:
    clips: list[Clip] = []
    faults: list[Fault] = []
    for part in parts:
        found, wrong = _read_part(root, part)
        clips += found
        faults += wrong
    clips, twice = _unique(clips)
    usable, wrong = check_originals(clips, _described_in)
    return Index(root, "dfdc", tuple(usable), (*faults, *twice, *wrong))


def part_number(folder: Path) -> int:
    """Return the number at the end of a part's name, or of what it links to; 0 when there is none."""
    for name in (folder.absolute().name, folder.resolve().name):
        if number := re.search(r"_([0-9]{1,6})$", name):
            return int(number[1])
    return 0


def _read_part(root: Path, folder: Path) -> tuple[list[Clip], list[Fault]]:
    where = (folder / METADATA).relative_to(root).as_posix()
    entries, faults = _read_metadata(folder / METADATA, where)
    if entries is None:
        return [], faults
    times = Counter(name for name, _ in entries)
    clips = []
    for name, value in entries:
        if times[name] > 1:
            continue
        if problem := _entry_problem(folder, name, value):
            faults.append(Fault(where, printable(name), problem))
        else:
            clips.append(_clip(root, folder, name, dict(value)))
    faults += [
        Fault(where, printable(name), f"listed {count} times; set aside; keep one entry")
        for name, count in times.items()
        if count > 1
    ]
    faults += [
        Fault(where, printable(path.name), "the file is there but not listed; left out, since its label is unknown")
        for path in sorted(folder.glob("*.mp4"))
        if path.name not in times and not path.name.startswith(".")
    ]
    return clips, faults


def _clip(root: Path, folder: Path, name: str, entry: dict[str, Any]) -> Clip:
    original = entry.get("original")
    return Clip(
        id=Path(name).stem,
        path=((folder / name) if is_file(folder / name) else _frames_of(folder, name)).relative_to(root).as_posix(),
        label="fake" if _label_of(entry) == "FAKE" else "real",
        original=None if original is None else Path(original).stem,
        part=part_number(folder),
        split=entry.get("split"),
        mask=_mask_of(root, folder, Path(name).stem),
    )


def _frames_of(folder: Path, name: str) -> Path:
    """Return where DeepfakeBench puts the frames of a clip."""
    return folder / "frames" / Path(name).stem


def _mask_of(root: Path, folder: Path, name: str) -> str | None:
    """Return where ``unmask sample`` has put the masks of a fake; the challenge published none."""
    mask = folder.parent / "masks" / name
    return mask.relative_to(root).as_posix() if mask.is_relative_to(root) and mask.is_dir() else None


def _read_metadata(path: Path, where: str) -> tuple[list[tuple[str, Any]] | None, list[Fault]]:
    """Return the entries of a metadata.json, None when it is broken, and what is wrong with the file."""
    try:
        text = read_text(path)
        entries = parse_json(text, _JsonObject)
    except ValueError as error:
        return None, [Fault(where, None, f"{error}; the whole part is set aside; fetch the file again")]
    if not isinstance(entries, _JsonObject):
        return None, [Fault(where, None, "no object keyed by file name; the whole part is set aside; fetch it again")]
    if text.startswith(BYTE_ORDER_MARK):
        return entries, [Fault(where, None, "starts with a byte order mark, which JSON forbids; read all the same")]
    return entries, []


def _label_of(entry: dict[str, Any]) -> Any:
    """Return REAL or FAKE, also where the entry says ``is_fake``, as in the test set that was released later."""
    is_fake = entry.get("is_fake")
    if "label" not in entry and is_fake in (0, 1):
        return "FAKE" if is_fake else "REAL"
    return entry.get("label")


class _JsonObject(list[tuple[str, Any]]):
    """A JSON object, with its duplicate keys."""


def _entry_problem(folder: Path, name: str, value: Any) -> str | None:
    """Return why an entry cannot be used, None when it can."""
    if problem := _name_problem(name):
        return f"{problem}; set aside; name a file of this folder"
    if not isinstance(value, _JsonObject):
        return f"{shown(value)} is no object; set aside; it needs a label"
    entry = dict(value)
    if len(entry) < len(value):
        return "a key occurs twice in it; set aside; keep one"
    label, original, split = _label_of(entry), entry.get("original"), entry.get("split")
    if label not in ("REAL", "FAKE"):
        return f"label {shown(label)} is not REAL or FAKE; set aside; correct it"
    if original is not None and (problem := _name_problem(original)):
        return f"original {shown(original)}: {problem}; set aside; name a file of this folder, or none"
    if split is not None and (not isinstance(split, str) or name_problem(split)):
        return f"split {shown(split)} is no plain text; set aside; correct it"
    if not is_file(folder / name) and not is_folder(_frames_of(folder, name)):
        return "listed but the file is not there; set aside; fetch it again"
    return None


def _name_problem(name: object) -> str | None:
    """Return why a text cannot be the name of a file in this very folder, None when it can."""
    if not isinstance(name, str):
        return "no text"
    if name_problem(name):
        return "holds control characters, or is not UTF-8"
    problem = id_problem(Path(name).stem) if name and not set(name) & set("/\\") else "is no plain file name"
    return problem and problem.removeprefix("is ")


def _unique(clips: list[Clip]) -> tuple[list[Clip], list[Fault]]:
    """Set aside names that occur in several parts: an original of that name would be ambiguous."""
    parts: dict[str, list[Clip]] = {}
    for clip in clips:
        parts.setdefault(clip.id, []).append(clip)
    faults = [
        Fault(*_described_in(clip), f"the name is used in parts {[c.part for c in same]}; set aside; rename one")
        for same in parts.values()
        if len(same) > 1
        for clip in same
    ]
    return [same[0] for same in parts.values() if len(same) == 1], faults


def _described_in(clip: Clip) -> tuple[str, str]:
    path = PurePosixPath(clip.path)
    return (path.parent / METADATA).as_posix(), path.name


def _read_test(root: Path) -> Index | None:
    """Read the challenge's ``test_videos`` folder, whose labels, if any, came later as a CSV."""
    folder = root / "test_videos" if (root / "test_videos").is_dir() else root
    table = next((path for name in _LABEL_FILES for base in (folder, root) if (path := base / name).is_file()), None)
    if table is None and folder.absolute().name != "test_videos":
        return None
    places = (folder, folder / "frames")
    videos, faults = list_videos(root, folder.relative_to(root).as_posix())
    videos = [path for path in videos if (root / path).parent in places]
    if not videos:
        return None
    labels: dict[str, ClipLabel | None] = {}
    if table is not None:
        where = table.relative_to(root).as_posix()
        names = [_file_name(path) for path in videos]
        labels, wrong = _read_test_labels(table, where, names)
        faults += wrong
    paths = map(PurePosixPath, videos)
    clips = [Clip(clip_id(path.name), str(path), labels.get(_file_name(str(path))), split="test") for path in paths]
    return Index(root, "dfdc", tuple(clips), tuple(faults))


def _file_name(path: str) -> str:
    """Return the name of a clip's file, which its folder of frames, if any, has without the suffix."""
    pure = PurePosixPath(path)
    return f"{pure.name}.mp4" if pure.parent.name == "frames" else pure.name


def _read_test_labels(table: Path, where: str, names: list[str]) -> tuple[dict[str, ClipLabel | None], list[Fault]]:
    """Return the label of each named file, and what does not fit between the table and the folder."""
    try:
        labels, faults = read_labels(table, where)
    except UsageError as error:
        return {}, [Fault(where, None, f"{error}; the clips are kept without labels")]
    there = set(names)
    missing = [name for name in labels if name not in there]
    faults += [Fault(where, name, "listed but the file is not there; set aside; fetch it again") for name in missing]
    unlabelled = [name for name in names if name not in labels]
    faults += [Fault(where, name, "has no usable row; kept without a label; add one") for name in unlabelled]
    return labels, faults
