"""Say what is odd about single clips of a dataset: reasons to look, not faults."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from unmask.datasets.index import Index
from unmask.explore.changed import oddities_of_changes
from unmask.explore.records import ExploredClip
from unmask.types import MediaFacts


def find_duplicates(explored: Sequence[ExploredClip]) -> list[list[str]]:
    """Return groups of clips whose files are the same to the last byte, as ids."""
    by_hash: dict[str, list[str]] = defaultdict(list)
    for found in explored:
        if found.media:
            by_hash[found.media.sha256].append(found.id)
    return sorted(ids for ids in by_hash.values() if len(ids) > 1)


def find_suspicions(index: Index, explored: Sequence[ExploredClip]) -> dict[str, list[str]]:
    """Say what is odd about single clips, by id: each sentence is a reason to look, not a fault."""
    media_of = {found.id: found.media for found in explored if found.media}
    with_sound = sum(media.audio is not None for media in media_of.values())
    label_of = {clip.id: clip.label for clip in index.clips}
    original_of = {clip.id: clip.original for clip in index.clips}
    odd: dict[str, list[str]] = {}
    for found in explored:
        if found.media is None:
            continue
        sentences = _oddities(found, found.media, with_sound > 0.8 * len(media_of))
        original = media_of.get(original_of[found.id] or "")
        if original:
            sentences += _pair_oddities(found.media, original)
        if sentences:
            odd[found.id] = sentences
    for ids in find_duplicates(explored):
        if {"real", "fake"} <= {label_of[i] for i in ids}:
            for i in ids:
                odd.setdefault(i, []).append("the same file is labelled real and fake")
    return odd


def _oddities(found: ExploredClip, media: MediaFacts, others_have_sound: bool) -> list[str]:
    odd = list(found.oddities)
    if len(found.frames) < found.frames_asked:
        lost = found.frames_asked - len(found.frames)
        odd.append(f"{lost} of {found.frames_asked} frames cannot be decoded")
    odd += _header_oddities(media)
    if media.duration_seconds < 1:
        odd.append(f"only {media.duration_seconds:.2f} s long")
    if not 0.9 < media.sample_aspect_ratio < 1.1:
        odd.append(f"pixels are not square ({media.sample_aspect_ratio:.2f})")
    if media.audio is None and others_have_sound:
        odd.append("silent, while nearly all others have sound")
    if media.audio and abs((media.audio.start_seconds or 0) - (media.start_seconds or 0)) > 0.1:
        odd.append("sound and picture start more than 0.1 s apart")
    if found.frames and not found.faces:
        odd.append(f"no face in {len(found.frames)} frames")
    return odd + oddities_of_changes(found.changes)


def _header_oddities(media: MediaFacts) -> list[str]:
    if media.cut_short:
        return [f"the file is cut short: its header promises more than the {media.frames} frames that are there"]
    if media.frames_claimed and abs(media.frames_claimed - media.frames) > 1:
        return [f"the header claims {media.frames_claimed} frames, {media.frames} are there"]
    return []


def _pair_oddities(fake: MediaFacts, original: MediaFacts) -> list[str]:
    odd = []
    if (fake.width, fake.height) != (original.width, original.height):
        sizes = [f"{media.width}x{media.height}" for media in (fake, original)]
        odd.append(f"frames of {sizes[0]}, its original's are {sizes[1]}: the pair is not aligned")
    if abs(fake.frames - original.frames) > 1:
        odd.append(f"{fake.frames} frames, its original has {original.frames}")
    if fake.sha256 == original.sha256:
        odd.append("the same file as its original")
    return odd
