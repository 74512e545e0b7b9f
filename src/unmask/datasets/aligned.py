"""The folders of RobustForensics' form: text boxes, and size-aligned faces cut along tubes.

    retinaface/<id>/frame<k>.txt          boxes with scores, of whatever detector; k counts from 1
    aligned/<id>/frame<k>_face<j>.png     one crop of constant size for each tube and frame
    aligned/<id>/info.json                size, tubes, and where each crop came from

Source: Siyu-C/RobustForensics, whose info was a pickle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from unmask.datasets.layout import encode_image
from unmask.datasets.tubes import ScoredBox, aligned_crops, format_boxes, parse_boxes, plan_tubes
from unmask.errors import UnmaskError
from unmask.media import open_video, read_frames

Detections = Mapping[int, Sequence[ScoredBox]]
"""Frame index, from 0 -> boxes."""


def write_text_boxes(detections: Detections, folder: Path) -> None:
    """Write one text file for each frame."""
    for index, boxes in detections.items():
        (folder / f"frame{index + 1}.txt").write_text(format_boxes(boxes))


def find_text_boxes(folder: Path, name: str) -> Path:
    """Return where the text boxes of a clip lie: ``folder/<id>`` or ``folder/<part>/<id>``.

    Raises:
        UnmaskError: Nowhere.
    """
    for candidate in (folder / name, *(part / name for part in sorted(folder.glob("*")))):
        if candidate.is_dir():
            return candidate
    raise UnmaskError(f"{folder} has no text boxes of it; run the detector again, or leave --boxes-from out")


def read_text_boxes(folder: Path) -> dict[int, tuple[ScoredBox, ...]]:
    """Return the boxes of all frames that have a text file.

    Raises:
        UnmaskError: A file is of another form.
    """
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


def write_aligned(video: Path, detections: Detections, image_format: str, folder: Path) -> list[int]:
    """Cut the faces of a clip along its tubes, and say in info.json what was cut.

    Args:
        video: The clip.
        detections: Boxes of the frames that are kept.
        image_format: Of the crops.
        folder: Where to.

    Returns:
        Number of files and bytes.

    Raises:
        InputError: The clip cannot be read.
    """
    files = []
    with open_video(video) as opened:
        there = {index: boxes for index, boxes in detections.items() if index < len(opened.index)}
        plan = plan_tubes(there, opened.facts.height, opened.facts.width)
        sources = sorted({crop.source_index for tube in plan.crops for crop in tube})
        for frame in read_frames(opened, np.array(sources, np.int64)) if sources else ():
            for crop in aligned_crops(plan, frame.index):
                x, y, side = crop.xy_side_px
                path = folder / f"{crop.name}.{image_format}"
                path.write_bytes(encode_image(frame.image_HW3[y : y + side, x : x + side], image_format))
                files.append(path)
    info = folder / "info.json"
    info.write_text(json.dumps(plan.to_dict()))
    files.append(info)
    return [len(files), sum(path.stat().st_size for path in files)]
