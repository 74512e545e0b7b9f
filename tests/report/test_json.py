import json

from unmask.report import write_json, write_json_lines
from unmask.types import Verdict

ROW = Verdict("a\udcff.mp4", "no_face", None, None, ("no face was found",)).to_dict()


def test_a_verdict_is_one_readable_file(tmp_path):
    write_json(ROW, tmp_path / "a.json")
    text = (tmp_path / "a.json").read_bytes()
    assert text.isascii()
    assert text.count(b"\n") > 10
    assert json.loads(text)["path"] == "a\udcff.mp4"


def test_verdicts_are_lines(tmp_path):
    write_json_lines([ROW, ROW | {"path": "b.mp4"}], tmp_path / "o.jsonl")
    lines = (tmp_path / "o.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == ["a\udcff.mp4", "b.mp4"]


def test_a_verdict_is_saved_by_its_suffix(tmp_path):
    Verdict("a.mp4", "no_face", None, None).save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_bytes())["status"] == "no_face"
