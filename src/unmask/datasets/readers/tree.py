"""Read a folder with ``real/`` and ``fake/`` in it, or in folders of splits, or with such folders in these."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from unmask.datasets.index import (
    Clip,
    ClipLabel,
    Fault,
    Index,
    clip_id,
    list_videos,
    parse_label,
    register_reader,
    split_of_name,
)

_AROUND = re.compile(r"^[0-9]+[-_ ]|[-_ ]?(videos?|clips?|faces?)$")
"""What may stand around a label in the name of a folder: 0_real, fake_videos."""
_NO_LABELS = frozenset({"true", "false"})  # which of them is which, names of folders do not tell


@register_reader("tree")
def read_tree(root: Path) -> Index | None:
    """Read the videos below ``real`` and ``fake``; the folder below ``fake``, if any, names the method.

    ``train/real``, ``real/train`` and the like give the split. Which original a fake was made from does not show in
    such a tree, so the clips come without pairs.
    """
    if not root.is_dir():
        return None
    folders = list(_label_folders(root))
    if {label for _, label, _ in folders} != {"real", "fake"}:
        return None
    clips: list[Clip] = []
    faults: list[Fault] = []
    for folder, label, split in folders:
        paths, wrong = list_videos(root, folder.as_posix())
        faults += wrong
        for path in paths:
            between = list(PurePosixPath(path).relative_to(folder).parts[:-1])
            named = next((name for name in between if split_of_name(name)), None) if split is None else None
            methods = [name for name in between if name != named]
            clips.append(
                Clip(
                    clip_id(path),
                    path,
                    label,
                    method=methods[0] if methods else None,
                    split=split_of_name(named) if named else split,
                )
            )
    return Index(root, "tree", tuple(clips), tuple(faults))


def label_of_folder(name: str) -> ClipLabel | None:
    """Return the label that the name of a folder means, such as ``real``, ``0_real``, ``Fake_videos``."""
    word = _AROUND.sub("", _AROUND.sub("", name.strip().lower()))
    return None if word in _NO_LABELS or not word.strip("0123456789.") else parse_label(word)


def _label_folders(root: Path) -> Iterator[tuple[PurePosixPath, ClipLabel, str | None]]:
    """Yield the folders whose name is a label, relative to the root, and the split of each."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        if label := label_of_folder(folder.name):
            yield PurePosixPath(folder.name), label, None
        elif split := split_of_name(folder.name):
            for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
                if label := label_of_folder(inner.name):
                    yield PurePosixPath(folder.name, inner.name), label, split
