from tests.datasets.readers.layouts import by_id, faults, touch
from unmask.datasets.index import READERS, Clip
from unmask.datasets.read import read_index


def test_wilddeepfake_is_folders_of_pictures(tmp_path):
    base = "deepfake_in_the_wild"
    touch(tmp_path, f"{base}/real_train/1/real/0/0.png", f"{base}/real_train/1/real/0/1.png")
    touch(tmp_path, f"{base}/real_test/7/real/103/4.png", f"{base}/real_test/7/real/103/12.png")
    touch(
        tmp_path,
        f"{base}/fake_train/3/fake/9/1.png",
        f"{base}/fake_train/3/fake/9/2.png",
        f"{base}/fake_train/4.tar.gz",
    )
    touch(
        tmp_path,
        f"{base}/fake_test/2/fake/5/1.png",
        f"{base}/fake_test/2/fake/5/2.png",
        f"{base}/fake_test/2/fake/6/1.png",
    )
    index = read_index(tmp_path)
    assert index.dataset == "wilddeepfake"
    assert {(clip.path.removeprefix(f"{base}/"), clip.label, clip.split) for clip in index.clips} == {
        ("real_train/1/real/0", "real", "train"),
        ("real_test/7/real/103", "real", "test"),
        ("fake_train/3/fake/9", "fake", "train"),
        ("fake_test/2/fake/5", "fake", "test"),
    }
    assert faults(index) == [(f"{base}/fake_train", None)]
    assert "1 archives" in str(index.faults[0])
    assert {clip.path for clip in read_index(tmp_path / base).clips} == {
        clip.path.removeprefix(f"{base}/") for clip in index.clips
    }


def test_deepfake_timit_pairs_with_vidtimit(tmp_path):
    fakes = ("fadg0/sa1-video-fram1.avi", "fadg0/oddly.avi")
    touch(tmp_path, *(f"{quality}/{fake}" for quality in ("higher_quality", "lower_quality") for fake in fakes))
    alone = read_index(tmp_path)
    assert alone.dataset == "deepfake_timit"
    assert by_id(alone)["higher_quality__fadg0__sa1-video-fram1"] == Clip(
        "higher_quality__fadg0__sa1-video-fram1", "higher_quality/fadg0/sa1-video-fram1.avi", "fake",
        "VidTIMIT__fadg0__sa1", "higher_quality", people=("fadg0", "fram1"),
    )  # fmt: skip
    assert faults(alone) == [
        ("higher_quality/fadg0/oddly.avi", None),
        ("lower_quality/fadg0/oddly.avi", None),
        ("higher_quality", None),
    ]
    touch(tmp_path, "VidTIMIT/fadg0/sa1.avi")
    assert by_id(read_index(tmp_path))["VidTIMIT__fadg0__sa1"].label == "real"


def test_ffiw_takes_masks_by_name(tmp_path):
    touch(tmp_path, "source/train/1.mp4", "source/val/2.mp4", "target/train/5.mp4", "target/val/6.mp4")
    touch(tmp_path, "target_mask/train/5.mp4")
    index = read_index(tmp_path)
    assert (index.dataset, index.faults) == ("ffiw", ())
    assert [(clip.id, clip.label, clip.split, clip.mask) for clip in index.clips] == [
        ("source__train__1", "real", "train", None),
        ("source__val__2", "real", "val", None),
        ("target__train__5", "fake", "train", "target_mask/train/5.mp4"),
        ("target__val__6", "fake", "val", None),
    ]
    assert {clip.original for clip in index.clips} == {None}


def test_uadfv_pairs_by_name(tmp_path):
    touch(tmp_path, "real/0000.mp4", "real/0001.mp4", "fake/0000_fake.mp4", "fake/0001_fake.mp4", "fake/0002_fake.mp4")
    index = read_index(tmp_path)
    assert (index.dataset, index.faults) == ("uadfv", ())
    assert [(clip.id, clip.original) for clip in index.clips if clip.label == "fake"] == [
        ("fake__0000_fake", "real__0000"),
        ("fake__0001_fake", "real__0001"),
        ("fake__0002_fake", None),
    ]


def test_uadfv_as_deepfakebench_lays_it_out(tmp_path):
    for name in ("real/frames/0000", "fake/frames/0000_fake"):
        touch(tmp_path, f"{name}/000.png", f"{name}/012.png")
    index = read_index(tmp_path)
    assert [(clip.path, clip.original) for clip in index.clips] == [
        ("fake/frames/0000_fake", "real__0000"),
        ("real/frames/0000", None),
    ]


def test_other_trees_are_not_uadfv(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/a.mp4", "fake/b_fake.mp4")
    assert READERS["uadfv"](tmp_path) is None
    assert read_index(tmp_path).dataset == "tree"
