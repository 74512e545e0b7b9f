"""Read datasets that one JSON file beside the clips describes: DFDC's preview, and LAV-DF.

DFDC preview (Dolhansky et al. 2019, arXiv 1910.08854): ``dataset.json``, path -> label, set. Keys as
SCLBD/DeepfakeBench reads them, preprocessing/rearrange.py (8a4a7bf). Which authentic clip a fake was made from is not
read.

LAV-DF (Cai et al. 2022, arXiv 2204.06228): ``metadata.min.json`` or ``metadata.json``, a list. Fields as the authors
read them, ControlNet/LAV-DF, dataset/lavdf.py (5979cf4). A clip of which only the sound was changed shows an authentic
face, and is ``real`` here with the method ``sound``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    check_originals,
    clip_id,
    name_problem,
    parse_label,
    printable,
    register_reader,
    split_of_name,
)
from unmask.datasets.readers.text import parse_json, read_text, shown
from unmask.storage.walk import is_file, is_folder

PREVIEW_FILE = "dataset.json"
LAV_DF_FILES = ("metadata.min.json", "metadata.json")
Entry = dict[str, Any]


@register_reader("dfdc_preview")
def read_dfdc_preview(root: Path) -> Index | None:
    """Read the preview: paths from its folder, ``label`` real or fake, ``set`` train or test; folders name methods."""
    table = root / PREVIEW_FILE
    entries = _parsed(table, dict)
    if entries is None or not any(isinstance(entry, dict) and "label" in entry for entry in entries.values()):
        return None

    def clip(path: str, entry: Entry) -> Clip | str:
        label = parse_label(entry.get("label"))
        if label is None:
            return f"label {shown(entry.get('label'))} is not real or fake; set aside; correct it"
        method = PurePosixPath(path).parts[0] if label == "fake" else None
        return Clip(clip_id(path), path, label, method=method, split=_split(entry.get("set")))

    return _index(root, "dfdc_preview", table.name, ((_found(root, path), of) for path, of in entries.items()), clip)


def _found(root: Path, path: Any) -> Any:
    """Return the path of a clip, or of its frames where DeepfakeBench has put them: ``<method>/frames/<name>``."""
    if not isinstance(path, str) or not path or is_file(root / path):
        return path
    pure = PurePosixPath(path)
    frames = PurePosixPath(pure.parts[0], "frames", pure.stem)
    return frames.as_posix() if not name_problem(path) and is_folder(root / frames) else path


@register_reader("lav_df")
def read_lav_df(root: Path) -> Index | None:
    """Read LAV-DF: ``file``, ``original``, ``modify_video``, ``modify_audio`` and ``split`` of each clip."""
    for name in LAV_DF_FILES:
        entries = _parsed(root / name, list)
        if entries and all(isinstance(entry, dict) and {"file", "modify_video"} <= entry.keys() for entry in entries):
            return _index(root, "lav_df", name, ((entry["file"], entry) for entry in entries), _lav_df_clip)
    return None


def _lav_df_clip(path: str, entry: Entry) -> Clip | str:
    picture, sound, original = entry["modify_video"], entry.get("modify_audio") is True, entry.get("original")
    if not isinstance(picture, bool):
        return f"modify_video {shown(picture)} is not true or false; set aside; correct it"
    label: ClipLabel = "fake" if picture else "real"
    method = {(True, True): "picture_and_sound", (True, False): "picture", (False, True): "sound"}.get((picture, sound))
    of = clip_id(original) if label == "fake" and isinstance(original, str) else None
    return Clip(clip_id(path), path, label, original=of, method=method, split=_split(entry.get("split")))


def _split(name: object) -> str | None:
    return split_of_name(name) if isinstance(name, str) else None


def _parsed(table: Path, kind: type) -> Any:
    """Return the content of a JSON file, None where there is no such file, or one of another form."""
    if not table.is_file():
        return None
    try:
        content = parse_json(read_text(table))
    except ValueError:
        return None
    return content if isinstance(content, kind) else None


def _index(
    root: Path,
    dataset: str,
    where: str,
    entries: Iterator[tuple[Any, Any]],
    make: Callable[[str, Entry], Clip | str],
) -> Index:
    """Return the clips that are there; what cannot be used becomes a fault."""
    clips: dict[str, Clip] = {}
    faults: list[Fault] = []
    for path, entry in entries:
        made = _problem(root, path, entry) or make(path, entry)
        if isinstance(made, Clip) and made.id in clips:
            made = "listed twice; the first entry counts; keep one"
        if isinstance(made, str):
            faults.append(Fault(where, printable(path) if isinstance(path, str) else None, made))
        else:
            clips[made.id] = made
    usable, wrong = check_originals(clips.values(), lambda clip: (where, clip.path))
    return Index(root, dataset, tuple(sorted(usable, key=lambda clip: clip.id)), (*faults, *wrong))


def _problem(root: Path, path: object, entry: object) -> str | None:
    """Return why an entry cannot be used, None when it can."""
    if not isinstance(path, str) or not path or name_problem(path):
        return f"{shown(path)} is no path; set aside; correct it"
    if not isinstance(entry, dict):
        return f"{shown(entry)} is no object; set aside; it needs a label"
    if PurePosixPath(path).is_absolute() or {"..", "\\"} & {*PurePosixPath(path).parts, *path}:
        return "leads out of the dataset's folder; set aside; correct it"
    found = is_file(root / path) or is_folder(root / path)
    return None if found else "listed but the file is not there; set aside; fetch it again"
