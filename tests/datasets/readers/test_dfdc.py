import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.datasets.readers.layouts import faults, touch
from unmask.datasets.index import Clip
from unmask.datasets.read import read_index
from unmask.datasets.readers import text
from unmask.datasets.readers.dfdc import part_number

REAL, FAKE = {"label": "REAL", "split": "train"}, {"label": "FAKE", "split": "train", "original": "real.mp4"}


def write_part(folder: Path, entries: object, *, files: tuple[str, ...] = ("real.mp4", "fake.mp4")) -> Path:
    """Write a part with a metadata.json, text and bytes as they are, and empty videos."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = entries if isinstance(entries, bytes) else (entries if isinstance(entries, str) else json.dumps(entries))
    (folder / "metadata.json").write_bytes(raw if isinstance(raw, bytes) else raw.encode())
    for name in files:
        (folder / name).touch()
    return folder


def one_fault(root: Path) -> tuple[str, str | None, str]:
    (fault,) = read_index(root).faults
    return fault.file, fault.key, fault.message


def ids(root: Path) -> list[str]:
    return [clip.id for clip in read_index(root).clips]


@pytest.fixture
def part(tmp_path):
    return tmp_path / "dfdc_train_part_7"


def test_parts(tmp_path):
    write_part(
        tmp_path / "dfdc_train_part_0", {"a.mp4": REAL, "b.mp4": {**FAKE, "original": "a.mp4"}}, files=("a.mp4",)
    )
    (tmp_path / "dfdc_train_part_0" / "b.mp4").touch()
    write_part(tmp_path / "dfdc_train_part_12", {"c.mp4": {**REAL, "original": None}}, files=("c.mp4",))
    index = read_index(tmp_path)
    assert index.dataset == "dfdc"
    assert index.faults == ()
    assert index.clips == (
        Clip("a", "dfdc_train_part_0/a.mp4", "real", part=0, split="train"),
        Clip("b", "dfdc_train_part_0/b.mp4", "fake", "a", part=0, split="train"),
        Clip("c", "dfdc_train_part_12/c.mp4", "real", part=12, split="train"),
    )
    assert index.path_of(index.clips[0]).is_file()


def test_one_folder_with_its_metadata(part, monkeypatch):
    write_part(part, {"real.mp4": REAL, "fake.mp4": FAKE})
    index = read_index(part)
    assert [(clip.path, clip.part, clip.original) for clip in index.clips] == [
        ("fake.mp4", 7, "real"),
        ("real.mp4", 7, None),
    ]
    monkeypatch.chdir(part)
    assert [clip.part for clip in read_index(Path()).clips] == [7, 7]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("dfdc_train_part_49", 49),
        ("dfdc_train_part_00", 0),
        ("train_sample_videos", 0),
        ("part_3_old", 0),
        ("_1234567", 0),
    ],
)
def test_the_number_of_a_part(tmp_path, name, number):
    assert part_number(tmp_path / name) == number


def test_a_linked_part_goes_by_its_own_name_first(tmp_path):
    (tmp_path / "disk_9").mkdir()
    for name in ("dfdc_train_part_3", "data"):
        (tmp_path / name).symlink_to(tmp_path / "disk_9")
    assert part_number(tmp_path / "dfdc_train_part_3") == 3
    assert part_number(tmp_path / "data") == 9


ENTRY_FAULTS = {
    "traversal": ("../fake.mp4", FAKE, "no plain file name"),
    "deep traversal": ("../../etc/passwd", FAKE, "no plain file name"),
    "absolute": ("/etc/passwd", FAKE, "no plain file name"),
    "backslashes": ("..\\fake.mp4", FAKE, "no plain file name"),
    "drive": ("C:fake.mp4", FAKE, "no plain file name"),
    "empty name": ("", FAKE, "no plain file name"),
    "dots": ("..", FAKE, "no plain file name"),
    "long name": ("x" * 300 + ".mp4", FAKE, "longer than 200 bytes"),
    "NUL": ("fake\0.mp4", FAKE, "control characters"),
    "newline": ("fa\nke.mp4", FAKE, "control characters"),
    "surrogate": ("fake\ud800.mp4", FAKE, "not UTF-8"),
    "original traversal": ("fake.mp4", {**FAKE, "original": "../real.mp4"}, "no plain file name"),
    "original absolute": ("fake.mp4", {**FAKE, "original": "/real.mp4"}, "no plain file name"),
    "original surrogate": ("fake.mp4", {**FAKE, "original": "\udcff.mp4"}, "not UTF-8"),
    "original NaN": ("fake.mp4", {**FAKE, "original": float("nan")}, "original nan: no text"),
    "original number": ("fake.mp4", {**FAKE, "original": 3}, "original 3: no text"),
    "original list": ("fake.mp4", {**FAKE, "original": ["real.mp4"]}, "no text"),
    "original empty": ("fake.mp4", {**FAKE, "original": ""}, "no plain file name"),
    "label NaN": ("fake.mp4", {**FAKE, "label": float("nan")}, "label nan is not REAL or FAKE"),
    "label unknown": ("fake.mp4", {**FAKE, "label": "MAYBE"}, "label 'MAYBE' is not REAL or FAKE"),
    "label lower case": ("fake.mp4", {**FAKE, "label": "fake"}, "label 'fake' is not REAL or FAKE"),
    "label missing": ("fake.mp4", {"split": "train"}, "label None is not REAL or FAKE"),
    "label list": ("fake.mp4", {**FAKE, "label": ["FAKE"]}, "is not REAL or FAKE"),
    "label object": ("fake.mp4", {**FAKE, "label": {"a": 1}}, "is not REAL or FAKE"),
    "label long": ("fake.mp4", {**FAKE, "label": "x" * 10_000}, "... is not REAL or FAKE"),
    "split number": ("fake.mp4", {**FAKE, "split": 1}, "split 1 is no plain text"),
    "split surrogate": ("fake.mp4", {**FAKE, "split": "\ud800"}, "is no plain text"),
    "entry null": ("fake.mp4", None, "None is no object"),
    "entry text": ("fake.mp4", "FAKE", "'FAKE' is no object"),
    "entry list": ("fake.mp4", [FAKE], "is no object"),
    "not there": ("gone.mp4", FAKE, "listed but the file is not there"),
    "original itself": ("fake.mp4", {**FAKE, "original": "fake.mp4"}, "names itself as its original"),
    "original of a real one": ("fake.mp4", {**REAL, "original": "real.mp4"}, "a real clip names an original"),
}


@pytest.mark.parametrize(("name", "value", "message"), ENTRY_FAULTS.values(), ids=ENTRY_FAULTS)
def test_a_faulty_entry_is_set_aside_and_the_others_stay(part, name, value, message):
    write_part(part, {name: value, "good.mp4": FAKE, "real.mp4": REAL}, files=("real.mp4", "good.mp4"))
    if name == "fake.mp4":
        (part / name).touch()
    file, key, said = one_fault(part.parent)
    assert (file, key) == ("dfdc_train_part_7/metadata.json", name.encode("utf-8", "backslashreplace").decode())
    assert message in said
    assert "set aside; " in said
    assert len(said) < 300
    assert ids(part.parent) == ["good", "real"]


def test_a_missing_original_leaves_the_fake_without_a_pair(part):
    """As in the challenge's sample of 400 clips, which holds few of the originals."""
    write_part(part, {"fake.mp4": {**FAKE, "original": "gone.mp4"}, "real.mp4": REAL})
    index = read_index(part)
    assert index.faults == ()
    assert index.clips[0].original == "gone"


