import csv
import re
import shutil
import subprocess

import pytest

from tests.evaluation.samples import faces, made_up
from unmask import metrics
from unmask.bench import measure
from unmask.bench.measure import largest_faces
from unmask.bench.outputs import write_outputs
from unmask.bench.published import beside, field_name, published_numbers
from unmask.bench.tables import LONG_COLUMNS, Table, latex, long_rows, markdown, result_tables
from unmask.evaluation import Labels, PredictedFace, Prediction, Truth


def results(**changes):
    """One model on two datasets, of which the field knows one."""
    predictions, labels = made_up(12)
    spoken = [
        Prediction(
            p.name, p.fake_probability, "fake" if p.fake_probability > 0.6 else "inconclusive", faces([0.1, 0.9])
        )
        for p in predictions
    ]
    return [
        measure("ours", name, spoken, labels, {"split": {"clips": 36}, "data": name}, repeats=20, **changes)
        for name in ("Celeb-DF-v2", "mine")
    ]


def test_the_numbers_are_those_of_the_metrics():
    predictions, labels = made_up(12)
    (first, _) = results()
    fake = [clip.label == "fake" for clip in labels.clips]
    scores = [p.fake_probability for p in predictions]
    assert first.score("video", "auc").value == metrics.roc_auc(fake, scores)
    assert first.score("video", "tpr_at_fpr_0.05").value == metrics.tpr_at_fpr(fake, scores, 0.05)
    assert first.score("video", "auc").low < first.score("video", "auc").value < first.score("video", "auc").high
    called = [score > 0.6 for score in scores]
    assert first.decided.value == pytest.approx(sum(called) / len(called))
    right = [label for label, said in zip(fake, called, strict=True) if said]
    assert first.accuracy_of_decided.value == pytest.approx(sum(right) / len(right))


def test_the_frame_level_judges_the_largest_face_of_each_frame():
    small, large = PredictedFace(1, 3, 50.0, 0.9), PredictedFace(2, 3, 80.0, 0.2)
    assert largest_faces([small, large, PredictedFace(1, 4, 50.0, 0.8)]) == (large, PredictedFace(1, 4, 50.0, 0.8))


def test_hashes_tell_protocols_and_answers_apart():
    (one, other), (again, _), (another_seed, _) = results(), results(), results(seed=1)
    assert one.protocol_hash == again.protocol_hash != other.protocol_hash
    assert one.predictions_hash == other.predictions_hash  # the same answers
    assert another_seed.evaluation.seed == 1
    predictions, labels = made_up(12)
    changed = [Prediction(predictions[0].name, 0.123456), *predictions[1:]]
    assert measure("m", "d", changed, labels, {}, repeats=5).predictions_hash != one.predictions_hash


def test_a_dataset_without_an_answer_is_a_row_of_dashes():
    labels = Labels((Truth("a.mp4", "fake", "a"), Truth("b.mp4", "real", "b")))
    nothing = measure("m", "d", [Prediction("a.mp4", None), Prediction("b.mp4", None)], labels, {}, repeats=5)
    assert nothing.evaluation is None
    (table,) = result_tables([nothing])
    assert table.rows[0][2:6] == ("0", "0", "0 of 0", "-")
    assert list(long_rows([nothing])) == []


def test_one_class_alone_has_no_auc_but_a_share_of_decided():
    labels = Labels((Truth("a.mp4", "real", "a"), Truth("b.mp4", "real", "b")))
    found = measure(
        "m", "d", [Prediction("a.mp4", 0.2, "real"), Prediction("b.mp4", 0.9, "fake")], labels, {}, repeats=5
    )
    assert found.score("video", "auc").value is None
    assert (found.decided.value, found.accuracy_of_decided.value) == (1.0, 0.5)


def test_the_tables_of_the_field():
    tables = {table.title: table for table in result_tables(results())}
    across = tables["AUC of clips across datasets"]
    assert across.header == ("Method", "Celeb-DF-v2", "mine", "Mean", "Source")
    assert re.fullmatch(r"\.\d{3} \[\.\d{3}, (1\.000|\.\d{3})\]", across.rows[0][1])
    (sbi,) = [row for row in across.rows if row[0].startswith("SBI")]
    assert sbi[0] == "SBI (EfficientNet-B4) (published)"
    assert sbi[1:4] == (".938", "-", "-")  # no mean of other datasets
    assert "arXiv 2204.08376" in sbi[4]
    assert "AUC of frames across datasets" in tables
    kinds = tables["AUC of clips by kind of fake, mine"]
    assert [row[:2] for row in kinds.rows] == [("Deepfakes", "12"), ("FaceSwap", "12")]
    everything = tables["All measures"]
    assert everything.rows[0][4] == "36 of 36"
    assert all(len(row) == len(table.header) for table in tables.values() for row in table.rows)


def test_every_published_number_has_its_source():
    facts = published_numbers()
    assert len({(fact.method, fact.dataset, fact.level) for fact in facts}) == len(facts)
    for fact in facts:
        assert 0.5 < fact.auc < 1
        assert re.search(r"github\.com/\S+ at [0-9a-f]{7}", fact.source), fact
        assert field_name(fact.dataset) == fact.dataset
    assert field_name("celeb df V2") == "CDFv2"
    assert field_name("my clips") is None
    assert beside(["my clips"], "video") == {}
    assert beside(["DFDC"], "frame")["Xception"]["DFDC"].auc == 0.7077


def test_all_forms_hold_the_same_numbers(tmp_path):
    tables = write_outputs(results(), tmp_path)
    names = {"bench.md", "bench.tex", "bench.csv", "bench.json", "index.html"}
    assert {path.name for path in tmp_path.iterdir()} == names
    cell = tables[0].rows[0][1]
    for name in ("bench.md", "bench.tex", "index.html"):
        assert cell in (tmp_path / name).read_text()
    rows = list(csv.DictReader((tmp_path / "bench.csv").read_text().splitlines()))
    assert tuple(rows[0]) == LONG_COLUMNS
    (auc,) = [
        r
        for r in rows
        if r["measure"] == "auc" and r["level"] == "video" and r["dataset"] == "mine" and not r["method"]
    ]
    assert f"{float(auc['value']):.3f}".removeprefix("0") in tables[0].rows[0][2]
    assert len(auc["protocol"]) == 16


def test_signs_are_escaped():
    table = Table("50 % & more", ("Me_thod", "a|b"), (("x#1", "\\"),))
    text = latex([table])
    assert r"50 \% \& more" in text
    assert r"Me\_thod & a|b \\" in text
    assert r"x\#1 & \textbackslash{} \\" in text
    assert "| Me_thod | a\\|b |" in markdown([table])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_takes_the_tables(tmp_path):
    body = latex(result_tables(results()))
    (tmp_path / "t.tex").write_text(
        f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}{body}\\end{{document}}"
    )
    done = subprocess.run(["pdflatex", "-interaction=batchmode", "t.tex"], cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0
