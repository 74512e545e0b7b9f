"""Read and write RobustForensics' folders: text boxes, and size-aligned faces cut along tubes.

    retinaface/<id>/frame<k>.txt          boxes with scores, of any detector; k counts from 1
    aligned/<id>/frame<k>_face<j>.png     one crop of constant size for each tube and frame
    aligned/<id>/info.json                size, tubes, and where each crop came from

Source: Siyu-C/RobustForensics, whose info was a pickle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unmask.datasets.index import Clip
from unmask.errors import UnmaskError, UsageError
from unmask.faces.tubes import ScoredBox, aligned_crops, format_boxes, parse_boxes, plan_tubes
from unmask.media import Video
from unmask.prepare.layout import encode_image
from unmask.storage.atomic import atomic_file
from unmask.types import Frame

Detections = Mapping[int, Sequence[ScoredBox]]
"""Frame index, from 0 -> boxes."""


class TextBoxes:
    """A folder of text boxes: ``<id>/frame<k>.txt``, or ``<part>/<id>/frame<k>.txt``."""

    def __init__(self, folder: Path) -> None:
        """List the clips that have boxes.

        Raises:
            UsageError: The folder does not exist.
        """
        if not folder.is_dir():
            raise UsageError(f"{folder} is no folder; name one with text boxes")
        nearest = [path for path in sorted(folder.iterdir()) if path.is_dir()]
        parts = [path for part in nearest for path in sorted(part.iterdir()) if path.is_dir()]
        self._folders = {path.name: path for path in [*parts, *nearest]}

    def find(self, name: str) -> Path | None:
        """Return the folder of a clip."""
        return self._folders.get(name)

    @staticmethod
    def read(folder: Path) -> dict[int, tuple[ScoredBox, ...]]:
        """Return the boxes of all frames of a clip, in order.

        Raises:
            UnmaskError: The folder is missing, or a file is of another form.
        """
        if not folder.is_dir():
            raise UnmaskError("its text boxes are missing; run the step tubes again")
        detections = {}
        for path in folder.iterdir():
            number = re.fullmatch(r"frame([1-9]\d{0,8})\.txt", path.name)
            if number is None:
                continue
            try:
                detections[int(number[1]) - 1] = parse_boxes(path.read_text())
            except (ValueError, OSError) as error:
                raise UnmaskError(f"{path} holds no boxes: {error}") from error
        return dict(sorted(detections.items()))


def write_text_boxes(detections: Detections, folder: Path) -> None:
    """Write one text file for each frame."""
    for index, boxes in detections.items():
        (folder / f"frame{index + 1}.txt").write_text(format_boxes(boxes))


def write_aligned(
    video: Video,
    detections: Detections,
    image_format: str,
    folder: Path,
    read: Callable[[Video, NDArray[np.int64]], Iterator[Frame]],
) -> tuple[tuple[int, int], int]:
    """Cut the faces of a clip along its tubes, and say in info.json what was cut.

    Args:
        video: The clip.
        detections: Boxes of the frames that are kept.
        image_format: Format of the crops.
        folder: The folder to write into.
        read: Decodes frames of an open video; those that cannot be decoded are left out.

    Returns:
        Number of files and of bytes, and the number of crops whose frame could not be decoded.

    Raises:
        InputError: The clip cannot be read.
    """
    sizes, written = [], set()
    there = {index: boxes for index, boxes in detections.items() if index < len(video.index)}
    plan = plan_tubes(there, video.facts.height, video.facts.width)
    planned = {crop.name: crop for tube in plan.crops for crop in tube}
    for frame in read(video, np.array(sorted({crop.source_index for crop in planned.values()}), np.int64)):
        for crop in aligned_crops(plan, frame.index):
            x, y, side = crop.xy_side_px
            data = encode_image(frame.image_HW3[y : y + side, x : x + side], image_format)
            (folder / f"{crop.name}.{image_format}").write_bytes(data)
            sizes.append(len(data))
            written.add(crop.name)
    info = plan.to_dict()
    info["missing"] = sorted(set(planned) - written)
    text = json.dumps(info).encode()
    (folder / "info.json").write_bytes(text)
    return (len(sizes) + 1, sum(sizes) + len(text)), len(planned) - len(written)


def write_tube_list(clips: Sequence[Clip], out: Path, image_format: str, every: int) -> None:
    """Write tubes.txt, as RobustForensics lists images: pattern, first frame, stride, count, label.

    A tube that misses frames has no line, since the form cannot say which; a clip without label has none either.
    """
    with atomic_file(out / "tubes.txt") as file:
        for clip in clips:
            info = out / "aligned" / clip.id / "info.json"
            if clip.label is None or not info.is_file():
                continue
            facts = json.loads(info.read_bytes())
            incomplete = {name.rpartition("face")[2] for name in facts["missing"]}
            for face in range(1, facts["num_faces"] + 1):
                if str(face) not in incomplete:
                    pattern = f"{clip.id.replace('%', '%%')}/frame%d_face{face}.{image_format}"
                    file.write(f"{pattern} 1 {every} {facts['num_frames']} {int(clip.label == 'fake')}\n".encode())
