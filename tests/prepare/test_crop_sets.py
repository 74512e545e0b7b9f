"""Crops for calibrating a model, from prepared datasets and from folders of crops."""

import cv2
import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.prepare.crop_sets import read_crop_sets
from unmask.prepare.layout import CropRow, encode_array, write_folds
from unmask.types import CropSpec

SPEC = CropSpec(size_px=64, margin=0.1)
POINTS = np.array([(64, 72), (96, 72), (80, 92), (68, 108), (92, 108)], np.int16)


def write_prepared(folder, portrait, videos):
    """A crop a video; ``videos`` has id -> (label, original, fold)."""
    rows = []
    face = cv2.cvtColor(cv2.resize(portrait, (160, 160)), cv2.COLOR_RGB2BGR)
    for video, (label, original, fold) in videos.items():
        (folder / "crops" / video).mkdir(parents=True)
        cv2.imwrite(str(folder / "crops" / video / "0_0.png"), face)
        if not label:
            (folder / "landmarks" / video).mkdir(parents=True)
            (folder / "landmarks" / video / "0_0.npy").write_bytes(encode_array(POINTS))
        rows.append(CropRow(video, "0_0.png", label, original, 0, fold))
    write_folds(rows, folder / "folds.csv")
    return folder


def test_a_prepared_dataset_calibrates_on_blends_and_checks_on_fold_0(tmp_path, portrait):
    videos = {"a": (0, "a", 0), "b": (0, "b", 1), "fa": (1, "a", 0), "fb": (1, "b", 1)}
    sets = read_crop_sets(write_prepared(tmp_path, portrait, videos), SPEC)
    authentic, blend = sets.calibrating_NSS3
    assert authentic.shape == (64, 64, 3)
    assert (authentic != blend).any()
    assert sets.labels_M.tolist() == [0, 1]
    again = read_crop_sets(tmp_path, SPEC)
    np.testing.assert_array_equal(sets.calibrating_NSS3, again.calibrating_NSS3)


def test_the_model_s_own_margin_is_cut(tmp_path, portrait):
    write_prepared(tmp_path, portrait, {"a": (0, "a", 0), "b": (0, "b", 1)})
    narrow = read_crop_sets(tmp_path, CropSpec(size_px=96, margin=0.0)).calibrating_NSS3[0]
    stored = cv2.resize(portrait, (160, 160))[32:128, 32:128]  # a third of the box lies around it
    assert np.abs(narrow.astype(int) - stored).max() <= 1


def test_without_fakes_the_check_is_on_blends(tmp_path, portrait):
    sets = read_crop_sets(write_prepared(tmp_path, portrait, {"a": (0, "a", 0), "b": (0, "b", 1)}), SPEC)
    assert sets.labels_M.tolist() == [0, 1]
    assert (sets.checking_MSS3[0] != sets.checking_MSS3[1]).any()


def test_one_fold_is_split_by_person(tmp_path, portrait):
    sets = read_crop_sets(write_prepared(tmp_path, portrait, {name: (0, name, 0) for name in "abcde"}), SPEC)
    assert len(sets.checking_MSS3) == 4, "a and e, each with a blend"
    assert len(sets.calibrating_NSS3) == 6


def write_crops(folder, count):
    folder.mkdir()
    for i in range(count):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((80, 80, 3), 3 * i, np.uint8))


def test_folders_real_and_fake_are_labels(tmp_path):
    for name in ("real", "fake"):
        write_crops(tmp_path / name, 8)
    sets = read_crop_sets(tmp_path, SPEC)
    assert sets.labels_M.tolist() == [0, 0, 1, 1]
    assert len(sets.calibrating_NSS3) == 6, "nobody is seen in them, so there are no blends"
    assert sets.checking_MSS3[:, 0, 0, 0].tolist() == [18, 21, 18, 21]


def test_plain_crops_have_no_labels(tmp_path):
    write_crops(tmp_path / "any", 8)
    sets = read_crop_sets(tmp_path, SPEC, calibrating=4, checking=1)
    assert sets.labels_M is None
    assert len(sets.checking_MSS3) == 1
    assert len(sets.calibrating_NSS3) == 2


def test_nothing_to_read(tmp_path):
    with pytest.raises(UsageError, match="too few crops"):
        read_crop_sets(tmp_path, SPEC)
