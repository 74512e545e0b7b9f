"""Say what a benchmark is about: the labelled clips of a dataset, and a hash that tells this choice from any other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from unmask.datasets import Index, read_index
from unmask.errors import InputError, UsageError
from unmask.evaluation import Labels, Truth, truth_of_index
from unmask.media import Limits, open_frames_folder
from unmask.runtime.parallel import Failure, cores, map_items
from unmask.scan.inputs import hash_input

ALL_SPLITS = "all"
TEST_SPLIT = "test"


@dataclass(frozen=True, slots=True)
class BenchClip:
    """One labelled clip."""

    path: Path
    """The file, or the folder of its frames."""
    truth: Truth
    """Name, label, source and traits."""
    sha256: str | None
    """Hash of the file's bytes, or of the pictures in the folder; None where it cannot be read."""


@dataclass(frozen=True, slots=True)
class BenchDataset:
    """The clips that models are compared on."""

    name: str
    """As the tables call it."""
    clips: tuple[BenchClip, ...]
    """Sorted by name."""
    split: str
    """``test``, ``val``, ``train``, or ``all``."""
    faults: tuple[str, ...] = ()
    """What is wrong with its description, in sentences."""

    @property
    def labels(self) -> Labels:
        """What is true of the clips."""
        return Labels(tuple(clip.truth for clip in self.clips), self.faults)

    @property
    def sha256(self) -> str:
        """Hash of the names, labels, sources and contents of all clips: the choice of clips."""
        lines = [f"{c.truth.name}\t{c.truth.label}\t{c.truth.source}\t{c.sha256 or '-'}\n" for c in self.clips]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def named_path(text: str) -> tuple[str, Path]:
    """Split ``NAME=PATH``; without a name, the folder's counts, of a table that of the folder around it."""
    name, equals, path = text.partition("=")
    if equals and name and not Path(text).exists():
        return name, Path(path)
    place = Path(text)
    folder = place.resolve() if place.is_dir() else place.resolve().parent
    return folder.name or text, place


def open_dataset(
    name: str,
    path: Path,
    *,
    split: str | None = None,
    clips: int | None = None,
    limits: Limits = Limits(),  # noqa: B008
) -> BenchDataset:
    """Read a dataset's labelled clips and hash each.

    Args:
        name: As the tables call it.
        path: Folder, CSV or index.parquet, see `unmask.datasets.read_index`.
        split: Clips of this split alone, ``all`` for every clip; None for those of ``test`` where there are any.
        clips: Clips of each label, at most, spread by a hash of their names; None for all.
        limits: What one file may cost.

    Raises:
        UsageError: It cannot be read, or holds no labelled clip of the split.
    """
    index = read_index(path, follow_links=True)
    kept, taken = _of_split(index, split)
    truths = sorted(truth_of_index(kept).clips, key=lambda truth: truth.name)
    chosen = [truth for truth in truths if truth.label is not None]
    if clips is not None:
        chosen = _thinned(chosen, clips)
    if not chosen:
        raise UsageError(f"{path} has no labelled clip of the split {taken}; name another with --split")
    paths = {clip.path: index.path_of(clip) for clip in index.clips}
    hashed = [
        BenchClip(paths[truth.name], truth, sha256)
        for truth, sha256 in zip(chosen, _hashes([paths[truth.name] for truth in chosen], limits), strict=True)
    ]
    return BenchDataset(name, tuple(hashed), taken, tuple(map(str, index.faults)))


def plain_name(name: str) -> str:
    """Return a name without case, blanks and signs, by which names of datasets are compared."""
    return re.sub(r"[^a-z0-9+]", "", name.lower())


def _of_split(index: Index, split: str | None) -> tuple[Index, str]:
    has_test = any(clip.split == TEST_SPLIT and clip.label for clip in index.clips)
    wanted = split or (TEST_SPLIT if has_test else ALL_SPLITS)
    if wanted == ALL_SPLITS:
        return index, wanted
    own = tuple(clip for clip in index.clips if clip.split == wanted)
    return Index(index.root, index.dataset, own, index.faults), wanted


def _thinned(truths: Sequence[Truth], most: int) -> list[Truth]:
    kept: list[Truth] = []
    for label in ("real", "fake"):
        own = [truth for truth in truths if truth.label == label]
        kept += sorted(own, key=lambda truth: hashlib.sha256(truth.name.encode("utf-8", "surrogatepass")).digest())[
            :most
        ]
    return sorted(kept, key=lambda truth: truth.name)


def _hashes(paths: Sequence[Path], limits: Limits) -> list[str | None]:
    found: list[str | None] = []
    for _, sha256 in map_items(lambda path: _hash(path, limits), paths, cores()):
        if isinstance(sha256, Failure):
            raise sha256.error
        found.append(sha256)
    return found


def _hash(path: Path, limits: Limits) -> str | None:
    if not path.is_dir():
        return hash_input(path, limits.download_bytes)
    try:
        with open_frames_folder(path, limits, follow_links=True) as video:
            return video.facts.sha256
    except InputError:
        return None
