"""Write prepared crops in the form that DeepfakeBench trains and tests on.

    deepfakebench/datasets/rgb/<dataset>/<label>/<compression>/frames/<video>/<frame>.png    256 px, face in the middle
    deepfakebench/datasets/rgb/<dataset>/<label>/<compression>/masks/<video>/<frame>.png     where it was changed
    deepfakebench/preprocessing/dataset_json/<dataset>.json
    deepfakebench/label_dict.yaml                                                            labels to add, if any

Its programs read ``datasets/`` and ``preprocessing/`` of the folder in which they run, without its LMDB. The form is
that of SCLBD/DeepfakeBench at 8a4a7bf: preprocessing/rearrange.py writes it, training/dataset/abstract_dataset.py reads
it. Its landmarks, 81 points, are not written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from unmask.datasets.index import Clip, Index
from unmask.faces import crop_face
from unmask.prepare.layout import CropRow, encode_image, read_folds, read_image
from unmask.storage.atomic import atomic_folder
from unmask.types import CropSpec, Face, ImageHW3

FOLDER = "deepfakebench"
SPLITS = ("train", "val", "test")
SIZE_PX, MARGIN = 256, 0.15
"""DeepfakeBench keeps 1.3 times the face, in 256 pixels."""

_HELD_OUT_FOLD = 0
_BOX = (0.2, 0.2, 0.8, 0.8)
"""The face in a prepared crop, which has a third of its sides around it."""
_COMPRESSIONS = {"c0": "raw"}
_USUAL_COMPRESSION = "c23"
_FF_LABELS = {
    "Deepfakes": "FF-DF", "Face2Face": "FF-F2F", "FaceSwap": "FF-FS", "NeuralTextures": "FF-NT",
    "FaceShifter": "FF-FH", "youtube": "FF-real", "DeepFakeDetection": "DFD_fake", "actors": "DFD_real",
}  # fmt: skip
_FF_DATASETS = {
    "FF-DF": ("FF-DF", "FaceForensics++"), "FF-F2F": ("FF-F2F", "FaceForensics++"),
    "FF-FS": ("FF-FS", "FaceForensics++"), "FF-NT": ("FF-NT", "FaceForensics++"), "FF-FH": ("FaceShifter",),
    "FF-real": ("FF-DF", "FF-F2F", "FF-FS", "FF-NT", "FaceForensics++", "FaceShifter"),
    "DFD_fake": ("DeepFakeDetection",), "DFD_real": ("DeepFakeDetection",),
}  # fmt: skip
"""Label -> the datasets that its loader knows, by compression, which hold it."""
_OTHERS = {
    "celeb_df": ("Celeb-DF-v2", "CelebDFv2_real", "CelebDFv2_fake"),
    "dfdc": ("DFDC", "DFDC_Real", "DFDC_Fake"),
    "dfdc_preview": ("DFDCP", "DFDCP_Real", "DFDCP_FakeA"),
    "deeperforensics": ("DeeperForensics-1.0", "DF_real", "DF_fake"),
    "uadfv": ("UADFV", "UADFV_Real", "UADFV_Fake"),
}
"""Reader -> dataset and labels of its configuration."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the frames of one face of a clip go."""

    label: str
    datasets: tuple[str, ...]
    compression: str | None
    split: str
    video: str

    @property
    def folder(self) -> str:
        """Of the label, below ``datasets/rgb``."""
        return "/".join(part for part in (self.datasets[-1], self.label, self.compression) if part)


def write_deepfakebench(index: Index, prepared: Path) -> int:
    """Write the crops of folds.csv; return how many frames there are.

    Labels are those of folds.csv. Of a clip with several faces each is a video of its own, ``<id>__face1`` and so on;
    unchanged frames of a fake are ``<id>__unchanged``. A clip takes the split of its authors; where they made none, or
    nothing to test on, fold 0 tests and validates.

    Raises:
        UnmaskError: A crop is missing or damaged.
        UsageError: There is no folds.csv.
    """
    by_id = {clip.id: clip for clip in index.clips}
    if not {"train", "test"} <= {clip.split for clip in index.clips}:
        by_id = {name: replace(clip, split=None) for name, clip in by_id.items()}
    known: dict[_Place, list[str]] = defaultdict(list)
    with atomic_folder(prepared / FOLDER) as out:
        for row in read_folds(prepared / "folds.csv"):
            clip = by_id[row.video]
            for place in _places(index.dataset, clip, row):
                path = f"datasets/rgb/{place.folder}/frames/{place.video}/{row.frame:03d}.png"
                known[place].append(f"./{path}")
                if not (out / path).exists():
                    _write_frame(prepared, row, out / path)
        _write_lists(known, out)
        labels = {place.label: int(_is_fake(place.label)) for place in known if place.datasets[-1].startswith("unmask")}
        lines = "".join(f"  {label}: {value}\n" for label, value in sorted(labels.items()))
        if labels:
            (out / "label_dict.yaml").write_text(f"label_dict:  # add to training/config/train_config.yaml\n{lines}")
    return sum(len(paths) for place, paths in known.items() if place.split != "val")


