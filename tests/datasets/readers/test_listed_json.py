"""Datasets that one JSON file describes."""

import json

import pytest

from tests.datasets.readers.layouts import by_id, dfdc_preview, faults, lav_df, touch
from unmask.datasets.read import read_index


def test_the_preview_gives_labels_methods_and_splits(tmp_path):
    clips = by_id(read_index(dfdc_preview(tmp_path)))
    assert {name: (clip.label, clip.method, clip.split) for name, clip in clips.items()} == {
        "original_videos__643755__643755_A_001": ("real", None, "train"),
        "method_A__643755__643755_B_001": ("fake", "method_A", "train"),
        "method_B__1226024__1226024_C_001": ("fake", "method_B", "test"),
    }


@pytest.mark.parametrize("name", ["metadata.min.json", "metadata.json"])
def test_lav_df_tells_changed_pictures_from_changed_sound(tmp_path, name):
    (lav_df(tmp_path) / "metadata.min.json").rename(tmp_path / name)
    index = read_index(tmp_path)
    assert index.dataset == "lav_df"
    assert {clip.id: (clip.label, clip.method, clip.original, clip.split) for clip in index.clips} == {
        "train__000001": ("real", None, None, "train"),
        "train__000002": ("fake", "picture_and_sound", "train__000001", "train"),
        "dev__000003": ("real", "sound", None, "val"),
        "test__000004": ("fake", "picture", "test__000009", "test"),
    }


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(tmp_path):
    entries = json.loads((dfdc_preview(tmp_path) / "dataset.json").read_text())
    good = dict(entries)
    entries |= {
        "../outside.mp4": {"label": "real"},
        "/etc/passwd": {"label": "real"},
        "a\\b.mp4": {"label": "real"},
        "method_A/gone.mp4": {"label": "fake"},
        "": {"label": "real"},
        "method_A/number.mp4": 3,
    }
    entries["method_A/643755/643755_B_001.mp4"] = {"label": "perhaps"}
    (tmp_path / "dataset.json").write_text(json.dumps(entries))
    index = read_index(tmp_path)
    assert {clip.path for clip in index.clips} == good.keys() - {"method_A/643755/643755_B_001.mp4"}
    assert {key for _, key in faults(index)} == {
        "../outside.mp4", "/etc/passwd", "a\\b.mp4", "method_A/gone.mp4", "", "method_A/number.mp4",
        "method_A/643755/643755_B_001.mp4",
    }  # fmt: skip


def test_a_clip_that_is_listed_twice_counts_once_and_bad_fields_are_told(tmp_path):
    clips = json.loads((lav_df(tmp_path) / "metadata.min.json").read_text())
    clips += [clips[0], clips[1] | {"file": "test/000004.mp4"}]
    clips[3] |= {"modify_video": "yes"}
    (tmp_path / "metadata.min.json").write_text(json.dumps(clips))
    index = read_index(tmp_path)
    assert [fault.key for fault in index.faults] == ["test/000004.mp4", "train/000001.mp4"]
    assert by_id(index)["test__000004"].original == "train__000001"  # of the entry that can be used


def test_frames_of_the_preview_as_deepfakebench_lays_them_out(tmp_path):
    touch(tmp_path, "method_A/frames/x/000.png", "method_A/frames/x/012.png")
    (tmp_path / "dataset.json").write_text('{"method_A/1/2/x.mp4": {"label": "fake", "set": "test"}}')
    (clip,) = read_index(tmp_path).clips
    assert (clip.path, clip.label, clip.method, clip.split) == ("method_A/frames/x", "fake", "method_A", "test")
