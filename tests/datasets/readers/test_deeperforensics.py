from tests.datasets.readers.layouts import (
    by_id,
    deeperforensics,
    faults,
    touch,
)
from unmask.datasets.index import Clip
from unmask.datasets.read import read_index


def test_deeperforensics(tmp_path):
    index = read_index(deeperforensics(tmp_path))
    assert faults(index) == [("manipulated_videos", None), ("source_videos", None)]
    assert "2 of 2 originals are missing, e.g. 'youtube__c23__000'" in index.faults[0].message
    clips = by_id(index)
    assert clips["end_to_end__000_M101"] == Clip(
        "end_to_end__000_M101", "manipulated_videos/end_to_end/000_M101.mp4", "fake", "youtube__c23__000", "end_to_end",
        people=("M101", "youtube-000"),
    )  # fmt: skip
    assert clips["reenact_postprocess__000_M101"].original == clips["end_to_end__000_M101"].original
    source = clips["source__M101_light_up_happy_camera_front"]
    assert (source.label, source.method, source.people) == ("real", "source", ("M101",))


def test_deeperforensics_with_targets_and_splits(tmp_path):
    touch(deeperforensics(tmp_path), *(f"original_sequences/youtube/c23/videos/{n}.mp4" for n in ("000", "001", "002")))
    lists = tmp_path / "lists/splits"
    lists.mkdir(parents=True)
    for split, lines in {"train": "000_M101.mp4\n", "val": "", "test": "\ufeff001_W006.mp4\n\n"}.items():
        (lists / f"{split}.txt").write_text(lines)
    index = read_index(tmp_path)
    assert index.dataset == "deeperforensics"
    assert faults(index) == [("source_videos", None)]
    assert {clip.id: clip.split for clip in index.clips} == {
        "end_to_end__000_M101": "train", "reenact_postprocess__000_M101": "train", "end_to_end__001_W006": "test",
        "source__M101_light_up_happy_camera_front": "train",
        "youtube__c23__000": "train", "youtube__c23__001": "test", "youtube__c23__002": None,
    }  # fmt: skip


def test_deeperforensics_with_faulty_lists_and_names(tmp_path):
    touch(deeperforensics(tmp_path), "manipulated_videos/end_to_end/holiday.mp4")
    lists = tmp_path / "lists/splits"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("000_M101.mp4\n001_W006.mp4\n")
    (lists / "val.txt").write_text("000_M101.mp4\n")
    (lists / "test.txt").write_bytes(b"\xff")
    index = read_index(tmp_path)
    assert faults(index)[:3] == [
        ("manipulated_videos/end_to_end/holiday.mp4", None),
        ("lists/splits/val.txt", "000_M101"),
        ("lists/splits/test.txt", None),
    ]
    splits = {clip.id: clip.split for clip in index.clips}
    assert (splits["end_to_end__000_M101"], splits["end_to_end__001_W006"]) == (None, "train")
