"""The challenge winner's five preparation scripts on a CPU, restated in one file; each step is timed.

    REFERENCE_PYTHON benchmarks/reference_prepare.py DATA_ROOT OUT [--steps boxes,crops,landmarks,diffs,folds]
        [--boxes-from DIR] [--crops-from DIR]

Source: selimsef/dfdc_deepfake_challenge. DATA_ROOT holds ``dfdc_train_part_N/metadata.json`` and the videos beside it.

    boxes      every frame of the real videos, PIL's half size, facenet-pytorch's MTCNN 32 at a time, thresholds 0.85,
               0.95, 0.95  -> OUT/boxes/<id>.json, pixels of the half size, largest face first
    crops      frames 0, 10, 20 ... of all videos, the boxes of the original, a third of the box added on each side
               -> OUT/crops/<id>/<frame>_<face>.png
    landmarks  of the crops of real videos, MTCNN with thresholds 0.65, 0.75, 0.75
               -> OUT/landmarks/<real id>/<frame>_<face>.npy, (5, 2) int16, x and y in pixels of the crop
    diffs      1 - SSIM of a fake crop and the real one -> OUT/diffs/<fake id>/<frame>_<face>_diff.png
    folds      16 runs of parts -> OUT/folds.csv

Three things differ. It is one process, so that the start of the interpreter is paid once and is left out of the
steps. A key of the box files is the frame's true number, which is the same on sound videos. A difference
above 255 stays at 255, where the original wraps around.

``--boxes-from`` and ``--crops-from`` name the OUT of another tool to take these from, so that each step can be compared
on equal input. PyTorch and OpenCV run on one thread. Prints one JSON: ``steps`` with the wall and CPU seconds
of each (no step starts a process), ``start_cpu_seconds`` of the interpreter and its imports, ``environment``.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import csv
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from facenet_pytorch import MTCNN
from PIL import Image
from skimage.metrics import structural_similarity

from common import measure, versions
from reference import Frame, half

BATCH = 32
EVERY = 10
LAST_FRAME, FACES = 310, 2
"""Landmarks, differences and folds look at frames 0, 10 ... 310 and at two faces in each."""
PARTS, FOLDS, SEED = 50, 16, 777


@dataclass(frozen=True)
class Video:
    """An entry of a metadata.json."""

    path: Path
    id: str
    original: str
    """Id of the authentic video, itself for such a one."""
    part: int

    @property
    def fake(self) -> bool:
        """Whether it was made from another."""
        return self.id != self.original


def read_metadata(root: Path) -> list[Video]:
    """Return all videos of all parts."""
    videos = []
    for metadata in sorted(root.glob("*/metadata.json")):
        part = int(metadata.parent.name.rsplit("_", 1)[1])
        for name, entry in json.loads(metadata.read_text()).items():
            original = entry["original"] if entry["label"] == "FAKE" else name
            videos.append(Video(metadata.parent / name, name[:-4], original[:-4], part))
    return videos


def read(path: Path, every: int) -> Iterator[tuple[int, Frame]]:
    """Grab every frame, retrieve each ``every``-th, as BGR."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, cv2.getNumThreads()])
    for index in range(int(capture.get(cv2.CAP_PROP_FRAME_COUNT))):
        capture.grab()
        if index % every == 0:
            good, image = capture.retrieve()
            if good:
                yield index, image
    capture.release()


def find_boxes(videos: list[Video], out: Path) -> None:
    """Look for faces in every frame of the real videos."""
    detector = MTCNN(margin=0, thresholds=[0.85, 0.95, 0.95], device="cpu")
    out.mkdir(parents=True, exist_ok=True)
    for video in videos:
        if video.fake:
            continue
        pictures = [(index, half(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))) for index, image in read(video.path, 1)]
        boxes = {}
        for start in range(0, len(pictures), BATCH):
            indices, batch = zip(*pictures[start : start + BATCH], strict=True)
            for index, found in zip(indices, detector.detect(batch)[0], strict=True):
                boxes[index] = None if found is None else found.tolist()
        (out / f"{video.id}.json").write_text(json.dumps(boxes))


def cut_crops(videos: list[Video], boxes: Path, out: Path) -> None:
    """Cut the faces of the original out of every tenth frame of real and fake videos."""
    for video in videos:
        path = boxes / f"{video.original}.json"
        if not path.exists():
            continue
        found = json.loads(path.read_text())
        folder = out / video.id
        folder.mkdir(parents=True, exist_ok=True)
        for index, image in read(video.path, EVERY):
            for face, box in enumerate(found.get(str(index)) or []):
                cv2.imwrite(str(folder / f"{index}_{face}.png"), crop(image, box))


