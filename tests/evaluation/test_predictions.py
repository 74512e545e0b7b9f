import json
import os

import pytest

from unmask import Verdict
from unmask.datasets import Index
from unmask.datasets.index import Clip
from unmask.errors import UsageError
from unmask.evaluation import Prediction, read_predictions, scan_index, truth_of_index
from unmask.evaluation.predictions import prediction_of
from unmask.report import write_csv, write_json_lines

pytestmark = pytest.mark.usefixtures("searched_once")


def test_the_table_of_a_scan(tmp_path):
    strange = os.fsdecode(b"b\xff, 2.mp4")
    write_csv([("a.mp4", 0.25), (strange, 0.75), ("c.mp4", None)], tmp_path / "s.csv")
    assert read_predictions(tmp_path / "s.csv") == [
        Prediction("a.mp4", 0.25),
        Prediction(strange, 0.75),
        Prediction("c.mp4", 0.5),
    ]


def test_any_table(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfVideo,note,LABEL\r\na.mp4,x,1\r\nb.mp4,,\r\n")
    assert read_predictions(tmp_path / "t.csv") == [Prediction("a.mp4", 1.0), Prediction("b.mp4", None)]


def test_the_json_of_a_scan(scanner, short_clips, tmp_path):
    verdict = scanner.scan(short_clips["blended"])
    missing = Verdict("gone.mp4", "unreadable", None, None)
    write_json_lines([verdict.to_dict(), missing.to_dict()], tmp_path / "o.jsonl")
    seen, gone = read_predictions(tmp_path / "o.jsonl")
    assert seen == prediction_of(verdict.to_dict())
    assert (seen.name, seen.label) == (str(short_clips["blended"]), verdict.label)
    assert seen.fake_probability == pytest.approx(verdict.fake_probability, abs=1e-6)
    assert [(face.person, face.frame) for face in seen.faces] == [(1, frame.index) for frame in verdict.frames]
    assert len(seen.faces) == 10
    assert seen.model_sha256 == scanner.models[0]["sha256"]
    assert seen.calibration == scanner.cards[0].calibration
    assert gone == Prediction("gone.mp4", None)


def test_a_dataset_scanned_on_the_spot(scanner, short_clips):
    folder = short_clips["blended"].parent
    clip = Clip("a", "authentic.mp4", "real"), Clip("b", "blended.mp4", "fake"), Clip("u", "none.mp4", None)
    index = Index(folder, "tree", clip)
    assert [(p.name, p.fake_probability is None) for p in scan_index(scanner, index)] == [
        ("authentic.mp4", False),
        ("blended.mp4", False),
    ]
    assert [(item.name, item.label) for item in truth_of_index(index).clips][-1] == ("none.mp4", None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("filename,label\na.mp4,FAKE\n", "line 2: 'FAKE' is no fake probability"),
        ("filename,label\na.mp4,1.5\n", "in 0..1"),
        ("filename,label\na.mp4,nan\n", "in 0..1"),
        ("filename,label\na,b.mp4,0.5\n", "line 2: not as many cells"),
        ("filename,label\na.mp4\n", "line 2: not as many cells"),
        ("name,score\na.mp4,1\n", "needs a header"),
        ("", "is empty"),
        ('filename,label\n"a,1\n', "no CSV"),
        ('{"path": "a.mp4"}\n', "line 1: no verdict of unmask scan"),
        ('{"path"\n', "line 1: no verdict of unmask scan"),
        (json.dumps({"path": "a", "frames": 3, "models": [], "fake_probability": 1, "label": "fake"}), "no verdict"),
    ],
)
def test_what_is_no_table_of_predictions(tmp_path, text, words):
    (tmp_path / "t").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_predictions(tmp_path / "t")


def test_a_table_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot read"):
        read_predictions(tmp_path / "t.csv")


ROWS = [("a.mp4", 0.25), ("b.mp4", None)]


@pytest.mark.parametrize(
    "text",
    [
        "filename;label\na.mp4;0,25\nb.mp4;\n", "filename\tfake_probability\na.mp4\t0.25\nb.mp4\t\n",
        '[{"filename": "a.mp4", "label": 0.25}, {"filename": "b.mp4", "label": null}]',
        '{"filename": "a.mp4", "label": 0.25}\n{"filename": "b.mp4", "label": null}\n',
        '{"a.mp4": 0.25, "b.mp4": null}',
    ],
)  # fmt: skip
def test_predictions_of_other_programs(tmp_path, text):
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "p").write_bytes(text.encode(encoding))
        assert [(item.name, item.fake_probability) for item in read_predictions(tmp_path / "p")] == ROWS


def test_verdicts_in_every_form_of_json(tmp_path, scanner, short_clips):
    verdict = scanner.scan(short_clips["blended"])
    row = verdict.to_dict()
    for text in (json.dumps(row), json.dumps(row, indent=1), json.dumps([row]), json.dumps(row) + "\n\n"):
        (tmp_path / "v").write_text(text)
        assert read_predictions(tmp_path / "v") == [prediction_of(row)]
