import pytest

from tests.datasets.readers.layouts import (
    FF,
    by_id,
    faceforensics,
    faults,
    kaggle_dfd,
    touch,
    write_splits,
)
from unmask.datasets.index import Clip
from unmask.datasets.read import read_index


def test_faceforensics(tmp_path):
    index = read_index(faceforensics(tmp_path))
    assert index.faults == ()
    clips = by_id(index)
    assert sorted(clips) == [
        "Deepfakes__c40__071_054", "Deepfakes__c40__183_253", "Deepfakes__c40__253_183",
        "youtube__c40__054", "youtube__c40__071", "youtube__c40__183", "youtube__c40__253",
    ]  # fmt: skip
    assert clips["Deepfakes__c40__183_253"] == Clip(
        "Deepfakes__c40__183_253", "manipulated_sequences/Deepfakes/c40/videos/183_253.mp4", "fake",
        "youtube__c40__183", "Deepfakes", "c40", ("youtube-183", "youtube-253"),
    )  # fmt: skip
    assert clips["youtube__c40__183"] == Clip(
        "youtube__c40__183", "original_sequences/youtube/c40/videos/183.mp4", "real", None, "youtube", "c40",
        ("youtube-183",),
    )  # fmt: skip


@pytest.mark.parametrize("folder", [".", "splits", "dataset/splits"])
def test_faceforensics_with_splits(tmp_path, folder):
    write_splits(tmp_path / folder, train=[["183", "253"]], test=[["071", "054"]])
    index = read_index(faceforensics(tmp_path))
    assert index.faults == ()
    splits = {clip.id: clip.split for clip in index.clips}
    assert splits["youtube__c40__183"] == splits["Deepfakes__c40__183_253"] == "train"
    assert splits["youtube__c40__054"] == splits["Deepfakes__c40__071_054"] == "test"


def test_faceforensics_actors_are_other_people(tmp_path):
    touch(tmp_path, FF.format("original_sequences", "actors", "01__exit_phone_room"))
    touch(tmp_path, FF.format("original_sequences", "youtube", "01"))
    touch(tmp_path, FF.format("manipulated_sequences", "DeepFakeDetection", "01_02__exit_phone_room__YVGY8LOK"))
    index = read_index(tmp_path)
    assert index.faults == ()
    clips = by_id(index)
    fake = clips["DeepFakeDetection__c40__01_02__exit_phone_room__YVGY8LOK"]
    assert fake.original == "actors__c40__01__exit_phone_room"
    assert fake.people == ("actor-01", "actor-02")
    assert clips[fake.original].people == ("actor-01",)
    assert clips["youtube__c40__01"].people == ("youtube-01",)


def test_faceforensics_masks_are_no_clips_and_any_method_is_taken(tmp_path):
    touch(faceforensics(tmp_path), "manipulated_sequences/Deepfakes/masks/videos/183_253.mp4")
    touch(tmp_path, "manipulated_sequences/{New}/c40/videos/253_071.mp4")
    index = read_index(tmp_path)
    assert len(index.clips) == 8
    assert by_id(index)["{New}__c40__253_071"].people == ("youtube-071", "youtube-253")


def test_faceforensics_original_of_the_same_compression(tmp_path):
    touch(tmp_path, "original_sequences/youtube/c23/videos/183.mp4")
    touch(tmp_path, "manipulated_sequences/Deepfakes/c40/videos/183_253.mp4")
    index = read_index(tmp_path)
    assert index.faults == ()
    assert by_id(index)["Deepfakes__c40__183_253"].original == "youtube__c40__183"


def test_faceforensics_strange_names(tmp_path):
    strange = FF.format("manipulated_sequences", "Deepfakes", "holiday")
    touch(faceforensics(tmp_path), strange, FF.format("original_sequences", "youtube", "hello.world"))
    index = read_index(tmp_path)
    assert faults(index) == [(strange, None)]
    clips = by_id(index)
    assert (clips["Deepfakes__c40__holiday"].original, clips["Deepfakes__c40__holiday"].people) == (None, ())
    assert clips["youtube__c40__hello.world"].people == ()


@pytest.mark.parametrize("raw", [b"", b"\xff", b"[" * 100_000, b'{"a": 1}', b"null", b'[["183",'])
def test_faceforensics_with_a_broken_split_file(tmp_path, raw):
    write_splits(tmp_path, test=[["071", "054"]])
    (tmp_path / "train.json").write_bytes(raw)
    index = read_index(faceforensics(tmp_path))
    assert faults(index) == [("train.json", None)]
    assert "kept without a split; fetch the file again" in index.faults[0].message
    splits = {clip.id: clip.split for clip in index.clips}
    assert (splits["youtube__c40__071"], splits["youtube__c40__183"]) == ("test", None)


def test_faceforensics_with_faulty_splits(tmp_path):
    write_splits(tmp_path, train=[["183", "253"], ["071"], 5, [1, 2]], val=[["071", "999"]], test=[["054", "183"]])
    (tmp_path / "val.json").unlink()
    index = read_index(faceforensics(tmp_path))
    assert faults(index) == [
        ("train.json", "entry 1"), ("train.json", "entry 2"), ("train.json", "entry 3"), ("val.json", None),
        ("test.json", "183"),
        *((FF.format("manipulated_sequences", "Deepfakes", pair), None) for pair in ("071_054", "183_253", "253_183")),
    ]  # fmt: skip
    splits = {clip.id: clip.split for clip in index.clips}
    assert splits["youtube__c40__183"] is None
    assert splits["youtube__c40__253"] == "train"
    assert splits["Deepfakes__c40__183_253"] is None


@pytest.mark.parametrize("reals", ["DFD_original sequences", "DFD_original_sequences"])
def test_kaggle_dfd(tmp_path, reals):
    (kaggle_dfd(tmp_path) / "DFD_original sequences").rename(tmp_path / reals)
    index = read_index(tmp_path)
    assert index.faults == ()
    assert [(clip.id, clip.original, clip.method, clip.people) for clip in index.clips] == [
        (
            "DeepFakeDetection__01_02__exit_phone_room__YVGY8LOK",
            "actors__01__exit_phone_room",
            "DeepFakeDetection",
            ("actor-01", "actor-02"),
        ),
        ("actors__01__exit_phone_room", None, "actors", ("actor-01",)),
        ("actors__02__kitchen_pan", None, "actors", ("actor-02",)),
    ]


def test_masks_of_fakes(tmp_path):
    faceforensics(tmp_path)
    touch(tmp_path, "manipulated_sequences/Deepfakes/masks/videos/183_253.mp4")
    masks = {clip.id: clip.mask for clip in read_index(tmp_path).clips if clip.mask}
    assert masks == {"Deepfakes__c40__183_253": "manipulated_sequences/Deepfakes/masks/videos/183_253.mp4"}


def test_frames_as_deepfakebench_lays_them_out(tmp_path):
    folders = ("original_sequences/youtube/c23/frames/183", "manipulated_sequences/Deepfakes/c23/frames/183_253")
    masks = "manipulated_sequences/Deepfakes/c23/masks/183_253"
    touch(tmp_path, *(f"{folder}/{name}" for folder in (*folders, masks) for name in ("000.png", "012.png")))
    clips = by_id(read_index(tmp_path))
    assert {name: clip.path for name, clip in clips.items()} == {
        "youtube__c23__183": folders[0],
        "Deepfakes__c23__183_253": folders[1],
    }
    assert clips["Deepfakes__c23__183_253"].original == "youtube__c23__183"
    assert clips["Deepfakes__c23__183_253"].mask == masks
