"""The form that DeepfakeBench reads. That its own class reads it: docs/coming-from/deepfakebench.md."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.prepared import prepare
from unmask.datasets import Index, read_index
from unmask.datasets.index import Clip
from unmask.errors import UsageError
from unmask.prepare.deepfakebench import write_deepfakebench
from unmask.prepare.layout import CropRow, encode_image, write_folds

LISTS = Path("deepfakebench/preprocessing/dataset_json")


def crops(folder: Path, rows: list[CropRow]) -> Path:
    """A prepared folder with these crops: white faces, of fakes with a mask."""
    for row in rows:
        crop, stem = folder / "crops" / row.video / row.file, row.file.removesuffix(".png")
        crop.parent.mkdir(parents=True, exist_ok=True)
        image = np.zeros((100, 80, 3), np.uint8)
        image[20:80, 16:64] = 255
        crop.write_bytes(encode_image(image, "png"))
        if row.label:
            diff = folder / "diffs" / row.video / f"{stem}_diff.png"
            diff.parent.mkdir(parents=True, exist_ok=True)
            diff.write_bytes(encode_image(image[..., 0].copy(), "png"))
    write_folds(rows, folder / "folds.csv")
    return folder


def row(video, label, *, frame=10, face=0, fold=1, original=None):
    return CropRow(video, f"{frame}_{face}.png", label, original or video, frame, fold)


def clip(name, label, method=None, compression=None, split=None):
    return Clip(name, f"{name}.mp4", label, method=method, compression=compression, split=split)


def lists(folder):
    return {path.stem: json.loads(path.read_text()) for path in (folder / LISTS).iterdir()}


def test_faceforensics(tmp_path):
    clips = [
        clip("r", "real", "youtube", "c23", "train"),
        clip("f", "fake", "Deepfakes", "c23", "train"),
        clip("a", "real", "actors", "c23", "test"),
        clip("d", "fake", "DeepFakeDetection", "c23", "test"),
    ]
    rows = [row("r", 0), row("f", 1, frame=20), row("f", 1), row("a", 0), row("d", 1), row("d", 0, face=1)]
    written = write_deepfakebench(Index(tmp_path, "faceforensics", tuple(clips)), crops(tmp_path, rows))
    assert written == 6
    found = lists(tmp_path)
    assert set(found) == {"FF-DF", "FaceForensics++", "DeepFakeDetection"}
    for name in ("FF-DF", "FaceForensics++"):
        labels = found[name][name]
        assert set(labels) == {"FF-real", "FF-DF"}
        assert labels["FF-DF"]["val"] == labels["FF-DF"]["test"] == {"c23": {}}
        fake = labels["FF-DF"]["train"]["c23"]["f"]
        assert fake["label"] == "FF-DF"
        assert [int(path.split("/")[-1].split(".")[0]) for path in fake["frames"]] == [20, 10]  # it sorts them itself
    dfd = found["DeepFakeDetection"]["DeepFakeDetection"]
    assert set(dfd["DFD_real"]["test"]["c23"]) == {"a", "d__face1__unchanged"}
    assert not (tmp_path / "deepfakebench/label_dict.yaml").exists()


def test_frames_and_masks_are_framed_alike(tmp_path):
    index = Index(tmp_path, "dfdc", (clip("r", "real"), clip("f", "fake")))
    write_deepfakebench(index, crops(tmp_path, [row("r", 0), row("f", 1), row("r", 0, frame=0, fold=0)]))
    labels = lists(tmp_path)["DFDC"]["DFDC"]
    (path,) = labels["DFDC_Fake"]["train"]["f"]["frames"]
    assert path.startswith("./datasets/rgb/")
    image = cv2.imread(str(tmp_path / "deepfakebench" / path))
    mask = cv2.imread(str(tmp_path / "deepfakebench" / path.replace("frames", "masks")), cv2.IMREAD_GRAYSCALE)
    assert image.shape == (256, 256, 3)
    assert (image[..., 0] == mask).all()
    # The face is 60 of 78 pixels high: 1.3 times its longer side.
    assert (mask > 127).any(1).sum() == pytest.approx(256 / 1.3, abs=3)
    assert labels["DFDC_Real"]["val"] == labels["DFDC_Real"]["test"] != labels["DFDC_Real"]["train"]


def test_a_dataset_that_it_does_not_know_brings_its_labels(tmp_path):
    index = Index(tmp_path, "csv", (clip("frames_r", "real", split="train"), clip("f", "fake", split="test")))
    write_deepfakebench(index, crops(tmp_path, [row("frames_r", 0), row("f", 1)]))
    labels = lists(tmp_path)["unmask_csv"]["unmask_csv"]
    assert set(labels["unmask_csv_real"]["train"]) == {"frame__r"}  # masks are found by replacing the word frames
    text = (tmp_path / "deepfakebench/label_dict.yaml").read_text()
    assert "unmask_csv_fake: 1\n" in text
    assert "unmask_csv_real: 0\n" in text


def test_what_is_written_is_read_back(group, group_prepared, tmp_path):
    """Every crop of two people is there again, with the label of its face."""
    out = Path(shutil.copytree(group_prepared, tmp_path / "out"))
    prepare(group, out, steps=["folds", "deepfakebench"], folds=2, resume=True)
    index = read_index(out / "deepfakebench")
    assert index.faults == ()
    assert {clip.id: clip.label for clip in index.clips} == {
        "DFDC_Real__group": "real", "DFDC_Real__group__face1": "real",
        "DFDC_Fake__larger": "fake", "DFDC_Real__larger__face1__unchanged": "real",
        "DFDC_Real__smaller__unchanged": "real", "DFDC_Fake__smaller__face1": "fake",
        "DFDC_Fake__passage": "fake", "DFDC_Real__passage__unchanged": "real",
        "DFDC_Real__passage__face1__unchanged": "real",
    }  # fmt: skip
    frames = {clip.id: len(list(index.path_of(clip).iterdir())) for clip in index.clips}
    assert frames["DFDC_Fake__passage"] == frames["DFDC_Real__passage__unchanged"] == 4
    assert all(clip.mask is not None for clip in index.clips if clip.label == "fake")
    again = tmp_path / "again"
    records, _ = prepare(replace(index, clips=index.clips[:2]), again, steps=["boxes", "crops", "folds"])
    assert {record.status for record in records.values()} == {"ok"}


def test_a_folder_of_somebody_else_is_kept(group, tmp_path):
    (tmp_path / "deepfakebench").mkdir()
    with pytest.raises(UsageError, match="deepfakebench, which unmask did not write"):
        prepare(group, tmp_path, steps=["folds", "deepfakebench"])
