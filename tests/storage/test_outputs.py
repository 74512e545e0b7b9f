import os
from pathlib import Path

import pytest

from unmask.errors import UsageError
from unmask.storage import outputs
from unmask.storage.outputs import (
    PAGE_MARK,
    FileForm,
    FolderForm,
    Output,
    check_outputs,
    is_own_page,
    is_same,
    json_form,
    log_form,
    table_form,
)

TABLE = FileForm("the table", table_form(("filename", "label"), ("label",)), "verdicts.csv")
LINES = FileForm("the JSON", json_form("schema_version", "status"), "verdicts.jsonl")
PAGES = FolderForm("the report", (("index.html", is_own_page),), ("index.html", "0*.html"), "report")

OWN_TABLE = "filename,label\na.mp4,0.123456\nb.mp4,0.5\n"


def check(path, form=TABLE, inputs=(), option="--csv"):
    check_outputs([Output(option, Path(path), form)], inputs)


@pytest.fixture
def clip(tmp_path) -> Path:
    path = tmp_path / "Clip.mp4"
    path.write_bytes(b"not empty")
    return path


@pytest.mark.parametrize("spelling", ["Clip.mp4", "./Clip.mp4", "../{here}/Clip.mp4", "clip.MP4", "{tmp}/Clip.mp4"])
def test_an_input_is_refused_however_it_is_spelled(clip, spelling, monkeypatch):
    monkeypatch.chdir(clip.parent)
    for form in (TABLE, LINES, PAGES):
        with pytest.raises(UsageError, match="is an input") as error:
            check(spelling.format(here=clip.parent.name, tmp=clip.parent), form, [str(clip)], "--out")
        assert f"--out {form.example}" in str(error.value)


def test_links_and_hard_links_of_an_input_are_refused(clip):
    link, twin = clip.with_name("link.csv"), clip.with_name("twin.csv")
    link.symlink_to(clip)
    os.link(clip, twin)
    for name in (link, twin):
        with pytest.raises(UsageError, match="is an input"):
            check(name, inputs=[clip])
    with pytest.raises(UsageError, match="named like a video"):  # also where it is not among the inputs
        check(link)
    with pytest.raises(UsageError, match="did not write"):
        check(twin)


def test_a_link_to_nothing_named_like_a_video_is_refused(tmp_path):
    (tmp_path / "a.csv").symlink_to(tmp_path / "later.mp4")
    with pytest.raises(UsageError, match="named like a video"):
        check(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("name", "what"), [("x.mp4", "a video"), ("x.F4V", "a video"), ("x.JPG", "an image"), ("x.wav", "sound")]
)
def test_names_of_media_are_refused_whether_they_exist_or_not(tmp_path, name, what):
    for _ in range(2):
        with pytest.raises(UsageError, match=f"it is named like {what};"):
            check(tmp_path / name)
        (tmp_path / name).touch()


