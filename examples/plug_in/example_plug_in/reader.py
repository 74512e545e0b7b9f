"""A reader: clips whose names end in _real and _fake, in one folder."""

from pathlib import Path

from unmask.datasets import Clip, Index


def read_suffixed(root: Path) -> Index | None:
    """Return the clips of a folder, or None where it holds others as well."""
    paths = sorted(path for path in root.iterdir() if path.is_file()) if root.is_dir() else []
    labels = [path.stem.rpartition("_")[2] for path in paths]
    if not paths or not set(labels) <= {"real", "fake"}:
        return None
    names = {path.stem for path in paths}
    clips = []
    for path, label in zip(paths, labels, strict=True):
        twin = path.stem.removesuffix("_fake") + "_real"
        original = twin if label == "fake" and twin in names else None
        clips.append(Clip(path.stem, path.name, label, original=original))
    return Index(root, "suffixed", tuple(clips))
