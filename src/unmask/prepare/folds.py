"""Assign clips to folds: each fold validates a model that was trained on the others.

The rule that matters is that nothing leaks: a fake and its original, clips of one person, and copies of one file always
share a fold.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Literal

from unmask.datasets.index import Clip
from unmask.errors import UsageError

FOLDS = 16
DFDC_PARTS = 50
"""Parts of the training set of the Deepfake Detection Challenge."""
FoldRule = Literal["auto", "part", "dfdc", "group"]


def assign_folds(
    clips: Sequence[Clip],
    rule: FoldRule = "auto",
    folds: int = FOLDS,
    *,
    sha256: Mapping[str, str] | None = None,
    seed: int = 777,
) -> dict[str, int]:
    """Return the fold of each clip, by id.

    Args:
        clips: The clips.
        rule: ``part`` cuts the parts that are there into runs; ``dfdc`` cuts all 50 parts of the DFDC, so that each has
            the fold that the challenge's winner gave it, whichever others are there; ``group`` keeps together what
            shares an original, a person or its bytes, and balances the folds by number of clips; ``auto`` goes by part
            when every clip has one and there are several.
        folds: How many, at least 2; fewer come out where there are fewer parts or groups.
        sha256: Hash of each clip's file by id, where known, so that copies are seen.
        seed: Seed of the order in which groups of equal size are assigned.

    Raises:
        UsageError: ``folds`` is below 2, or clips without a part are to go by part.
    """
    if folds < 2:
        raise UsageError(f"{folds} folds leave nothing to validate on; use at least 2")
    if rule == "auto":
        rule = "part" if len({clip.part for clip in clips}) > 1 and all(c.part is not None for c in clips) else "group"
    if rule == "dfdc":
        return _by_dfdc_part(clips, folds)
    return _by_part(clips, folds) if rule == "part" else _by_group(clips, folds, sha256 or {}, seed)


def find_leaks(clips: Sequence[Clip], fold_of: Mapping[str, int], sha256: Mapping[str, str] | None = None) -> list[str]:
    """List what clips of different folds have in common; empty when nothing leaks.

    Going by part, as the winner did, keeps fakes with their originals; people and copies can still cross.
    """
    leaks = []
    for tie, ids in sorted(_ties(clips, sha256 or {}).items()):
        crossed = sorted({fold_of[i] for i in ids})
        if len(crossed) > 1:
            kind, name = tie
            leaks.append(f"{kind} {name} is in the folds {', '.join(map(str, crossed))}")
    return leaks


def fold_warnings(clips: Sequence[Clip], fold_of: Mapping[str, int], asked: int) -> list[str]:
    """List what is wrong with the folds: too few, too large, or without one of the labels."""
    sizes, warnings = fold_sizes(fold_of), []
    if len(sizes) < asked:
        warnings.append(f"{len(sizes)} folds instead of {asked}: there are no more parts, or groups that share nothing")
    largest = max(sizes, key=lambda fold: sizes[fold], default=0)
    if len(sizes) > 1 and 2 * sizes[largest] > len(fold_of):
        warnings.append(f"fold {largest} has {sizes[largest]} of {len(fold_of)} clips: they share originals or people")
    labels = {(fold_of[clip.id], clip.label) for clip in clips}
    both = {clip.label for clip in clips}
    lacking = [fold for fold in sizes if any((fold, label) not in labels for label in both)]
    if lacking:
        shown = ", ".join(map(str, lacking[:10])) + (" ..." if len(lacking) > 10 else "")
        warnings.append(f"{len(lacking)} folds lack one of the labels: {shown}")
    return warnings


def _by_part(clips: Sequence[Clip], folds: int) -> dict[str, int]:
    """Cut the parts into runs of equal length, the last one longer: 50 parts and 16 folds give runs of 3, and one of 5.

    Source: selimsef/dfdc_deepfake_challenge. It counted 50 parts whatever was there; here those that are there count.
    """
    _check_parts(clips)
    parts = sorted({clip.part for clip in clips if clip.part is not None})
    folds = min(folds, max(1, len(parts)))
    run = max(1, len(parts) // folds)
    fold_of_part = {part: min(i // run, folds - 1) for i, part in enumerate(parts)}
    return {clip.id: fold_of_part[clip.part] for clip in clips if clip.part is not None}


def _by_dfdc_part(clips: Sequence[Clip], folds: int) -> dict[str, int]:
    """Runs of equal length of the parts 0 to 49, the last one longer, numbered whether they are there or not.

    Source: selimsef/dfdc_deepfake_challenge, generate_folds.
    """
    _check_parts(clips)
    if folds > DFDC_PARTS:
        raise UsageError(f"the {DFDC_PARTS} parts of the DFDC make at most {DFDC_PARTS} folds, not {folds}")
    beyond = [clip for clip in clips if clip.part is not None and clip.part >= DFDC_PARTS]
    if beyond:
        raise UsageError(f"part {beyond[0].part} is none of the {DFDC_PARTS} parts of the DFDC; use folds by part")
    run = DFDC_PARTS // folds
    return {clip.id: min(clip.part // run, folds - 1) for clip in clips if clip.part is not None}


def _check_parts(clips: Sequence[Clip]) -> None:
    without = [clip.id for clip in clips if clip.part is None]
    if without:
        raise UsageError(f"{len(without)} clips have no part, e.g. {without[0]!r}; use folds by group")


def _by_group(clips: Sequence[Clip], folds: int, sha256: Mapping[str, str], seed: int) -> dict[str, int]:
    groups = _groups(clips, sha256)

    def order(group: list[str]) -> tuple[int, str]:
        return -len(group), hashlib.sha256(f"{seed} {group[0]}".encode()).hexdigest()

    sizes = [0] * min(folds, max(1, len(groups)))
    fold_of: dict[str, int] = {}
    for group in sorted(groups, key=order):
        fold = sizes.index(min(sizes))
        sizes[fold] += len(group)
        fold_of |= dict.fromkeys(group, fold)
    return fold_of


def _groups(clips: Sequence[Clip], sha256: Mapping[str, str]) -> list[list[str]]:
    """Return groups of ids that are linked by any chain of ties, each sorted."""
    root = {clip.id: clip.id for clip in clips}

    def find(i: str) -> str:
        while root[i] != i:
            root[i] = root[root[i]]
            i = root[i]
        return i

    for ids in _ties(clips, sha256).values():
        for other in ids[1:]:
            root[find(other)] = find(ids[0])
    groups = defaultdict(list)
    for clip in sorted(clips, key=lambda clip: clip.id):
        groups[find(clip.id)].append(clip.id)
    return list(groups.values())


def _ties(clips: Sequence[Clip], sha256: Mapping[str, str]) -> dict[tuple[str, str], list[str]]:
    """Return what clips have in common: (kind, name) -> ids. A missing original ties its fakes all the same."""
    ties: dict[tuple[str, str], list[str]] = defaultdict(list)
    for clip in clips:
        ties["original", clip.original or clip.id].append(clip.id)
        for person in clip.people:
            ties["person", person].append(clip.id)
        if clip.id in sha256:
            ties["copy", sha256[clip.id]].append(clip.id)
    return {tie: ids for tie, ids in ties.items() if len(ids) > 1}


def fold_sizes(fold_of: Mapping[str, int]) -> dict[int, int]:
    """Return how many clips each fold has."""
    return dict(sorted(Counter(fold_of.values()).items()))