@pytest.mark.parametrize("length", [2, 3, 40])
def test_a_cycle_of_originals(part, length):
    names = [f"f{i}.mp4" for i in range(length)]
    cycle = {name: {**FAKE, "original": names[(i + 1) % length]} for i, name in enumerate(names)}
    write_part(part, {**cycle, "real.mp4": REAL}, files=("real.mp4", *names))
    index = read_index(part)
    assert [clip.id for clip in index.clips] == ["real"]
    assert [fault.key for fault in index.faults] == names
    assert all("in a cycle; set aside" in fault.message for fault in index.faults)


def test_a_fake_of_a_fake(part):
    write_part(part, {"real.mp4": REAL, "fake.mp4": FAKE, "again.mp4": {**FAKE, "original": "fake.mp4"}})
    (part / "again.mp4").touch()
    _, key, message = one_fault(part)
    assert key == "again.mp4"
    assert "labelled fake, not real; set aside" in message
    assert ids(part) == ["fake", "real"]


def test_an_original_in_another_part(tmp_path):
    write_part(tmp_path / "dfdc_train_part_1", {"real.mp4": REAL}, files=("real.mp4",))
    write_part(tmp_path / "dfdc_train_part_2", {"fake.mp4": FAKE}, files=("fake.mp4",))
    file, key, message = one_fault(tmp_path)
    assert (file, key) == ("dfdc_train_part_2/metadata.json", "fake.mp4")
    assert "lies in part 1, itself in part 2; set aside" in message
    assert ids(tmp_path) == ["real"]


def test_a_name_in_two_parts(tmp_path):
    for number in (1, 2):
        write_part(tmp_path / f"dfdc_train_part_{number}", {"real.mp4": REAL}, files=("real.mp4",))
    index = read_index(tmp_path)
    assert index.clips == ()
    assert [(fault.file, fault.key) for fault in index.faults] == [
        ("dfdc_train_part_1/metadata.json", "real.mp4"),
        ("dfdc_train_part_2/metadata.json", "real.mp4"),
    ]
    assert "is used in parts [1, 2]" in index.faults[0].message


