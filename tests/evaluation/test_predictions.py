import json
import os

import pytest

from unmask import Verdict
from unmask.datasets import Index
from unmask.datasets.index import Clip
from unmask.errors import UsageError
from unmask.evaluation import Prediction, match, read_predictions, read_truth, scan_index, truth_of_index
from unmask.evaluation.predictions import prediction_of
from unmask.report import write_csv, write_json_lines


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


def test_the_json_of_a_scan(scanner, clips, tmp_path):
    verdict = scanner.scan(clips["blended"])
    missing = Verdict("gone.mp4", "unreadable", None, None)
    write_json_lines([verdict.to_dict(), missing.to_dict()], tmp_path / "o.jsonl")
    seen, gone = read_predictions(tmp_path / "o.jsonl")
    assert seen == prediction_of(verdict.to_dict())
    assert (seen.name, seen.label) == (str(clips["blended"]), verdict.label)
    assert seen.fake_probability == pytest.approx(verdict.fake_probability, abs=1e-6)
    assert [(face.person, face.frame) for face in seen.faces] == [(1, frame.index) for frame in verdict.frames]
    assert len(seen.faces) == 16
    assert seen.model_sha256 == scanner.models[0]["sha256"]
    assert seen.calibration == scanner.cards[0].calibration
    assert gone == Prediction("gone.mp4", None)


def test_a_dataset_scanned_on_the_spot(scanner, clips):
    folder = clips["blended"].parent
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
        ("", "needs a header"),
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


def test_labels_from_a_table_know_their_sources(tmp_path):
    (tmp_path / "l.csv").write_text(
        "file,label,method,original,split\n"
        "real/1.mp4,real,youtube,,val\nreal/2.mp4,0,,,\n"
        "fake/x_1.mp4,FAKE,swap,1.mp4,\nfake/y_1.mp4,1,swap,real/1.mp4,\nfake/z_2.mp4,1.0,,2,\nfake/w.mp4,1,,gone.mp4,\n"
        "fake/odd.mp4,perhaps,,,\nfake/none.mp4,,,,\n"
    )
    labels = read_truth(tmp_path / "l.csv")
    assert [clip.label for clip in labels.clips] == ["real", "real", "fake", "fake", "fake", "fake", None, None]
    own, other = "real__1", "real__2"
    assert [clip.source for clip in labels.clips][:6] == [own, other, own, own, other, "gone"]
    assert labels.clips[0].traits == {"method": "youtube", "split": "val"}
    assert labels.clips[1].traits == {}
    assert labels.faults == ("l.csv, line 8: label 'perhaps' is not real, fake, 0 or 1",)


def test_labels_from_a_dataset_and_its_index(sample, tmp_path):
    from unmask.datasets import read_index

    labels = read_truth(sample)
    read_index(sample).write(tmp_path / "index.parquet")
    assert read_truth(tmp_path / "index.parquet") == labels
    by_name = {clip.name: clip for clip in labels.clips}
    fakes = [clip for clip in labels.clips if clip.label == "fake"]
    assert all(by_name[f"{clip.name.rpartition('/')[0]}/{clip.source}.mp4"].label == "real" for clip in fakes)
    assert all(clip.traits["part"] in ("0", "1") for clip in labels.clips)


@pytest.mark.parametrize(
    ("names", "known", "found"),
    [
        (["b.mp4", "a.mp4"], ["a.mp4", "b.mp4"], {0: 1, 1: 0}),
        (["/data/set/x/a.mp4", "/data/set/y/a.mp4"], ["y/a.mp4", "x/a.mp4"], {0: 1, 1: 0}),
        (["./x/a.mp4"], ["x/a.mp4"], {0: 0}),
        (["x\\a.mp4"], ["x/a.mp4"], {0: 0}),
        (["a.mp4"], ["x/a.mp4"], {0: 0}),
        (["a.mp4"], ["x/a.mp4", "y/a.mp4"], {}),  # which one?
        (["a.mp4", "x/a.mp4"], ["x/a.mp4", "y/a.mp4"], {1: 0}),
        (["a.mp4", "a.mp4"], ["a.mp4"], {}),  # said twice
        (["x/a.mp4", "y/a.mp4"], ["a.mp4"], {}),
        (["a.mp4"], ["b.mp4"], {}),
        ([], ["a.mp4"], {}),
    ],
)
def test_only_what_is_clear_is_matched(names, known, found):
    assert match(names, known) == found
