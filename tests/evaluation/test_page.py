import re
from dataclasses import replace

from tests.evaluation.samples import made_up
from unmask.evaluation import Labels, Prediction, Truth, evaluate, write_evaluation_page
from unmask.evaluation.page import MEASURES


def test_the_page_is_self_contained_and_inert(tmp_path):
    predictions, truth = made_up()
    evil = "<img src=x onerror=alert(1)>.mp4"
    predictions += [Prediction(evil, 0.5), Prediction("\udcff.mp4", 0.5)]
    clips = (replace(truth.clips[0], traits={"method": "<b>bold</b>"}), *truth.clips[1:])
    about = {"predictions": "<i>p</i>.csv", "labels": "l.csv"}
    report = evaluate(predictions, Labels(clips, ("<u>fault</u>",)), repeats=10, about=about)
    write_evaluation_page(report, tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert not re.search(r"<img|<b>bold|<i>p|<u>fault", page)
    assert "&lt;img src=x onerror=alert(1)&gt;.mp4" in page
    assert "default-src 'none'" in page
    assert not re.search(r"<script|https?://|url\(|<link|src=\"|\son\w+=\"", page)
    assert page.count("<svg") == 4
    assert all(measure.title in page for measure in MEASURES.values())


def test_a_page_of_one_class_has_no_roc(tmp_path):
    report = evaluate([Prediction("a", 0.0)], Labels((Truth("a", "real", "a"),)), repeats=10)
    write_evaluation_page(report, tmp_path / "index.html")
    assert (tmp_path / "index.html").read_text().count("<svg") == 3
