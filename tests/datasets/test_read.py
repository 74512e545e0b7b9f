import os
from pathlib import Path

import pytest

from tests.datasets.readers.layouts import (
    LAYOUTS,
    celeb_df,
    deeperforensics,
    dfdc,
    faceforensics,
    touch,
    tree,
)
from unmask.datasets.index import COLUMNS
from unmask.datasets.parquet import write_parquet
from unmask.datasets.read import read_index
from unmask.errors import UsageError


def test_an_unknown_layout_is_told_with_the_cure(tmp_path):
    with pytest.raises(UsageError, match=r"is an empty folder; name the folder that holds"):
        read_index(tmp_path)
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(UsageError, match=r"holds no video, and has no known layout \(.*dfdc"):
        read_index(tmp_path)
    touch(tmp_path, "some/clip.mp4", "clip.mp4")
    with pytest.raises(UsageError, match=r"holds 2 videos, but nothing that says which are real.*dfdc.*write a CSV"):
        read_index(tmp_path)
    with pytest.raises(
        UsageError, match=r"unknown dataset layout 'ffpp'; use auto or one of csv, deepfakebench, .*dfdc, "
    ):
        read_index(tmp_path, "ffpp")


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


def test_linked_and_hidden_folders(tmp_path):
    for name in ("real/a.mp4", "fake/b.mp4", "fake/.trash/c.mp4", "elsewhere/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "fake" / "linked").symlink_to(tmp_path / "elsewhere")
    index = read_index(tmp_path)
    assert [clip.path for clip in index.clips] == ["fake/b.mp4", "real/a.mp4"]
    assert [(fault.file, fault.message) for fault in index.faults] == [("fake/linked", "a linked folder; not followed")]


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


def test_the_written_index_can_be_read_back(sample, tmp_path):
    index = read_index(sample)
    index.write(tmp_path / "index.parquet")
    again = read_index(tmp_path / "index.parquet")
    assert (again.clips, again.root, again.dataset) == (index.clips, index.root, "dfdc")


def test_videos_without_labels_are_read_when_asked_for(tmp_path):
    for name in ("b.mp4", "a.mkv", "sub/c.mov", "notes.txt", "strange"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "strange").write_bytes(b"DKIF")
    with pytest.raises(UsageError, match="nothing that says which are real"):
        read_index(tmp_path)
    index = read_index(tmp_path, unlabelled=True)
    assert (index.dataset, index.root) == ("plain", tmp_path)
    assert [(clip.id, clip.label) for clip in index.clips] == [("a", None), ("b", None), ("sub__c", None)]
    for name, ids in (("b.mp4", ["b"]), ("strange", ["strange"])):
        one = read_index(tmp_path / name, unlabelled=True)
        assert [clip.id for clip in one.clips] == ids
        assert one.path_of(one.clips[0]) == tmp_path / name
    with pytest.raises(UsageError):
        read_index(tmp_path / "notes.txt", unlabelled=True)
    with pytest.raises(UsageError, match=r"b\.mp4"):
        read_index(tmp_path / "b.mp4")
