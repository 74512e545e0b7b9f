"""Tell in which crops of a fake the face was changed: in a group only some faces are, in a clip only some passages.

    changes/<fake>.json     frame and face of each crop -> changed: yes, no or unclear, and what says so
    changed.csv             the same of all fakes: video,file,changed,by,level,around

What a dataset's authors say has precedence: their masks, light where a frame was changed. Else the difference masks
tell, which lie in diffs/. A face counts as changed where it differs plainly, and much more than what surrounds it; as
unchanged where it hardly differs; and as unclear in between, where heavy compression, or a pair that does not align,
hides what was done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip
from unmask.errors import InputError, UnmaskError
from unmask.media import Limits, frames_of_folder, open_video, read_frames
from unmask.prepare.layout import CropRow, parse_stem, read_boxes, read_image, stem
from unmask.storage.atomic import write_file
from unmask.types import Frame

Changed = Literal["yes", "no", "unclear"]
UnchangedRule = Literal["real", "left_out", "fake"]
"""What crops of a fake with an unchanged face are in folds.csv: ``real``, ``left_out``, or ``fake`` as their clip is,
which is how the challenge's winner labelled them."""
Grey: TypeAlias = "NDArray[np.uint8]"
ReadMask = Callable[[int], "Grey | None"]
"""Frame number -> mask (H, W) of the whole frame, None where there is none; asked in ascending order."""

HEADER = ("video", "file", "changed", "by", "level", "around")

_CHANGED_LEVEL, _UNCHANGED_LEVEL = 40.0, 30.0
_TIMES_AROUND = 2.0
_WINDOW_SHARE = 1 / 6
_BOX_MARGIN_SHARE = 0.2
"""The third of a box that a crop has on each side, as a share of the crop."""
_RIM_SHARE = 1 / 8
_LIGHT, _LEAST_MASKED = 16, 0.02
"""Masks of a video are not quite black where nothing was changed; DeepfakeBench takes all above 1."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is known of one face of a fake in one frame."""

    changed: Changed
    """Whether it was changed."""
    by: Literal["mask", "difference"]
    """What says so: the dataset's own mask, or the difference mask."""
    level: float
    """Of the most different part of the face: 0 to 255 of a difference mask; share of the box, 0 to 1, of a mask."""
    around: float | None = None
    """The same of what surrounds the face in the crop; None of a mask."""

    def __post_init__(self) -> None:
        if self.changed not in ("yes", "no", "unclear") or self.by not in ("mask", "difference"):
            raise ValueError(f"{self.changed!r} by {self.by!r} is no change that is known")


def change_of_difference(mask_HW: Grey) -> Change:
    """Return what a difference mask of `unmask.prepare.difference` says of the face in the middle of its crop.

    The level of a place is the mean of a window of a sixth of the crop around it. The face has the highest of its
    levels, which a changed mouth alone raises; its surroundings have the level that nine tenths of them stay below.
    Measured on FaceForensics++ at c40 and DeepFaceLive pairs, changed faces have at least 50, re-encoded ones below 30
    up to crf 28; what is changed has at least twice the level of its surroundings, what is re-encoded less than 1.5.
    """
    height, width = mask_HW.shape
    window = max(1, round(width * _WINDOW_SHARE)), max(1, round(height * _WINDOW_SHARE))
    levels_HW = cv2.blur(mask_HW.astype(np.float32), window)
    inside = _BOX_MARGIN_SHARE + _WINDOW_SHARE / 2
    top, left = round(height * inside), round(width * inside)
    rim_HW = rim_of(height, width)
    level = float(levels_HW[top : max(top + 1, height - top), left : max(left + 1, width - left)].max())
    around = float(np.percentile(levels_HW[rim_HW], 90)) if rim_HW.any() else 0.0
    changed: Changed = "unclear"
    if level < _UNCHANGED_LEVEL:
        changed = "no"
    elif level >= _CHANGED_LEVEL and level >= _TIMES_AROUND * around:
        changed = "yes"
    return Change(changed, "difference", round(level, 1), round(around, 1))


def rim_of(height: int, width: int) -> NDArray[np.bool_]:
    """Return which pixels of a crop surround its face: an eighth of its height and width on each side."""
    rim_HW = np.ones((height, width), bool)
    y, x = round(height * _RIM_SHARE), round(width * _RIM_SHARE)
    rim_HW[y : height - y, x : width - x] = False
    return rim_HW


def change_of_mask(mask_HW: Grey, xyxy_px: tuple[float, float, float, float]) -> Change:
    """Return what a dataset's mask of a whole frame says of the face in a box: changed where 2 % of it are light."""
    height, width = mask_HW.shape
    x1, y1, x2, y2 = np.clip(np.rint(xyxy_px), 0, (width, height, width, height)).astype(int).tolist()
    box_HW = mask_HW[y1:y2, x1:x2]
    share = float((box_HW > _LIGHT).mean()) if box_HW.size else 0.0
    return Change("yes" if share >= _LEAST_MASKED else "no", "mask", round(share, 3))