def test_duplicate_keys(part):
    entry = json.dumps(FAKE)
    write_part(part, f'{{"fake.mp4": {entry}, "real.mp4": {{"label": "REAL"}}, "fake.mp4": {{"label": "REAL"}}}}')
    file, key, message = one_fault(part)
    assert (file, key) == ("metadata.json", "fake.mp4")
    assert "listed 2 times; set aside" in message
    assert ids(part) == ["real"]


def test_a_duplicate_key_within_an_entry(part):
    write_part(part, '{"real.mp4": {"label": "REAL"}, "fake.mp4": {"label": "FAKE", "label": "REAL"}}')
    _, key, message = one_fault(part)
    assert key == "fake.mp4"
    assert "a key occurs twice" in message
    assert ids(part) == ["real"]


def test_a_byte_order_mark(part):
    write_part(part, b"\xef\xbb\xbf" + json.dumps({"real.mp4": REAL, "fake.mp4": FAKE}).encode())
    file, key, message = one_fault(part)
    assert (file, key) == ("metadata.json", None)
    assert "byte order mark" in message
    assert ids(part) == ["fake", "real"]


def test_files_that_are_not_listed(part):
    write_part(part, {"real.mp4": REAL}, files=("real.mp4", "extra.mp4", "._real.mp4"))
    file, key, message = one_fault(part)
    assert (file, key) == ("metadata.json", "extra.mp4")
    assert "not listed; left out" in message


BROKEN = {
    "deep brackets": (b"[" * 100_000, "nested too deep"),
    "deep objects": (b'{"a":' * 100_000, "nested too deep"),
    "list": (b"[]", "no object"),
    "null": (b"null", "no object"),
    "NaN": (b"NaN", "no object"),
    "text": (b'"a"', "no object"),
    "empty": (b"", "no JSON"),
    "cut short": (b'{"real.mp4": {"label"', "no JSON"),
    "not UTF-8": (b'{"real\xff.mp4": {"label": "REAL"}}', "not UTF-8 at byte 6"),
    "UTF-16": ('{"real.mp4": {"label": "REAL"}}'.encode("utf-16"), "not UTF-8"),
    "long number": (b'{"real.mp4": ' + b"1" * 5000 + b"}", "no JSON"),
}


@pytest.mark.parametrize(("raw", "message"), BROKEN.values(), ids=BROKEN)
def test_a_broken_metadata_sets_its_part_aside_and_the_others_stay(part, raw, message):
    write_part(part, raw)
    write_part(part.parent / "dfdc_train_part_8", {"other.mp4": REAL}, files=("other.mp4",))
    file, key, said = one_fault(part.parent)
    assert (file, key) == ("dfdc_train_part_7/metadata.json", None)
    assert message in said
    assert "the whole part is set aside" in said
    assert ids(part.parent) == ["other"]


@pytest.mark.parametrize("depth", [100, 400, 700, 900, 950, 980, 990, 1000])
def test_nests_of_every_depth(part, depth):
    assert depth <= sys.getrecursionlimit()
    nest = "[" * depth + "]" * depth
    write_part(part, f'{{"real.mp4": {{"label": "REAL"}}, "fake.mp4": {{"label": {nest}}}}}')
    file, _, _ = one_fault(part)
    assert file == "metadata.json"


def test_a_metadata_that_is_too_large(part, monkeypatch):
    monkeypatch.setattr(text, "MAX_TEXT_BYTES", 1000)
    write_part(part, " " * 1001)
    assert one_fault(part)[2].startswith("larger than 1000 bytes; the whole part is set aside")


def test_a_metadata_that_is_a_folder(part):
    write_part(part, {"real.mp4": REAL, "fake.mp4": FAKE})
    (part.parent / "other" / "metadata.json").mkdir(parents=True)
    assert ids(part.parent) == ["fake", "real"]


def test_an_unlisted_file_whose_name_is_not_utf8(part):
    write_part(part, {"real.mp4": REAL}, files=("real.mp4",))
    try:
        Path(os.fsdecode(os.fsencode(part) + b"/bad\xff.mp4")).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert one_fault(part)[1] == "bad\\udcff.mp4"


