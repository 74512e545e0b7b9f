from pathlib import Path

import pytest

from tests.datasets.readers.layouts import by_id, faults, touch
from unmask.datasets.index import Clip, clip_id, parse_label
from unmask.datasets.read import read_index
from unmask.errors import UsageError


def write_table(root: Path, text: str | bytes) -> Path:
    table = root / "clips.csv"
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    return table


def test_csv(tmp_path):
    touch(tmp_path / "data", "a.mp4", "sub/b.mp4", "c d.mp4")
    touch(tmp_path, "elsewhere.mp4")
    table = write_table(
        tmp_path / "data",
        "\ufeffPath , Label,original,method,compression,person,part,split,note\r\n"
        "./a.mp4,REAL,,camera,c23,bob; alice ;,3,train,x\r\n"
        "sub/b.mp4,1,a.mp4,swap,,,3,,\r\n"
        f'"c d.mp4",,,,,,,,\r\n{tmp_path}/elsewhere.mp4,0\r\n',
    )
    index = read_index(table)
    assert (index.dataset, index.root, index.faults) == ("csv", tmp_path / "data", ())
    clips = by_id(index)
    assert clips["a"] == Clip("a", "a.mp4", "real", None, "camera", "c23", ("alice", "bob"), 3, "train")
    assert clips["sub__b"] == Clip("sub__b", "sub/b.mp4", "fake", "a", "swap", None, (), 3)
    assert clips["c d"] == Clip("c d", "c d.mp4", None)
    assert all(index.path_of(clip).is_file() for clip in index.clips)
    assert len(clips) == 4


@pytest.mark.parametrize("column", ["file", "filename", "video", "path"])
def test_csv_of_other_columns(tmp_path, column):
    touch(tmp_path, "a.mp4")
    assert len(read_index(write_table(tmp_path, f"label,{column}\n0,a.mp4\n")).clips) == 1


def test_csv_faults(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4", "f.mp4")
    rows = [
        "path,label,original,part", "a.mp4,real,,", "gone.mp4,real,,", "b.mp4,maybe,,", "c.mp4,fake,,x", "d.mp4,real,,",
        "d.mp4,fake,,", ",real,,", "x" * 5000 + ".mp4,real,,", "e.mp4,fake,e.mp4,", "f.mp4,fake,gone.mp4,",
        "a,b.mp4,fake,a.mp4,,", '"two\nlines.mp4",real,,',
    ]  # fmt: skip
    index = read_index(write_table(tmp_path, "\n".join(rows)))
    assert sorted(by_id(index)) == ["a", "f"]
    assert by_id(index)["f"].original == "gone"
    assert {key for _, key in faults(index)} == {f"line {n}" for n in (3, 4, 5, 6, 7, 8, 9, 10, 12, 14)}
    assert {file for file, _ in faults(index)} == {"clips.csv"}
    assert all(len(str(fault)) < 300 for fault in index.faults)


@pytest.mark.parametrize("original", [".", "/", "..", "./", "a\\b", "x" * 5000])
def test_csv_with_an_original_that_is_no_name(tmp_path, original):
    touch(tmp_path, "a.mp4")
    index = read_index(write_table(tmp_path, f"path,label,original\na.mp4,fake,{original}\n"))
    assert faults(index) == []
    assert [clip.label for clip in index.clips] == ["fake"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; write a header"),
        ("path\na.mp4\n", "needs a header"),
        ("label\n1\n", "needs a header"),
        ("path,label,Label\na.mp4,1,1\n", "two columns named 'label'"),
        ("path,label\na.mp4,0\n".encode("utf-16")[:-1], "no UTF-16-LE text at byte"),
        ('path,label\n"a.mp4,1\n', "is no CSV: line"),
        ("path,label\n" + "x" * 200_000 + ",1\n", "is no CSV: line"),
        ("path,label\nx.mp4,0\ny.mp4,1\n", "lists 2 files, and none of them is there, e.g. 'x.mp4'; paths start from"),
    ],
)
def test_a_broken_csv(tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        read_index(write_table(tmp_path, text))


def test_csv_spellings_of_one_path_clash(tmp_path):
    touch(tmp_path, "a.mp4")
    index = read_index(write_table(tmp_path, "path,label\na.mp4,0\n./a.mp4,1\n"))
    assert index.clips == ()
    assert len(index.faults) == 2


# Names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a.mp4", "a"), ("a/b/c.d.mp4", "a__b__c.d"), ("/abs/a.mp4", "abs__a"), ("../a.mp4", "a"), ("a", "a"),
        ("C:\\x\\y.mp4", "C__x_y"), (".hidden.mp4", "hidden"), ("", "_"), (".", "_"), ("/", "_"), ("//", "_"),
        ("..", "_"), ("ä/日本.mp4", "ä__日本"),
    ],
)  # fmt: skip
def test_clip_ids(path, name):
    assert clip_id(path) == name


