import os
from pathlib import Path

import pytest

from tests.datasets.readers.layouts import (
    FF,
    LAYOUTS,
    by_id,
    celeb_df,
    deeperforensics,
    dfdc,
    faceforensics,
    faults,
    kaggle_dfd,
    touch,
    tree,
    write_splits,
)
from unmask.datasets.index import COLUMNS, READERS, Clip
from unmask.datasets.parquet import write_parquet
from unmask.datasets.read import read_index
from unmask.errors import UsageError


@pytest.mark.parametrize(("name", "make"), [(name, make) for name, makes in LAYOUTS.items() for make in makes])
def test_only_its_own_reader_takes_a_layout(tmp_path, name, make):
    root = make(tmp_path)
    index = read_index(root)
    assert index.dataset == name
    assert index.clips
    assert all(index.path_of(clip).is_file() for clip in index.clips)
    assert [clip.id for clip in index.clips] == sorted(clip.id for clip in index.clips)
    assert [other for other, reader in READERS.items() if reader(root) is not None] == [name]
    assert read_index(root, name) == index


@pytest.mark.parametrize("name", [*LAYOUTS, "csv"])
def test_readers_refuse_other_things(tmp_path, name):
    file = tmp_path / "notes.txt"
    file.write_text("notes")
    touch(tmp_path, "some/clip.mp4", "clip.mp4")
    for data in (tmp_path, file):
        with pytest.raises(UsageError, match=r"write a CSV with the columns|needs a header with the column path"):
            read_index(data, name)
    with pytest.raises(UsageError, match="does not exist"):
        read_index(tmp_path / "gone", name)


def test_an_unknown_layout_is_told_with_the_cure(tmp_path):
    with pytest.raises(UsageError, match=r"is an empty folder; name the folder that holds"):
        read_index(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UsageError, match=r"holds no video, and has no known layout \(.*dfdc"):
        read_index(tmp_path)
    touch(tmp_path, "some/clip.mp4", "clip.mp4")
    with pytest.raises(UsageError, match=r"holds 2 videos, but nothing that says which are real.*dfdc.*write a CSV"):
        read_index(tmp_path)
    with pytest.raises(UsageError, match=r"unknown dataset layout 'ffpp'; use auto or one of csv, dfdc"):
        read_index(tmp_path, "ffpp")


# FaceForensics++


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
    (fault,) = read_index(tmp_path).faults
    assert fault.file == "manipulated_sequences/Deepfakes/c40/videos/183_253.mp4"
    assert "'youtube__c40__183' is not in the dataset; kept without a pair" in fault.message


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


# Celeb-DF


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
    assert faults(index) == [("Celeb-synthesis/holiday.mp4", None), ("Celeb-synthesis/id7_id8_0000.mp4", None)]
    assert "'Celeb-real__id7_0000' is not in the dataset" in index.faults[1].message
    assert len(index.clips) == 7


# DeeperForensics


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


# A tree


def test_tree(tmp_path):
    touch(tree(tmp_path), "real/._a.mp4", "other/c.mp4")
    (tmp_path / "Original").touch()  # a file is no folder of clips
    index = read_index(tmp_path)
    assert [(clip.id, clip.path, clip.label, clip.method) for clip in index.clips] == [
        ("fake__Deepfakes__b", "fake/Deepfakes/b.avi", "fake", "Deepfakes"),
        ("fake__b", "fake/b.mp4", "fake", None),
        ("real__a", "real/a.mp4", "real", None),
    ]
    assert index.faults == ()


def test_clips_whose_ids_clash_are_set_aside(tmp_path):
    touch(tree(tmp_path), "real/c.mp4", "real/c.avi", "real/Up.mp4", "real/UP.mp4")
    if len(list((tmp_path / "real").iterdir())) < 5:
        pytest.skip("this file system takes upper and lower case for the same")
    index = read_index(tmp_path)
    assert len(index.clips) == 3
    assert [fault.file for fault in index.faults] == ["real/UP.mp4", "real/Up.mp4", "real/c.avi", "real/c.mp4"]
    assert "two clips would share the name 'real__UP'; set aside; rename one" in index.faults[0].message


