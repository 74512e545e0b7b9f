"""Prepare one clip: find its faces, cut them out, find their landmarks, compare with the original."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from unmask.errors import UnmaskError, UnreadableError
from unmask.faces import cut_face, load_detector
from unmask.faces.mtcnn import without_small_faces
from unmask.faces.tubes import ScoredBox, boxes_of_faces, faces_of_boxes
from unmask.media import Limits, Video, open_clip, read_frames
from unmask.prepare.aligned import TextBoxes, write_aligned, write_text_boxes
from unmask.prepare.changes import UnchangedRule
from unmask.prepare.difference import difference_mask
from unmask.prepare.layout import (
    Boxes,
    encode_array,
    encode_image,
    parse_stem,
    read_boxes,
    read_image,
    stem,
    write_boxes,
)
from unmask.runtime.parallel import Stopped, stop_check
from unmask.storage.atomic import atomic_folder
from unmask.types import Colours, CropSpec, DetectorSpec, Face, Frame, ImageHW3, MediaFacts

Crop = tuple[int, int, ImageHW3]
"""Frame number, number of the face in the frame, and its pixels."""

Scored = dict[int, tuple[ScoredBox, ...]]
"""Frame number -> boxes with scores, in whole pixels."""

CROP = CropSpec(size_px=380)
"""The winner's region: the box and a third of it on each side, in pixels of the frame; ``size_px`` is not used."""

_LARGE_SHARE = 0.25
"""The face of a crop fills about 0.6 of it; one that fills this share is large."""
_CLEAR_RATIO = 1.5


@dataclass(frozen=True, slots=True)
class Settings:
    """How clips are prepared."""

    every: int = 10
    """Keep each frame whose number is a multiple of this."""
    image_format: str = "png"
    """``png``, ``jpg`` or ``webp``, the latter two at quality 95."""
    colours: Colours = "tagged"
    """How frames are decoded."""
    detection: DetectorSpec = field(default_factory=lambda: DetectorSpec(thresholds=(0.85, 0.95, 0.95)))
    """How faces are detected; the challenge winner's scale was always 0.5."""
    boxes_from: str | None = None
    """Folder of text boxes to take instead of detecting faces; see `unmask.prepare.aligned`."""
    box_pixels: Literal["frame", "scaled"] = "frame"
    """The unit of boxes/: half pixels of the frame, or, with a scale of 0.5, pixels of the image that was searched,
    which differ where a side is odd. Crops are cut at twice the numbers in either case."""
    landmark_search: Literal["large_first", "all"] = "large_first"
    """``large_first`` looks for small faces in a crop only where no large one is clearly seen; ``all`` always."""
    max_frames: int | None = None
    """Landmarks, masks and lines of folds.csv are made of so many of the kept frames of a clip; None for all."""
    max_faces: int | None = None
    """They are made of so many faces of a frame, largest first; None for all."""
    unpaired_originals: bool = True
    """Whether folds.csv lists originals from which no fake was made."""
    unchanged: UnchangedRule = "real"
    """What folds.csv says of crops of fakes whose face was not changed, see `unmask.prepare.changes`."""
    landmark_detection: DetectorSpec = field(
        default_factory=lambda: DetectorSpec(scale=1.0, thresholds=(0.65, 0.75, 0.75))
    )
    """How landmarks are detected in a crop."""
    limits: Limits = field(default_factory=Limits)
    """Limits on time, memory and pixels of one clip."""

    def is_listed(self, frame: int, face: int) -> bool:
        """Tell whether a crop gets landmarks, a mask and a line of folds.csv."""
        within = self.max_frames is None or frame < self.max_frames * self.every
        return within and (self.max_faces is None or face < self.max_faces)


class CropStore:
    """The crops of one clip as PNG files. Some are kept in memory, since each fake of a family needs them."""

    def __init__(self, folder: Path) -> None:
        """Read from ``folder``, which may be missing."""
        self.folder = folder
        self._kept: dict[str, ImageHW3] = {}
        self._room_bytes = 64 * 2**20

    def read(self, name: str) -> ImageHW3 | None:
        """Return a crop by its name without suffix, None when there is none."""
        if name in self._kept:
            return self._kept[name]
        path = self.folder / f"{name}.png"
        if not path.exists():
            return None
        image_HW3 = read_image(path)
        if image_HW3.nbytes <= self._room_bytes:
            self._room_bytes -= image_HW3.nbytes
            self._kept[name] = image_HW3
        return image_HW3


