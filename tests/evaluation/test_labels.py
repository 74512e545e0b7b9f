import json

import pytest

from unmask.errors import UsageError
from unmask.evaluation import evaluate, match, read_predictions, read_truth


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
    assert labels.faults == ("l.csv, line 8: label 'perhaps' is neither real nor fake",)


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


def auc(tmp_path, labels, predictions="filename,label\na.mp4,0.1\nb.mp4,0.9\nc.mp4,0.8\nd.mp4,0.2\n"):
    (tmp_path / "l.csv").write_text(labels)
    (tmp_path / "p.csv").write_text(predictions)
    truth = read_truth(tmp_path / "l.csv")
    return evaluate(read_predictions(tmp_path / "p.csv"), truth, repeats=1), truth


LABELS = "filename,label\na.mp4,0\nb.mp4,0\nc.mp4,1\nd.mp4,1\n"


@pytest.mark.parametrize("repeat", ["b.mp4,0", "b.mp4,real", "./b.mp4,0", "b.mp4,0\nb.mp4,0\nc.mp4,1", "b.mp4,"])
def test_labels_that_repeat_drop_no_clip_and_change_no_number(tmp_path, repeat):
    """b.mp4 is authentic and scores 0.9: without it every measure would be better."""
    once, _ = auc(tmp_path, LABELS)
    twice, truth = auc(tmp_path, f"{LABELS}{repeat}\n")
    assert (once.answered.reals, once.answered.fakes, once.answered.scores["auc"].value) == (2, 2, 0.5)
    assert (twice.answered, twice.missing) == (once.answered, once.missing)
    assert "'b.mp4' is listed" in truth.faults[0]


def test_labels_that_contradict_each_other_are_refused_by_name(tmp_path):
    for repeat in ("b.mp4,1", "./b.mp4,fake"):
        with pytest.raises(UsageError, match=r"labels 'b\.mp4' both fake and real \(line 3, line 6\)"):
            auc(tmp_path, f"{LABELS}{repeat}\n")


def test_predictions_that_repeat(tmp_path):
    rows = "filename,label\na.mp4,0.1\nb.mp4,0.9\nc.mp4,0.8\nd.mp4,0.2\nb.mp4,0.9\n"
    found, _ = auc(tmp_path, LABELS, rows)
    assert found.answered.reals == 2
    assert not found.missing
    assert any("1 predictions are listed more than once" in note for note in found.notes)
    with pytest.raises(UsageError, match=r"'b\.mp4' is predicted more than once, as 0\.9 and as 0\.3"):
        auc(tmp_path, LABELS, rows + "b.mp4,0.3\n")


@pytest.mark.parametrize("strip", ["labels", "predictions"])
def test_ids_without_suffix(tmp_path, strip):
    labels, rows = LABELS, "path,label\n/x/a.mp4,0.1\n/x/b.mp4,0.9\n/x/c.mp4,0.8\n/x/d.mp4,0.2\n"
    if strip == "labels":
        labels = labels.replace(".mp4", "").replace("filename", "id")
    else:
        rows = rows.replace(".mp4", "")
    found, _ = auc(tmp_path, labels, rows)
    assert (found.answered.reals, found.answered.fakes, bool(found.missing)) == (2, 2, False)


def test_an_id_that_two_files_share_is_not_guessed():
    assert match(["a"], ["a.mp4", "a.avi"]) == {}
    assert match(["a.mp4", "a"], ["a.mp4", "a.avi"]) == {0: 0}
    assert match(["a.mov"], ["a.mp4"]) == {}
    assert match(["2024.06.01"], ["2024.06.01.mp4"]) == {0: 0}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("words", [("False", "True"), ("original", "deepfake"), ("genuine", "manipulated")])
def test_labels_of_other_programs(tmp_path, encoding, separator, words):
    text = LABELS.replace(",0", f",{words[0]}").replace(",1", f",{words[1]}").replace(",", separator)
    (tmp_path / "l.csv").write_bytes(text.encode(encoding))
    assert [clip.label for clip in read_truth(tmp_path / "l.csv").clips] == ["real", "real", "fake", "fake"]


def test_labels_in_json(tmp_path):
    for text in ('[{"id": "a", "label": 0}, {"id": "b", "label": "FAKE"}]', '{"a": "REAL", "b": "FAKE"}'):
        (tmp_path / "l.json").write_text(text)
        assert [clip.label for clip in read_truth(tmp_path / "l.json").clips] == ["real", "fake"]


def test_what_is_no_table_of_labels_is_told_for_what_it_is(tmp_path, scanner, short_clips):
    row = json.dumps(scanner.scan(short_clips["authentic"]).to_dict())
    for text, words in (
        (row, "holds verdicts of unmask, not labels"),
        ("filename,label\na.mp4,0.7\n", "labels no clip: "),
    ):
        (tmp_path / "l").write_text(text)
        with pytest.raises(UsageError, match=words):
            read_truth(tmp_path / "l")
