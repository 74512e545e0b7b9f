"""Tell which faces of a fake were changed, and when, by its original or its authors' mask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip, Index
from unmask.errors import InputError
from unmask.faces import cut_face
from unmask.media import Limits, open_clip, read_frames
from unmask.prepare.changes import (
    Changed,
    FramesInStep,
    ReadMask,
    change_of_difference,
    change_of_mask,
    open_mask,
    rim_of,
)
from unmask.prepare.clip_steps import CROP
from unmask.prepare.difference import difference_mask
from unmask.types import Face, Frame, ImageHW3

_MOVED_LEVELS = 20.0
"""Levels of 255 by which what surrounds a face differs, smoothed, where two clips do not show the same moment; of pairs
of FaceForensics++ at c40 that align it has at most 6, of clips re-encoded at crf 45 at most 18, of others 31."""


@dataclass(frozen=True, slots=True)
class FrameChanges:
    """What of one frame of a fake was changed."""

    frame_index: int
    """Frame index, see `unmask.types.Frame.index`."""
    changed: tuple[Changed, ...]
    """Of each face, largest first."""
    aligned: bool | None
    """Whether the original shows the same around the largest face; None where that was not compared."""


class Reference:
    """What the frames of one fake are compared with."""

    def __init__(self, mask: ReadMask | None, original: FramesInStep | None) -> None:
        """Take its authors' mask, its original, both or neither."""
        self._mask, self._original = mask, original

    def compare(self, frame: Frame, faces: Sequence[Face]) -> FrameChanges | None:
        """Return what was changed of some faces, largest first; None where there is nothing to compare them with.

        Frames must come in order.
        """
        if not faces:
            return None
        try:
            mask_HW = None if self._mask is None else self._mask(frame.index)
            original = None if self._original is None else self._original(frame.index)
        except InputError:  # it breaks off
            self._mask = self._original = None
            return None
        same = original is not None and original.image_HW3.shape == frame.image_HW3.shape
        aligned = _is_aligned(original.image_HW3, frame.image_HW3, faces[0]) if original is not None and same else None
        if mask_HW is not None:
            changed = [change_of_mask(mask_HW, face.xyxy_px).changed for face in faces]
        elif original is not None and same:
            changed = [_changed(original.image_HW3, frame.image_HW3, face) for face in faces]
        else:
            return None
        return FrameChanges(frame.index, tuple(changed), aligned)


@contextmanager
def open_reference(
    index: Index, clip: Clip, original: Clip | None, wanted: NDArray[np.int64], limits: Limits
) -> Iterator[Reference]:
    """Open what a fake is compared with; what cannot be read is left out.

    Args:
        index: The dataset.
        clip: The fake; of other clips there is nothing to compare.
        original: Its original, None where it is not in the dataset.
        wanted: Numbers of the frames that will be compared, ascending.
        limits: Limits on time, memory and pixels of one clip.
    """
    mask, frames, path = None, None, index.mask_of(clip)
    with ExitStack() as stack:
        if path is not None and clip.label == "fake":
            try:
                mask = stack.enter_context(open_mask(path, index.path_of(clip), wanted.tolist(), limits))
            except InputError:
                mask = None
        if original is not None and clip.label == "fake":
            try:
                video = stack.enter_context(open_clip(index.path_of(original), limits))
                there = wanted[wanted < len(video.index)]
                frames = FramesInStep(read_frames(video, there) if len(there) else iter(()))
            except InputError:
                frames = None
        yield Reference(mask, frames)


def oddities_of_changes(frames: Sequence[FrameChanges]) -> list[str]:
    """Say what of a fake's changes matters to who trains or measures on it, each in a sentence."""
    told = [frame for frame in frames if {"yes", "no"} & set(frame.changed)]
    changed = [frame for frame in told if "yes" in frame.changed]
    untouched = [frame for frame in told if set(frame.changed) == {"no"}]
    smaller = [frame for frame in changed if frame.changed[0] == "no"]
    compared = [frame for frame in frames if frame.aligned is not None]
    moved = [frame for frame in compared if not frame.aligned]
    odd = []
    if smaller:
        odd.append(f"the changed face is not the largest in {len(smaller)} of {len(changed)} frames")
    if changed and untouched:
        odd.append(f"a part-time fake: no face was changed in {len(untouched)} of {len(told)} frames")
    if untouched and not changed:
        odd.append(f"labelled fake, but no face was changed in {len(untouched)} frames")
    if 2 * len(moved) > len(compared):
        odd.append(
            f"does not align with its original: what surrounds the face differs, too, in {len(moved)} of "
            f"{len(compared)} frames"
        )
    return odd


def _changed(original_HW3: ImageHW3, fake_HW3: ImageHW3, face: Face) -> Changed:
    mask_HW = difference_mask(cut_face(original_HW3, face, CROP), cut_face(fake_HW3, face, CROP))
    return "unclear" if mask_HW is None else change_of_difference(mask_HW).changed


def _is_aligned(original_HW3: ImageHW3, fake_HW3: ImageHW3, face: Face) -> bool:
    """Compare what surrounds a face, smoothed so that compression counts little."""
    crops = [cut_face(image_HW3, face, CROP) for image_HW3 in (original_HW3, fake_HW3)]
    height, width = crops[0].shape[:2]
    if not crops[0].size:
        return True
    smooth = [cv2.GaussianBlur(crop, (0, 0), max(1.0, height / 50)) for crop in crops]
    levels_HW = cv2.absdiff(smooth[0], smooth[1]).max(2)
    return float(np.percentile(levels_HW[rim_of(height, width)], 90)) < _MOVED_LEVELS
