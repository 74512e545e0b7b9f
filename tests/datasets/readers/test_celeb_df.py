from tests.datasets.readers.layouts import (
    by_id,
    celeb_df,
    faults,
    touch,
)
from unmask.datasets.index import Clip
from unmask.datasets.read import read_index


def test_celeb_df(tmp_path):
    index = read_index(celeb_df(tmp_path))
    assert index.faults == ()
    clips = by_id(index)
    assert clips["Celeb-synthesis__id0_id1_0000"] == Clip(
        "Celeb-synthesis__id0_id1_0000", "Celeb-synthesis/id0_id1_0000.mp4", "fake", "Celeb-real__id0_0000",
        "Celeb-synthesis", people=("id0", "id1"),
    )  # fmt: skip
    assert clips["Celeb-real__id0_0000"].people == ("id0",)
    assert clips["YouTube-real__00170"] == Clip(
        "YouTube-real__00170", "YouTube-real/00170.mp4", "real", method="YouTube-real"
    )


def test_celeb_df_with_videos_folders_and_the_other_spelling(tmp_path):
    touch(tmp_path, "Celeb-real/videos/id0_0000.mp4", "Celeb-synthesis/videos/id0_id1_0000.mp4")
    touch(tmp_path, "Youtube-real/videos/00170.mp4", "Youtube-real/videos/00171.mp4")
    (tmp_path / "List_of_testing_videos.txt").write_text(
        "1 YouTube-real/00170.mp4\n\n0\tCeleb-synthesis/id0_id1_0000.mp4"
    )
    index = read_index(tmp_path)
    assert index.faults == ()
    assert [(clip.id, clip.split) for clip in index.clips] == [
        ("Celeb-real__id0_0000", "train"),
        ("Celeb-synthesis__id0_id1_0000", "test"),
        ("YouTube-real__00170", "test"),
        ("YouTube-real__00171", "train"),
    ]
    assert index.clips[1].original == "Celeb-real__id0_0000"


def test_celeb_df_with_a_faulty_list(tmp_path):
    celeb_df(tmp_path)
    lines = [
        "1 Celeb-real/id0_0000.mp4", "0 YouTube-real/00170.mp4", "1 Celeb-synthesis/id0_id1_0000.mp4",
        "0 ../../etc/passwd", "2 Celeb-real/id1_0000.mp4", "1", "nonsense here",
    ]  # fmt: skip
    table = "List_of_testing_videos.txt"
    (tmp_path / table).write_text("\n".join(lines))
    index = read_index(tmp_path)
    assert faults(index) == [(table, f"line {number}") for number in range(2, 8)]
    assert "is fake here, not so by its folder; the clip is set aside" in index.faults[0].message
    assert [(clip.id, clip.split) for clip in index.clips] == [
        ("Celeb-real__id0_0000", "test"),
        ("Celeb-real__id1_0000", "train"),
        ("Celeb-synthesis__id1_id0_0000", "train"),
    ]


def test_celeb_df_with_an_unreadable_list(tmp_path):
    celeb_df(tmp_path)
    (tmp_path / "List_of_testing_videos.txt").write_bytes(b"\xff")
    index = read_index(tmp_path)
    assert faults(index) == [("List_of_testing_videos.txt", None)]
    assert {clip.split for clip in index.clips} == {None}


def test_celeb_df_without_an_original_and_with_a_strange_name(tmp_path):
    touch(celeb_df(tmp_path), "Celeb-synthesis/id7_id8_0000.mp4", "Celeb-synthesis/holiday.mp4")
    index = read_index(tmp_path)
    assert faults(index) == [("Celeb-synthesis/holiday.mp4", None)]
    assert by_id(index)["Celeb-synthesis__id7_id8_0000"].original == "Celeb-real__id7_0000"
    assert len(index.clips) == 7


def test_celeb_df_plus_plus(tmp_path):
    touch(tmp_path, "Celeb-real/id0_0000.mp4", "YouTube-real/00170.mp4")
    swaps = [f"Celeb-synthesis/FaceSwap/{method}/id0_id1_0000.mp4" for method in ("SimSwap", "UniFace")]
    talking = "Celeb-synthesis/TalkingFace/FLOAT/id0_id1_0000_75dcb963.mp4"
    touch(tmp_path, *swaps, talking)
    (tmp_path / "List_of_testing_videos.txt").write_text(f"1 Celeb-real/id0_0000.mp4\n0 {swaps[1]}\n")
    index = read_index(tmp_path)
    assert (index.dataset, index.faults) == ("celeb_df", ())
    assert {(clip.path, clip.method, clip.original, clip.split) for clip in index.clips if clip.label == "fake"} == {
        (swaps[0], "SimSwap", "Celeb-real__id0_0000", "train"),
        (swaps[1], "UniFace", "Celeb-real__id0_0000", "test"),
        (talking, "FLOAT", None, "train"),
    }
