"""Read a folder with ``real/`` and ``fake/`` in it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from unmask.datasets.index import Clip, ClipLabel, Fault, Index, clip_id, list_videos, register_reader

_FOLDERS: dict[str, ClipLabel] = {
    "real": "real", "authentic": "real", "original": "real", "fake": "fake", "manipulated": "fake",
}  # fmt: skip


@register_reader("tree")
def read_tree(root: Path) -> Index | None:
    """Read the videos below ``real`` and ``fake``; the folder below ``fake``, if any, names the method.

    Which original a fake was made from does not show in such a tree, so the clips come without pairs.
    """
    if not root.is_dir():
        return None
    folders = {
        path.name: label
        for path in sorted(root.iterdir())
        if path.is_dir() and (label := _FOLDERS.get(path.name.lower()))
    }
    if not {"real", "fake"} <= set(folders.values()):
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for folder, label in folders.items():
        paths, wrong = list_videos(root, folder)
        faults += wrong
        for path in paths:
            between = PurePosixPath(path).parts[1:-1]
            clips.append(Clip(clip_id(path), path, label, method=between[0] if between else None))
    return Index(root, "tree", tuple(clips), tuple(faults))