class UnlikeLeaderError(UnmaskError):
    """A fake's frames differ in size from its original's, so the original's boxes do not fit."""


@dataclass(frozen=True, slots=True)
class Leader:
    """The clip whose boxes another one uses: its original."""

    id: str
    """Id of the clip."""
    path: Path
    """The file."""
    sha256: str
    """Hash of the file."""
    boxes_key: str | None
    """Key of its boxes; None when there are none."""
    tubes_key: str | None
    """Hash of what its text boxes were made from; None when there are none."""
    size_px: tuple[int | None, int | None]
    """Width and height of an upright frame; None when only its crops are known."""
    crops: CropStore
    """Its crops, lossless."""
    lossy: bool = False
    """Whether the crops on disk are lossy; then ``crops`` is a scratch folder, filled when it is first needed."""

    def check_size(self, size_px: tuple[int | None, int | None]) -> None:
        """Compare the frames of a fake, of this width and height, with its original's; unknown sizes pass.

        Raises:
            UnlikeLeaderError: They differ.
        """
        if (None, None) not in (size_px, self.size_px) and size_px != self.size_px:
            raise UnlikeLeaderError(
                f"its frames have {size_px} pixels, its original's {self.size_px}: it has its own boxes and no "
                "difference masks"
            )


@dataclass(slots=True)
class Prepared:
    """What the steps have made of one clip."""

    facts: MediaFacts | None = None
    """What the file is; None when it was not opened."""
    faces: int = 0
    """Number of crops that were cut or read."""
    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Step -> number of files, and of their bytes."""
    notes: dict[str, str] = field(default_factory=dict)
    """What is missing and why, in sentences, by step; ``video`` for the file itself."""


class ClipSteps:
    """Prepares clips. Safe to use from several threads."""

    def __init__(self, out: Path, settings: Settings, stopping: threading.Event) -> None:
        """Prepare into ``out``; ``stopping`` ends the work at the next frame.

        Raises:
            UsageError: The detector is not there.
        """
        self._out, self._settings, self._stopping = out, settings, stopping
        self._texts = None if settings.boxes_from is None else TextBoxes(Path(settings.boxes_from))
        self._writers: dict[str, Callable[[Crop, Leader | None], tuple[str, bytes] | None]] = {
            "crops": self._write_crop,
            "landmarks": self._write_landmarks,
            "diffs": self._write_diff,
        }

    def run(self, name: str, path: Path, leader: Leader | None, steps: Sequence[str], saved: bool) -> Prepared:
        """Do some steps for one clip.

        Args:
            name: Id of the clip.
            path: The clip.
            leader: Its original, already prepared; None for a clip that shows its own faces.
            steps: Out of boxes, crops, landmarks, tubes (without a leader), crops, diffs, tubes (with one).
            saved: Whether its crops are there, lossless and up to date, so that they need not be cut again.

        Raises:
            InputError: The clip cannot be read.
            UnlikeLeaderError: It is not as large as its original.
            UnmaskError: Files that an earlier step should have written are missing.
        """
        done, scored = Prepared(), Scored()
        if leader and leader.lossy and "diffs" in steps and not any(leader.crops.folder.iterdir()):
            self._save_lossless(leader)
        detect = leader is None and ("boxes" in steps or "tubes" in steps)
        if detect or set(steps) & set(self._writers):
            if saved and not detect and "crops" not in steps:
                self._write_all(name, leader, steps, self._saved(name), done)
            else:
                boxes = Boxes()
                crops = self._cut(name, path, leader, done, boxes, scored if detect else None)
                self._write_all(name, leader, steps, crops, done)
                if "boxes" in steps:
                    done.files["boxes"] = self._write_boxes(name, boxes)
        if "tubes" in steps:
            done.files["tubes"] = self._write_tubes(name, path, leader, scored if detect else None, done)
        return done

    def texts_key(self, name: str) -> str | None:
        """Hash the text boxes of a clip that replace the detector; None when there are none."""
        if self._texts is None:
            return None
        folder = self._texts.find(name)
        files = sorted(folder.iterdir()) if folder else []
        return hashlib.sha256(b"".join(path.name.encode() + path.read_bytes() for path in files)).hexdigest()[:16]

    def _write_all(
        self, name: str, leader: Leader | None, steps: Sequence[str], crops: Iterator[Crop], done: Prepared
    ) -> None:
        """Write what each step makes of each crop."""
        missed: Counter[str] = Counter()
        with ExitStack() as stack:
            folders = {
                step: stack.enter_context(atomic_folder(self._out / step / name))
                for step in steps
                if step in self._writers
            }
            sizes: dict[str, list[int]] = {step: [] for step in folders}
            for crop in crops:
                done.faces += 1
                listed = self._settings.is_listed(crop[0], crop[1])
                for step, folder in folders.items():
                    if step != "crops" and not listed:
                        continue
                    written = self._writers[step](crop, leader)
                    if written is None:
                        missed[step] += 1
                        continue
                    (folder / written[0]).write_bytes(written[1])
                    sizes[step].append(len(written[1]))
        done.files |= {step: (len(lengths), sum(lengths)) for step, lengths in sizes.items()}
        done.notes |= {step: _MISSED[step].format(count, done.faces) for step, count in missed.items()}

    def _write_boxes(self, name: str, boxes: Boxes) -> tuple[int, int]:
        target = self._out / "boxes" / f"{name}.json"
        target.parent.mkdir(exist_ok=True)
        write_boxes(boxes, target)
        return 1, target.stat().st_size

    def _write_tubes(
        self, name: str, path: Path, leader: Leader | None, scored: Scored | None, done: Prepared
    ) -> tuple[int, int]:
        texts = self._out / "retinaface" / (leader.id if leader else name)
        if scored is not None:
            with atomic_folder(texts) as folder:
                write_text_boxes(scored, folder)
        boxes = TextBoxes.read(texts)
        with atomic_folder(self._out / "aligned" / name) as folder:
            settings = self._settings
            with open_clip(path, settings.limits, settings.colours) as video:
                files, missing = write_aligned(video, boxes, settings.image_format, folder, self._read)
        if missing:
            done.notes["tubes"] = f"{missing} aligned crops are missing: their frames cannot be decoded"
        return files

    def _save_lossless(self, leader: Leader) -> None:
        """Cut a leader's crops once more, as PNG, into the folder of ``leader.crops``."""
        for frame, face, image_HW3 in self._cut(leader.id, leader.path, None, Prepared(), Boxes(), None):
            (leader.crops.folder / f"{stem(frame, face)}.png").write_bytes(encode_image(image_HW3, "png"))

    def _cut(
        self, name: str, path: Path, leader: Leader | None, done: Prepared, boxes: Boxes, scored: Scored | None
    ) -> Iterator[Crop]:
        """Decode the frames that are kept, once, find their boxes or look them up, and cut the faces out.

        Fills ``boxes``, and ``scored`` unless it is None; then the boxes are looked up.
        """
        find = None if scored is None else self._face_finder(name)
        check = stop_check(self._stopping)
        with open_clip(path, self._settings.limits, self._settings.colours, check=check) as video:
            done.facts = video.facts
            if leader is not None:
                leader.check_size((video.facts.width, video.facts.height))
            wanted = np.arange(0, len(video.index), self._settings.every)
            asked, lost = len(wanted), 0  # lost: frames that could not be decoded when the boxes were looked for
            if find is None:
                boxes |= read_boxes(self._out / "boxes" / f"{leader.id if leader else name}.json")
                lost = 0 if leader else sum(int(i) not in boxes for i in wanted)
                wanted = np.array([i for i in wanted if boxes.get(int(i))], np.int64)
            decoded = 0
            for frame in self._read(video, wanted):
                if find is not None and scored is not None:
                    faces = find(frame)
                    boxes[frame.index], scored[frame.index] = self._halves(faces, frame), boxes_of_faces(faces)
                decoded += 1
                yield from cut_boxes(frame, boxes[frame.index])
            if decoded == 0 and len(wanted):
                raise UnreadableError("the file is damaged: none of the frames that are kept can be decoded")
            lost += len(wanted) - decoded
            if lost:
                done.notes["video"] = f"{lost} of {asked} frames cannot be decoded"

    def _halves(self, faces: Sequence[Face], frame: Frame) -> list[list[float]]:
        """Return the boxes of a frame as boxes/ holds them."""
        x_divisor = y_divisor = 2.0
        if self._settings.box_pixels == "scaled":
            height, width = frame.image_HW3.shape[:2]
            x_divisor, y_divisor = width / max(1, width // 2), height / max(1, height // 2)
        divisors = (x_divisor, y_divisor, x_divisor, y_divisor)
        return [[edge / by for edge, by in zip(face.xyxy_px, divisors, strict=True)] for face in faces]

    def _face_finder(self, name: str) -> Callable[[Frame], Sequence[Face]]:
        """Return a function that finds the faces of a frame: the detector, or a look-up of text boxes."""
        if self._texts is None:
            detector = load_detector(self._settings.detection)
            return lambda frame: detector.detect(frame.image_HW3)
        folder = self._texts.find(name)
        if folder is None:
            raise UnmaskError(f"{self._settings.boxes_from} has no text boxes of this clip; run the detector again")
        texts = TextBoxes.read(folder)
        return lambda frame: faces_of_boxes(texts.get(frame.index, ()))

    def _read(self, video: Video, wanted: NDArray[np.int64]) -> Iterator[Frame]:
        """Decode these frames; what the decoder gives in place of a broken one is left out, to stay on the grid."""
        numbers = set(wanted.tolist())
        for frame in read_frames(video, wanted) if numbers else ():
            if self._stopping.is_set():
                raise Stopped
            if frame.index in numbers:
                yield frame

    def _saved(self, name: str) -> Iterator[Crop]:
        """Read the crops that were cut before."""
        for path in sorted((self._out / "crops" / name).iterdir()):
            if self._stopping.is_set():
                raise Stopped
            if (place := parse_stem(path.stem)) is not None:
                yield *place, read_image(path)

    def _write_crop(self, crop: Crop, _: Leader | None) -> tuple[str, bytes]:
        frame, face, image_HW3 = crop
        image_format = self._settings.image_format
        return f"{stem(frame, face)}.{image_format}", encode_image(image_HW3, image_format)

    def _write_landmarks(self, crop: Crop, _: Leader | None) -> tuple[str, bytes] | None:
        frame, face, image_HW3 = crop
        found = self._largest_face(image_HW3)
        if found is None or found.landmarks_px is None:
            return None
        return f"{stem(frame, face)}.npy", encode_array(np.rint(found.landmarks_px).astype(np.int16))

    def _largest_face(self, crop_HW3: ImageHW3) -> Face | None:
        """Detect the large face that a crop was cut for; search for smaller ones only where it is not found clearly."""
        if self._settings.landmark_search == "all":
            return next(iter(load_detector(self._settings.landmark_detection).detect(crop_HW3)), None)
        large = without_small_faces(self._settings.landmark_detection, _LARGE_SHARE * min(crop_HW3.shape[:2]))
        for settings, min_side_px in (
            (large, _CLEAR_RATIO * large.min_face_px),
            (self._settings.landmark_detection, 0.0),
        ):
            found = load_detector(settings).detect(crop_HW3)
            if found and found[0].side_px >= min_side_px:
                return found[0]
        return None

    def _write_diff(self, crop: Crop, leader: Leader | None) -> tuple[str, bytes] | None:
        frame, face, image_HW3 = crop
        original_HW3 = leader.crops.read(stem(frame, face)) if leader else None
        mask_HW = None if original_HW3 is None else difference_mask(original_HW3, image_HW3)
        return None if mask_HW is None else (f"{stem(frame, face)}_diff.png", encode_image(mask_HW, "png"))


_MISSED = {
    "landmarks": "no landmarks were found in {} of {} crops",
    "diffs": "{} of {} crops have no difference mask: the original's crop is missing or too small to compare",
}


def cut_boxes(frame: Frame, boxes: Sequence[Sequence[float]]) -> Iterator[Crop]:
    """Cut the faces in some boxes (half-resolution pixels) out of a frame; boxes without area are left out."""
    for number, (x1, y1, x2, y2) in enumerate(boxes):
        if x2 <= x1 or y2 <= y1:
            continue
        patch_HW3 = cut_face(frame.image_HW3, Face((2 * x1, 2 * y1, 2 * x2, 2 * y2), 1.0), CROP)
        if patch_HW3.size:
            yield frame.index, number, patch_HW3