def crop(image: Frame, box: list[float]) -> Frame:
    """Cut a face found at half size, widened by a third of its integer size on each side.

    >>> crop(np.zeros((540, 960, 3), np.uint8), [100.4, 50.3, 150.7, 120.9]).shape  # rows 53..288, columns 167..334
    (235, 167, 3)
    """
    left, top, right, bottom = (int(edge * 2) for edge in box)
    pad_x, pad_y = (right - left) // 3, (bottom - top) // 3
    return image[max(top - pad_y, 0) : bottom + pad_y, max(left - pad_x, 0) : right + pad_x]


def grid() -> Iterator[tuple[int, int]]:
    """Yield the frames and faces that the steps after the crops look at."""
    return ((frame, face) for frame in range(0, LAST_FRAME + 1, EVERY) for face in range(FACES))


def find_landmarks(videos: list[Video], crops: Path, out: Path) -> None:
    """Find the largest face in each crop of the real videos."""
    detector = MTCNN(margin=0, thresholds=[0.65, 0.75, 0.75], device="cpu")
    for video in videos:
        if video.fake:
            continue
        folder = out / video.id
        folder.mkdir(parents=True, exist_ok=True)
        for frame, face in grid():
            path = crops / video.id / f"{frame}_{face}.png"
            if not path.exists():
                continue
            image = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
            points = detector.detect(Image.fromarray(image), landmarks=True)[2]
            if points is not None:
                largest = np.asarray(points[0], np.float64)  # an array of objects from facenet-pytorch 2.6 on
                np.save(folder / f"{frame}_{face}.npy", np.around(largest).astype(np.int16))


def compare_crops(videos: list[Video], crops: Path, out: Path) -> None:
    """Write how much the crops of a fake differ from those of its original."""
    for video in videos:
        if not video.fake:
            continue
        folder = out / video.id
        folder.mkdir(parents=True, exist_ok=True)
        for frame, face in grid():
            paths = [crops / name / f"{frame}_{face}.png" for name in (video.original, video.id)]
            if not all(path.exists() for path in paths):
                continue
            real, fake = (cv2.imread(str(path)) for path in paths)
            if real.shape == fake.shape and min(real.shape[:2]) >= 7:  # else the original stumbles and goes on
                cv2.imwrite(str(folder / f"{frame}_{face}_diff.png"), difference(real, fake))


def difference(real: Frame, fake: Frame) -> Frame:
    """Return 1 - SSIM of each pixel as a grey picture."""
    _, similarity = structural_similarity(real, fake, channel_axis=2, full=True)
    levels = np.clip((1 - similarity) * 255, 0, 255).astype(np.uint8)
    return cv2.cvtColor(levels, cv2.COLOR_BGR2GRAY)


def write_folds(videos: list[Video], crops: Path, out: Path) -> None:
    """List the crops on the grid with the fold of their part, in random order."""
    folds = {video.id: min(video.part // (PARTS // FOLDS), FOLDS - 1) for video in videos}
    assert len(folds) == len(videos), "a video is in two parts"
    assert all(folds[video.id] == folds[video.original] for video in videos), "a fake is apart from its original"
    with_fakes = {video.original for video in videos if video.fake}
    rows = [
        (video.id, f"{frame}_{face}.png", int(video.fake), video.original, frame, folds[video.id])
        for video in videos
        if video.fake or video.id in with_fakes
        for frame, face in grid()
        if (crops / video.id / f"{frame}_{face}.png").exists()
    ]
    random.Random(SEED).shuffle(rows)
    with out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("video", "file", "label", "original", "frame", "fold"))
        writer.writerows(rows)


def main() -> None:
    start = time.process_time()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of dfdc_train_part_N folders")
    parser.add_argument("out", type=Path, help="folder to write")
    parser.add_argument("--steps", default="boxes,crops,landmarks,diffs,folds", help="which, separated by commas")
    parser.add_argument("--boxes-from", type=Path, help="use DIR/boxes instead of OUT/boxes")
    parser.add_argument("--crops-from", type=Path, help="use DIR/crops instead of OUT/crops in the steps after crops")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    out, videos = arguments.out, read_metadata(arguments.data)
    boxes, crops = (arguments.boxes_from or out) / "boxes", (arguments.crops_from or out) / "crops"
    out.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Callable[[], None]] = {
        "boxes": partial(find_boxes, videos, out / "boxes"),
        "crops": partial(cut_crops, videos, boxes, out / "crops"),
        "landmarks": partial(find_landmarks, videos, crops, out / "landmarks"),
        "diffs": partial(compare_crops, videos, crops, out / "diffs"),
        "folds": partial(write_folds, videos, crops, out / "folds.csv"),
    }
    costs = {name: asdict(measure(steps[name])[0]) for name in arguments.steps.split(",")}
    packages = "torch", "torchvision", "facenet-pytorch", "opencv-python-headless", "pillow", "numpy", "scikit-image"
    print(json.dumps({"steps": costs, "start_cpu_seconds": start, "environment": versions(*packages)}))


if __name__ == "__main__":
    main()