@pytest.mark.parametrize("beside", [True, False])
def test_the_test_folder(tmp_path, beside):
    folder = tmp_path / "test_videos"
    folder.mkdir()
    for name in ("a.mp4", "b.mp4", "c.mp4", "d.mp4"):
        (folder / name).touch()
    index = read_index(tmp_path)
    assert [(clip.id, clip.path, clip.label, clip.split) for clip in index.clips][:2] == [
        ("a", "test_videos/a.mp4", None, "test"),
        ("b", "test_videos/b.mp4", None, "test"),
    ]
    assert index.faults == ()
    assert [clip.path for clip in read_index(folder).clips] == ["a.mp4", "b.mp4", "c.mp4", "d.mp4"]

    table = "labels.csv" if beside else "test_videos/labels.csv"
    (tmp_path / table).write_text("filename,label\na.mp4,0\nb.mp4,1\nc.mp4,7\ngone.mp4,1\n")
    index = read_index(tmp_path)
    assert [clip.label for clip in index.clips] == ["real", "fake", None, None]
    assert [(fault.file, fault.key) for fault in index.faults] == [
        (table, "line 4"),
        (table, "gone.mp4"),
        (table, "d.mp4"),
    ]


def test_a_broken_table_of_labels_leaves_the_test_clips_without(tmp_path):
    (tmp_path / "a.mp4").touch()
    (tmp_path / "labels.csv").write_bytes(b"\xff")
    file, key, message = one_fault(tmp_path)
    assert (file, key) == ("labels.csv", None)
    assert "kept without labels" in message
    assert [clip.label for clip in read_index(tmp_path).clips] == [None]


NAMES = st.sampled_from([f"{letter}.mp4" for letter in "abcdef"])
ORIGINALS = st.one_of(
    NAMES, st.sampled_from(["../a.mp4", "", "zz.mp4"]), st.none(), st.just(float("nan")), st.integers()
)
ENTRIES = st.fixed_dictionaries(
    {"label": st.sampled_from(["REAL", "FAKE", "FAKE", "?"])}, optional={"original": ORIGINALS}
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    parts=st.dictionaries(st.integers(0, 3), st.dictionaries(NAMES, ENTRIES, max_size=4), max_size=4), data=st.data()
)
def test_a_fake_and_its_original_share_their_part(tmp_path_factory, parts, data):
    root = tmp_path_factory.mktemp("dfdc")
    for number, entries in parts.items():
        there = data.draw(st.sets(st.sampled_from(sorted(entries)))) if entries else set()
        write_part(root / f"dfdc_train_part_{number}", entries, files=tuple(there))
    if not parts:
        return
    index = read_index(root)
    by_id = {clip.id: clip for clip in index.clips}
    assert len(by_id) == len(index.clips)
    for clip in index.clips:
        assert index.path_of(clip).is_file()
        if clip.original in by_id:
            assert clip.label == "fake"
            assert by_id[clip.original].label == "real"
            assert by_id[clip.original].part == clip.part
    listed = {(f"dfdc_train_part_{number}/metadata.json", name) for number, part in parts.items() for name in part}
    kept = {(f"dfdc_train_part_{clip.part}/metadata.json", Path(clip.path).name) for clip in index.clips}
    assert listed - kept <= {(fault.file, fault.key) for fault in index.faults}


def test_frames_as_deepfakebench_lays_them_out(tmp_path):
    part = "train/dfdc_train_part_3"
    touch(tmp_path, *(f"{part}/frames/{name}/{frame}.png" for name in ("a", "b") for frame in ("000", "012")))
    entries = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}, "c.mp4": {"label": "REAL"}}
    (tmp_path / part / "metadata.json").write_text(json.dumps(entries))
    index = read_index(tmp_path)
    assert [(clip.id, clip.path, clip.original) for clip in index.clips] == [
        ("a", f"{part}/frames/a", None),
        ("b", f"{part}/frames/b", "a"),
    ]
    assert faults(index) == [(f"{part}/metadata.json", "c.mp4")]


def test_frames_of_the_test_folder(tmp_path):
    touch(tmp_path, *(f"test/frames/{name}/{frame}.png" for name in ("a", "b") for frame in ("000", "012")))
    (tmp_path / "test" / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\n")
    index = read_index(tmp_path / "test")
    assert (index.dataset, index.faults) == ("dfdc", ())
    assert [(clip.id, clip.path, clip.label) for clip in index.clips] == [
        ("a", "frames/a", "fake"),
        ("b", "frames/b", "real"),
    ]


def test_masks_of_a_sample(tmp_path):
    touch(tmp_path, "dfdc_train_part_0/a.mp4", "dfdc_train_part_0/b.mp4", "masks/b/0.png")
    entries = {"a.mp4": {"label": "REAL"}, "b.mp4": {"label": "FAKE", "original": "a.mp4"}}
    (tmp_path / "dfdc_train_part_0" / "metadata.json").write_text(json.dumps(entries))
    assert [(clip.id, clip.mask) for clip in read_index(tmp_path).clips] == [("a", None), ("b", "masks/b")]
    assert read_index(tmp_path / "dfdc_train_part_0").clips[1].mask is None  # it lies outside