def test_unusable_names_are_set_aside(tmp_path):
    tree(tmp_path)
    try:
        for name in (b"bad\xff.mp4", b"two\nlines.mp4", b"del\x7f.mp4", b"next\xc2\x85line.mp4"):
            Path(os.fsdecode(os.fsencode(tmp_path / "real") + b"/" + name)).touch()
    except OSError:
        pytest.skip("this file system refuses such names")
    index = read_index(tmp_path)
    assert len(index.clips) == 3
    assert sorted(fault.file for fault in index.faults) == [
        "real/bad\\udcff.mp4", "real/del\x7f.mp4", "real/next\x85line.mp4", "real/two\nlines.mp4",
    ]  # fmt: skip
    assert all(str(fault).encode() for fault in index.faults)


def test_a_loop_of_links_and_a_folder_named_like_a_video(tmp_path):
    (tree(tmp_path) / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "real" / "folder.mp4").mkdir()
    (tmp_path / "real" / "gone.mp4").symlink_to(tmp_path / "nothing")
    assert len(read_index(tmp_path).clips) == 3


# The table as Parquet


def test_parquet_round_trip(tmp_path):
    pytest.importorskip("pyarrow")
    for make in (faceforensics, celeb_df, deeperforensics, tree, dfdc):
        index = read_index(make(tmp_path / make.__name__))
        path, again = tmp_path / f"{make.__name__}.parquet", tmp_path / "again.parquet"
        index.write(path)
        index.write(again)
        assert path.read_bytes() == again.read_bytes()
        read = read_index(path)
        assert (read.clips, read.dataset, read.root) == (index.clips, index.dataset, index.root.resolve())


def test_parquet_that_is_no_index(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    path.write_bytes(b"nonsense")
    with pytest.raises(UsageError, match="cannot be read as a Parquet table"):
        read_index(path)
    for facts in ({}, {"root": "/"}):
        parquet.write_table(arrow.table({"id": []}).replace_schema_metadata(facts), path)
        with pytest.raises(UsageError, match="is no index"):
            read_index(path)


class TestHostileIndex:
    """A Parquet index that somebody else made."""

    @staticmethod
    def write(path, rows, root):
        blank = dict.fromkeys(("original", "method", "compression", "part", "split"))
        write_parquet(
            [blank | {"label": "real", "path": "a.mp4", "people": []} | row for row in rows],
            path,
            COLUMNS,
            {"dataset": "x", "root": str(root)},
        )

    def test_ids_that_leave_the_folder_are_set_aside(self, tmp_path):
        names = ["../../victim", "/etc/x", "a\\b", ".hidden", "", "good", "x" * 300, "line\nbreak"]
        self.write(tmp_path / "i.parquet", [{"id": name} for name in names], tmp_path)
        index = read_index(tmp_path / "i.parquet")
        assert [clip.id for clip in index.clips] == ["good"]
        assert len(index.faults) == len(names) - 1

    def test_a_cycle_of_fakes_is_set_aside(self, tmp_path):
        rows = [{"id": "a", "label": "fake", "original": "b"}, {"id": "b", "label": "fake", "original": "a"}]
        self.write(tmp_path / "i.parquet", [*rows, {"id": "c"}, {"id": "d", "label": "maybe"}], tmp_path)
        index = read_index(tmp_path / "i.parquet")
        assert [clip.id for clip in index.clips] == ["c"]
        assert len(index.faults) == 3

    def test_faults_travel_with_the_table(self, tmp_path):
        (tmp_path / "real.mp4").touch()
        (tmp_path / "list.csv").write_text("path,label\nreal.mp4,real\ngone.mp4,real\n")
        index = read_index(tmp_path / "list.csv")
        index.write(tmp_path / "i.parquet")
        assert read_index(tmp_path / "i.parquet").faults == index.faults
        assert len(index.faults) == 1


def test_linked_and_hidden_folders(tmp_path):
    for name in ("real/a.mp4", "fake/b.mp4", "fake/.trash/c.mp4", "elsewhere/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "fake" / "linked").symlink_to(tmp_path / "elsewhere")
    index = read_index(tmp_path)
    assert [clip.path for clip in index.clips] == ["fake/b.mp4", "real/a.mp4"]
    assert [(fault.file, fault.message) for fault in index.faults] == [("fake/linked", "a linked folder; not followed")]


def test_a_real_clip_that_is_its_own_original(tmp_path):
    for name in ("r.mp4", "f.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "l.csv").write_text("path,label,original\nr.mp4,0,r.mp4\nf.mp4,1,r.mp4\n")
    index = read_index(tmp_path / "l.csv")
    assert index.faults == ()
    assert [(clip.id, clip.original) for clip in index.clips] == [("f", "r"), ("r", None)]
