"""Folders as people keep them: a table beside the videos, parts in folders of their own, splits and labels."""

import codecs
import json

import pytest

from tests.datasets.readers.layouts import touch
from unmask.datasets.read import read_index
from unmask.errors import UsageError

ROWS = [("a.mp4", "REAL"), ("b.mp4", "FAKE"), ("c.mp4", "FAKE")]


def table(rows=ROWS, separator=",", columns=("filename", "label")) -> str:
    return "\n".join(separator.join(row) for row in (columns, *rows)) + "\n"


def labels(index):
    return {clip.path: clip.label for clip in index.clips}


@pytest.mark.parametrize("folder", ["videos", "clips", "video", "data"])
@pytest.mark.parametrize("name", ["labels.csv", "metadata.csv", "Labels.TSV"])
def test_a_table_beside_a_folder_of_videos(tmp_path, folder, name):
    touch(tmp_path, *(f"{folder}/{file}" for file, _ in ROWS))
    (tmp_path / name).write_text(table(separator="\t" if name.endswith("TSV") else ","))
    index = read_index(tmp_path)
    assert index.dataset == "listed"
    assert labels(index) == {f"{folder}/a.mp4": "real", f"{folder}/b.mp4": "fake", f"{folder}/c.mp4": "fake"}


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize(
    ("mark", "encoding"), [(b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")]
)
@pytest.mark.parametrize("words", [("True", "False"), ("fake", "real"), ("1", "0"), ("TRUE", "FALSE")])
def test_tables_of_any_program(tmp_path, separator, mark, encoding, words):
    touch(tmp_path, "videos/a.mp4", "videos/b.mp4")
    text = table([("a.mp4", words[0]), ("b.mp4", words[1])], separator)
    (tmp_path / "labels.csv").write_bytes(mark + text.encode(encoding))
    assert labels(read_index(tmp_path)) == {"videos/a.mp4": "fake", "videos/b.mp4": "real"}


def test_paths_of_windows(tmp_path):
    touch(tmp_path, "videos/a.mp4", "videos/b.mp4")
    (tmp_path / "labels.csv").write_text(table([("videos\\a.mp4", "fake"), ("videos\\b.mp4", "real")]))
    assert labels(read_index(tmp_path)) == {"videos/a.mp4": "fake", "videos/b.mp4": "real"}


def test_a_table_for_each_split(tmp_path):
    touch(tmp_path, "videos/a.mp4", "videos/b.mp4", "videos/c.mp4")
    (tmp_path / "train.csv").write_text(table(ROWS[:2]))
    (tmp_path / "test.csv").write_text(table(ROWS[2:]))
    (tmp_path / "notes.csv").write_text("day,weather\n1,rain\n")
    index = read_index(tmp_path)
    assert {clip.id: clip.split for clip in index.clips} == {
        "videos__a": "train",
        "videos__b": "train",
        "videos__c": "test",
    }


@pytest.mark.parametrize("inside", ["test/videos/", "test/"])
def test_deepfakebench_keeps_a_table_in_the_split(tmp_path, inside):
    touch(tmp_path, *(f"{inside}{file}" for file, _ in ROWS), "test/landmarks/a.npy")
    (tmp_path / "test/labels.csv").write_text(table())
    index = read_index(tmp_path)
    assert labels(index) == {f"{inside}{file}": label.lower() for file, label in ROWS}
    assert {clip.split for clip in index.clips} == {"test"}
    assert index.path_of(index.clips[0]).exists()


@pytest.mark.parametrize("file", ["labels.csv", "dfdc_test_labels.csv"])
def test_labels_beside_a_metadata_without_labels(tmp_path, file):
    touch(tmp_path, *(name for name, _ in ROWS))
    (tmp_path / "metadata.json").write_text(json.dumps({name: {"duration": 10} for name, _ in ROWS}))
    (tmp_path / file).write_text(table())
    assert labels(read_index(tmp_path)) == {name: label.lower() for name, label in ROWS}


def test_a_metadata_that_says_is_fake(tmp_path):
    touch(tmp_path, *(name for name, _ in ROWS))
    entries = {name: {"is_fake": int(label == "FAKE"), "cluster": 3} for name, label in ROWS}
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    assert labels(read_index(tmp_path)) == {name: label.lower() for name, label in ROWS}


def test_parts_that_were_unpacked_into_folders_of_their_own(tmp_path):
    for number in (0, 1):
        folder = f"dfdc_train_part_{number:02}/dfdc_train_part_{number}"
        touch(tmp_path, f"{folder}/x{number}.mp4", f"{folder}/y{number}.mp4")
        entries = {
            f"x{number}.mp4": {"label": "REAL"},
            f"y{number}.mp4": {"label": "FAKE", "original": f"x{number}.mp4"},
        }
        (tmp_path / folder / "metadata.json").write_text(json.dumps(entries))
    index = read_index(tmp_path)
    assert [(clip.id, clip.label, clip.part) for clip in index.clips] == [
        ("x0", "real", 0), ("x1", "real", 1), ("y0", "fake", 0), ("y1", "fake", 1),
    ]  # fmt: skip
    assert index.faults == ()


@pytest.mark.parametrize(
    ("real", "fake", "split"),
    [
        ("train/real", "train/fake", "train"),
        ("Test/REAL", "Test/FAKE", "test"),
        ("valid/original", "validation/manipulated", "val"),
        ("real/train", "fake/train", "train"),
        ("0_real", "1_fake", None),
        ("real_videos", "fake_videos", None),
        ("Real Videos", "Deepfakes", None),
        ("pristine", "tampered", None),
    ],
)
def test_trees_of_many_kinds(tmp_path, real, fake, split):
    touch(tmp_path, f"{real}/a.mp4", f"{fake}/FaceSwap/b.mp4", f"{fake}/c.mp4")
    index = read_index(tmp_path)
    assert index.dataset == "tree"
    assert labels(index) == {f"{real}/a.mp4": "real", f"{fake}/FaceSwap/b.mp4": "fake", f"{fake}/c.mp4": "fake"}
    assert {clip.split for clip in index.clips} == {split}
    assert {clip.method for clip in index.clips} == {None, "FaceSwap"}


@pytest.mark.parametrize(
    ("paths", "tables", "told"),
    [
        (["real/a.mp4", "rest/b.mp4"], {}, "folder 'real' of real clips, but none of fake"),
        (["0/a.mp4", "1/b.mp4"], {}, "name them 'real' and 'fake'"),
        (["videos/a.mp4"], {"labels.csv": "filename,kind\na.mp4,fake\n"}, "the column label; it has 'filename, kind'"),
        (["videos/a.mp4"], {"labels.csv": "filename,label\nx.mp4,fake\ny.mp4,real\n"}, "none of them is there"),
        (["a/b/c/x.mp4"], {"a/b/c/metadata.json": "{}"}, "metadata.json in"),
        (["true/a.mp4", "false/b.mp4"], {}, "nothing that says"),
    ],
)
def test_what_was_nearly_recognised_is_told(tmp_path, paths, tables, told):
    touch(tmp_path, *paths)
    for name, text in tables.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=told):
        read_index(tmp_path)