def test_long_clip_ids_stay_distinct_file_names():
    paths = [f"{'ü' * 200}/{'x' * 200}{i}.mp4" for i in range(50)]
    names = {clip_id(path) for path in paths}
    assert len(names) == 50
    assert all(len(name.encode()) <= 200 for name in names)
    assert clip_id(paths[0]) == clip_id(paths[0])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".txt"])
def test_tables_of_other_programs(tmp_path, separator, encoding, suffix):
    touch(tmp_path, "a.mp4", "b.mp4")
    text = "Filename,Label\na.mp4,Original\nb.mp4,Deepfake\n".replace(",", separator)
    (tmp_path / f"t{suffix}").write_bytes(text.encode(encoding))
    index = read_index(tmp_path / f"t{suffix}")
    assert [(clip.path, clip.label) for clip in index.clips] == [("a.mp4", "real"), ("b.mp4", "fake")]


def test_json_lists(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "t.json").write_text('[{"file": "a.mp4", "label": false}, {"file": "b.mp4", "label": true}]')
    assert [clip.label for clip in read_index(tmp_path / "t.json").clips] == ["real", "fake"]


def test_names_without_suffix(tmp_path):
    touch(tmp_path, "a.mp4", "d/b.mkv", "c.mp4", "c.avi", "e.txt")
    index = read_index(write_table(tmp_path, "id,label\na,0\nd/b,1\nc,1\ne,1\n"))
    assert [clip.path for clip in index.clips] == ["a.mp4", "d/b.mkv"]
    assert [key for _, key in faults(index)] == ["line 4", "line 5"]


def test_rows_that_repeat(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    index = read_index(write_table(tmp_path, "path,label\na.mp4,0\nb.mp4,0\na.mp4,0\nb.mp4,1\nc.mp4,1\n"))
    assert sorted(by_id(index)) == ["a", "c"]
    told = {fault.key: fault.message for fault in index.faults}
    assert sorted(told) == ["line 3", "line 4", "line 5"]
    assert "'a.mp4' is listed 2 times, alike; counted once" in told["line 4"]
    assert "'b.mp4' is listed 2 times, with different contents; set aside" in told["line 5"]


@pytest.mark.parametrize(
    ("words", "label"),
    [
        ("real REAL 0 0.0 false False original originals Authentic genuine pristine bona-fide bona_fide", "real"),
        ("fake FAKE 1 1.0 True true deepfake Deepfakes deep-fake manipulated synthetic spoof", "fake"),
        ("-1 2 0.5 maybe -0 s unknown inconclusive", None),
    ],
)
def test_words_for_labels(words, label):
    assert {word: parse_label(word) for word in words.split()} == dict.fromkeys(words.split(), label)
    assert parse_label("bona fide") == "real"
    assert parse_label("") is None


def test_a_real_clip_that_is_its_own_original(tmp_path):
    for name in ("r.mp4", "f.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "l.csv").write_text("path,label,original\nr.mp4,0,r.mp4\nf.mp4,1,r.mp4\n")
    index = read_index(tmp_path / "l.csv")
    assert index.faults == ()
    assert [(clip.id, clip.original) for clip in index.clips] == [("f", "r"), ("r", None)]


def test_masks_of_a_table(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    (tmp_path / "list.csv").write_text("path,label,mask\na.mp4,real,\nb.mp4,fake,masks/b\n")
    index = read_index(tmp_path / "list.csv")
    assert [clip.mask for clip in index.clips] == [None, "masks/b"]
    assert index.mask_of(index.clips[1]) == tmp_path / "masks" / "b"