def _places(dataset: str, clip: Clip, row: CropRow) -> Iterator[_Place]:
    """Yield where a crop goes: one place, or two where there is no split for validation."""
    name, compression = clip.id, None
    datasets: tuple[str, ...]
    if dataset == "faceforensics" and clip.method in _FF_LABELS:
        label = _FF_LABELS[clip.method]
        if _is_fake(label) and not row.label:
            label = "DFD_real" if label == "DFD_fake" else "FF-real"
        datasets, name = _FF_DATASETS[label], PurePosixPath(clip.path).stem  # 071_054, as its own lists have it
        compression = _COMPRESSIONS.get(clip.compression or "", clip.compression or _USUAL_COMPRESSION)
    else:
        title, real, fake = _OTHERS.get(
            dataset, (f"unmask_{dataset}", f"unmask_{dataset}_real", f"unmask_{dataset}_fake")
        )
        label = fake if row.label else real
        if label == "DFDCP_FakeA" and clip.method == "method_B":
            label = "DFDCP_FakeB"
        datasets = (title,)
    video = name.replace("frames", "frame_") + (f"__face{row.face}" if row.face else "")
    video += "__unchanged" if clip.label == "fake" and not row.label else ""
    split = clip.split if clip.split in SPLITS else ("test" if row.fold == _HELD_OUT_FOLD else "train")
    for each in (split, "val") if split == "test" and clip.split is None else (split,):
        yield _Place(label, datasets, compression, each, video)


def _is_fake(label: str) -> bool:
    return not label.lower().endswith("real")


def _write_frame(prepared: Path, row: CropRow, target: Path) -> None:
    """Write a crop as DeepfakeBench frames it, and its difference mask in the same frame."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(encode_image(_framed(read_image(prepared / "crops" / row.video / row.file)), "png"))
    diff = prepared / "diffs" / row.video / f"{Path(row.file).stem}_diff.png"
    if row.label and diff.exists():
        mask = target.parents[2] / "masks" / target.parent.name / target.name
        mask.parent.mkdir(parents=True, exist_ok=True)
        mask.write_bytes(encode_image(np.ascontiguousarray(_framed(read_image(diff))[..., 0]), "png"))


def _framed(image_HW3: ImageHW3) -> ImageHW3:
    height, width = image_HW3.shape[:2]
    x1, y1, x2, y2 = _BOX
    face = Face((x1 * width, y1 * height, x2 * width, y2 * height), 1.0)
    return crop_face(image_HW3, face, CropSpec(SIZE_PX, margin=MARGIN, outline="square"))


def _write_lists(known: Mapping[_Place, list[str]], out: Path) -> None:
    """Write a list for each dataset: dataset -> label -> split (-> compression) -> video -> label and frames."""
    lists: dict[str, dict[str, Any]] = {}
    compressions = sorted({place.compression for place in known if place.compression})
    for place, paths in known.items():
        for dataset in place.datasets:
            empty: Callable[[], dict[str, Any]] = (lambda: {c: {} for c in compressions}) if place.compression else dict
            label = lists.setdefault(dataset, {}).setdefault(place.label, {split: empty() for split in SPLITS})
            videos = label[place.split][place.compression] if place.compression else label[place.split]
            videos[place.video] = {"label": place.label, "frames": paths}
    folder = out / "preprocessing" / "dataset_json"
    folder.mkdir(parents=True)
    for dataset, labels in lists.items():
        if len(lists) > 1 and not any(map(_is_fake, labels)):
            continue  # the real clips of FaceForensics++ belong to each of its methods, also to those not there
        (folder / f"{dataset}.json").write_text(json.dumps({dataset: labels}))