@pytest.mark.parametrize(
    "content",
    [
        "notes", "filename,label\na.mp4,1\nb.mp4,0\n", "filename,label\na.mp4,REAL\n", "filename,label\na,0.1,2\n",
        "filename,label\na.mp4,0.12345678901\n", 'filename,label\n"a"b.mp4,0.25\n',
        "filename,label\na.mp4,0.1234567\n", "filename,label\na.mp4,0.0\n",
        "filename,label\na.mp4,1.0\nb.mp4,0.0\n", "path,label\na.mp4,0.5\n",
        '{"schema_version": 1}', "\udc80",
    ],
)  # fmt: skip
def test_what_others_wrote_is_refused_and_stays(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_text(content, errors="surrogateescape")
    with pytest.raises(UsageError, match="remove it first, or name another file"):
        check(path)
    assert path.read_text(errors="surrogateescape") == content


@pytest.mark.parametrize(
    "content",
    [
        "", OWN_TABLE, "filename,label\n", 'filename,label\n"a,\r.mp4",0.993\n', "filename,label\na,\nb,0.5\nc,1.0\n",
        "filename,label\na,\n", "filename,label\n\udcff.mp4,0.5\n",
    ],
)  # fmt: skip
def test_what_unmask_wrote_is_replaced(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode(errors="surrogateescape"))
    check(path)
    link = tmp_path / "link"
    link.symlink_to(path)
    check(link)


def test_json_lines(tmp_path):
    path, row = tmp_path / "v.jsonl", '{"schema_version": 2, "status": "ok"}'
    for own in (row, f"{row}\n{row}\n", row.replace(",", ",\n")):
        path.write_text(own)
        check(path, LINES)
    for foreign in ("[1]", '{"a": 1}\n' + row, f"{row}\nand my notes\n", "{" * 100_000, "\n" + row):
        path.write_text(foreign)
        if foreign.strip() == row:
            continue
        with pytest.raises(UsageError, match="did not write"):
            check(path, LINES)


def test_folders(tmp_path, clip):
    check(tmp_path / "new" / "below", PAGES, option="--html")
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    check(folder, PAGES, option="--html")
    (folder / "000001.html").write_text("mine")
    with pytest.raises(UsageError, match=r"holds 000001\.html, which unmask did not write"):
        check(folder, PAGES, option="--html")
    (folder / "index.html").write_bytes(b"<html>" + PAGE_MARK)
    check(folder, PAGES, option="--html")
    with pytest.raises(UsageError, match="this is a file"):
        check(clip, PAGES, option="--html")
    with pytest.raises(UsageError, match="is an input"):
        check(folder, PAGES, [folder], option="--html")


LOG = FolderForm("the run", (("log.jsonl", log_form(("key", "status"), ("id",))),), ("log.jsonl", "a.csv"), "run")


def test_a_log_whose_first_line_was_torn_is_still_ours(tmp_path):
    line, log = b'{"key":"a","status":"ok"}\n', tmp_path / "log.jsonl"
    for length in range(1, len(line) + 1):
        for rest in (b"", b'\n{"key":"b","status":"ok"}\n'):  # the run went on, and was killed again
            log.write_bytes(line[:length] + rest)
            check(tmp_path, LOG)


@pytest.mark.parametrize("content", [b"[", b'{"other', b'{"key":1}', b'{"keys"', b"key", b"\n", b'{ "key"'])
def test_a_log_of_others_stays(tmp_path, content):
    (tmp_path / "log.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match="did not write there"):
        check(tmp_path, LOG)


def test_two_outputs_need_two_names(tmp_path):
    for one, other in (("a", "a"), ("a", "A"), ("a", "x/../a")):
        with pytest.raises(UsageError, match="--csv and --json are the same"):
            check_outputs([Output("--csv", tmp_path / one, TABLE), Output("--json", tmp_path / other, LINES)])


def test_folders_and_missing_folders_for_a_file(tmp_path):
    with pytest.raises(UsageError, match="this is a folder"):
        check(tmp_path)
    with pytest.raises(UsageError, match="does not exist; create it"):
        check(tmp_path / "no" / "t.csv")


def test_devices_and_addresses_do_no_harm(tmp_path):
    with pytest.raises(UsageError, match=r"cannot go to stdout; name a place for it, e\.g\. --csv verdicts\.csv"):
        check("-")
    check("/dev/stdout", inputs=["https://a.example/b.mp4", "/dev/stdout"])
    check(tmp_path / "t.csv", inputs=["https://a.example/b.mp4", "", "\0"])


def test_long_lines_are_looked_at_in_part(tmp_path, monkeypatch):
    """Of lines the first and the last one; what is longer than a bound is somebody else's."""
    monkeypatch.setattr(outputs, "_MAX_LINE_BYTES", 60)
    row = '{"schema_version": 2, "status": "ok"}'
    (tmp_path / "v.jsonl").write_text(f"{row}\n{'x' * 200}\n{row}\n")
    check(tmp_path / "v.jsonl", LINES)
    (tmp_path / "v.jsonl").write_text(row.replace("ok", "o" * 60))
    with pytest.raises(UsageError, match="did not write"):
        check(tmp_path / "v.jsonl", LINES)


def test_logs_are_known_by_their_first_line(tmp_path):
    form = FileForm("the log", log_form(("step", "loss"), ("epoch",)), "log.jsonl")
    for first in ('{"step": 1, "loss": 0.5, "x": 1}', '{"epoch": 1}'):
        (tmp_path / "log.jsonl").write_text(f"{first}\nanything\n")
        check(tmp_path / "log.jsonl", form)
    for first in ('{"step": 1}', "[]", "epoch"):
        (tmp_path / "log.jsonl").write_text(f'{first}\n{{"epoch": 1}}\n')
        with pytest.raises(UsageError, match="did not write"):
            check(tmp_path / "log.jsonl", form)


def test_is_same(tmp_path, clip):
    assert is_same(clip, tmp_path / "." / "CLIP.mp4")
    assert not is_same(clip, tmp_path)
    assert not is_same("", tmp_path / "XX")
    assert not is_same(tmp_path / "gone", tmp_path / "lost")