@contextmanager
def open_mask(path: Path, clip: Path, numbers: Sequence[int], limits: Limits) -> Iterator[ReadMask]:
    """Open a dataset's mask: a video like the clip, or a folder of images named as the clip's frames or their numbers.

    Args:
        path: The video or folder.
        clip: The clip that it is of.
        numbers: Frames that will be asked for.
        limits: What it may cost.

    Raises:
        InputError: The video cannot be read.
    """
    if path.is_dir():
        if clip.is_dir():
            names = {frame.stem: number for number, frame in enumerate(frames_of_folder(clip))}
            images = {names[image.stem]: image for image in path.iterdir() if image.stem in names}
        else:
            images = {int(image.stem): image for image in path.iterdir() if image.stem.isdecimal()}
        yield lambda number: None if number not in images else _grey(read_image(images[number]))
        return
    with open_video(path, limits) as video:
        wanted = np.array(sorted({number for number in numbers if number < len(video.index)}), np.int64)
        frame_at = FramesInStep(read_frames(video, wanted) if len(wanted) else iter(()))

        def read(number: int) -> Grey | None:
            frame = frame_at(number)
            return None if frame is None else _grey(frame.image_HW3)

        yield read


class FramesInStep:
    """Gives the frames of one clip at the numbers of another's, which must ascend; None where it has none."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        """Take frames in order."""
        self._frames = frames
        self._last: Frame | None = None

    def __call__(self, number: int) -> Frame | None:
        """Return the frame with this number."""
        while self._last is None or self._last.index < number:
            self._last = next(self._frames, None)
            if self._last is None:
                return None
        return self._last if self._last.index == number else None


def find_changes(
    out: Path,
    name: str,
    leader: str,
    clip: Path,
    mask: Path | None,
    size_px: tuple[int | None, int | None],
    limits: Limits,
) -> tuple[dict[str, Change], str | None]:
    """Tell which crops of a prepared fake show a changed face.

    Args:
        out: The prepared folder.
        name: Id of the fake.
        leader: Id of the clip whose boxes it was cut with.
        clip: The fake itself.
        mask: Its authors' mask; None where there is none.
        size_px: Width and height of its frames, None where unknown; a mask of another size is scaled.
        limits: Limits on time, memory and pixels of a mask.

    Returns:
        Name of the crop without suffix -> what is known, without crops of which nothing is; and why the mask cannot be
        read, None where it can.

    Raises:
        UnmaskError: A file of an earlier step is damaged.
    """
    diffs = out / "diffs" / name
    crops = sorted(place for path in _listed(out / "crops" / name) if (place := parse_stem(path.stem)) is not None)
    changes, problem = dict[str, Change](), None
    try:
        changes |= {} if mask is None else _by_mask(out, crops, leader, clip, mask, size_px, limits)
    except InputError as error:
        problem = f"its mask cannot be used, its differences are taken instead: {error}"
    for frame, face in crops:
        path = diffs / f"{stem(frame, face)}_diff.png"
        if stem(frame, face) not in changes and path.exists():
            changes[stem(frame, face)] = change_of_difference(read_image(path)[..., 0])
    return changes, problem


def _by_mask(
    out: Path,
    crops: Sequence[tuple[int, int]],
    leader: str,
    clip: Path,
    mask: Path,
    size_px: tuple[int | None, int | None],
    limits: Limits,
) -> dict[str, Change]:
    boxes, changes = read_boxes(out / "boxes" / f"{leader}.json"), dict[str, Change]()
    with open_mask(mask, clip, [frame for frame, _ in crops], limits) as read:
        asked, mask_HW = -1, None
        for frame, face in crops:
            if frame != asked:
                asked, mask_HW = frame, read(frame)
            if mask_HW is None or face >= len(boxes.get(frame, ())):
                continue
            height, width = mask_HW.shape
            x_factor, y_factor = 2 * width / (size_px[0] or width), 2 * height / (size_px[1] or height)
            x1, y1, x2, y2 = boxes[frame][face]
            box = (x1 * x_factor, y1 * y_factor, x2 * x_factor, y2 * y_factor)
            changes[stem(frame, face)] = change_of_mask(mask_HW, box)
    return changes


def write_changes(changes: Mapping[str, Change], path: Path) -> None:
    """Write what is known of the crops of one fake."""
    path.parent.mkdir(exist_ok=True)
    write_file(path, json.dumps({name: asdict(change) for name, change in changes.items()}).encode())


def read_changes(out: Path, name: str) -> dict[str, Change]:
    """Return what is known of the crops of a fake; nothing where the step was not done.

    Raises:
        UnmaskError: The file is of another form.
    """
    path = out / "changes" / f"{name}.json"
    try:
        return {name: Change(**change) for name, change in json.loads(path.read_bytes()).items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UnmaskError(f"{path} does not say what was changed ({error}); run the step changes again") from error


def follow_changes(rows: Iterable[CropRow], out: Path, rule: UnchangedRule) -> Iterator[CropRow]:
    """Yield rows of folds.csv whose labels are those of the faces; rows come clip by clip."""
    video, changes = None, dict[str, Change]()
    for row in rows:
        if row.label and row.video != video:
            video, changes = row.video, read_changes(out, row.video)
        change = changes.get(Path(row.file).stem) if row.label else None
        if rule == "fake" or change is None or change.changed != "no":
            yield row
        elif rule == "real":
            yield replace(row, label=0)


def changed_rows(clips: Iterable[Clip], out: Path, image_format: str) -> Iterator[tuple[object, ...]]:
    """Yield the lines of changed.csv."""
    for clip in clips:
        for name, change in read_changes(out, clip.id).items() if clip.label == "fake" else ():
            around = "" if change.around is None else change.around
            yield clip.id, f"{name}.{image_format}", change.changed, change.by, change.level, around


def _listed(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _grey(image_HW3: NDArray[np.uint8]) -> Grey:
    return image_HW3.max(2)
