import csv
import json
import shutil

import pytest
from typer.testing import CliRunner

from tests.evaluation.samples import made_up
from unmask.cli import app
from unmask.models import load_card
from unmask.models.card import bundled_folder
from unmask.report import write_csv

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture
def tables(tmp_path):
    """A table of predictions and one of labels."""
    predictions, truth = made_up(20)
    write_csv([(item.name, item.fake_probability) for item in predictions], tmp_path / "p.csv")
    with (tmp_path / "l.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("filename", "label", "original", "method"))
        for clip in truth.clips:
            table.writerow((clip.name, clip.label, clip.source if clip.label == "fake" else "", clip.traits["method"]))
    return tmp_path / "p.csv", tmp_path / "l.csv"


def test_a_table_against_labels(tables, tmp_path):
    predictions, labels = tables
    done = unmask("evaluate", predictions, "--labels", labels, "--out", tmp_path / "out", "--bootstrap", 20)
    assert done.exit_code == 0
    assert done.stdout.startswith("20 real and 40 fake clips of 20 sources\nLog loss ")
    assert "\nAUC " in done.stdout
    assert "\nmethod FaceSwap: 20 real, 20 fake, AUC 0." in done.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evaluation.json", "index.html"]
    numbers = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert f"{numbers['answered']['scores']['auc']['value']:.4f}" in done.stdout
    assert numbers["about"] == {"predictions": str(predictions), "labels": str(labels)}


def test_json_to_stdout_and_to_a_file(tables, tmp_path):
    predictions, labels = tables
    args = ["evaluate", predictions, "--labels", labels, "--bootstrap", 5, "-q", "--json"]
    done = unmask(*args, "-")
    assert not done.stderr
    unmask(*args, tmp_path / "e.json")
    assert json.loads(done.stdout) == json.loads((tmp_path / "e.json").read_text())


def test_rows_without_a_partner_or_a_number_are_told(tables):
    predictions, labels = tables
    lines = predictions.read_text().splitlines()
    predictions.write_text("\n".join([lines[0], "stranger.mp4,0.5", lines[1].split(",")[0] + ",", *lines[3:]]) + "\n")
    done = unmask("evaluate", predictions, "--labels", labels, "--bootstrap", 5)
    assert done.exit_code == 3
    assert "1 predictions have no probability, e.g. original/000.mp4" in done.stderr
    assert "1 predictions match no labelled clip, e.g. stranger.mp4" in done.stderr
    assert "1 labelled clips have no prediction, e.g. Deepfakes/000.mp4" in done.stderr
    assert "with 0.5 for no answer" in done.stdout


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["{p}"], "name PREDICTIONS and --labels, --labels alone, or --model and --data"),
        (["{p}", "--labels", "{l}", "--model", "bundled"], "name PREDICTIONS and --labels"),
        (["--model", "bundled"], "name PREDICTIONS and --labels"),
        (["{l}", "--labels", "{p}"], "is no fake probability"),
        (["{p}", "--labels", "missing.csv"], "cannot read"),
        (["{p}", "--labels", "{l}", "--calibrate", "bundled"], "no frame scores"),
        (["{p}", "--labels", "{l}", "--calibrate", "nobody"], "no model at"),
        (["{p}", "--labels", "{l}", "--out", "{p}"], "is an input"),
    ],
)
def test_wrong_use_is_code_2_and_a_sentence(tables, args, words):
    named = {"{p}": tables[0], "{l}": tables[1]}
    done = unmask("evaluate", *(named.get(arg, arg) for arg in args), "--bootstrap", 5)
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, short_clips):
    """Two copies of an authentic clip and of a fake one, and a broken clip."""
    folder = tmp_path_factory.mktemp("dataset")
    for label, name in (("real", "authentic"), ("fake", "blended")):
        (folder / label).mkdir()
        for copy in (1, 2):
            shutil.copy(short_clips[name], folder / label / f"{name}{copy}.mp4")
    (folder / "real" / "broken.mp4").write_bytes(b"no media file")
    return folder


def test_a_model_on_a_dataset(dataset, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(bundled_folder(), model)
    done = unmask(
        "evaluate", "--model", model, "--data", dataset, "--bootstrap", 20, "--calibrate", model, "--false-alarms", 0.1
    )
    assert done.exit_code == 3
    assert "2 real and 2 fake clips" in done.stdout
    assert "frames " in done.stdout
    assert "1 predictions have no probability, e.g. real/broken.mp4" in done.stderr
    assert "wrote temperature" in done.stderr
    card = load_card(model)
    assert card.calibration != load_card(bundled_folder()).calibration
    assert card.evaluation["calibration"]["seed"] == 0
    assert card.evaluation["calibration"]["false_alarms"] == 0.1
    assert "wrote thresholds for 10.0% false alarms" in done.stderr


def test_labels_alone_tell_whether_the_shipped_thresholds_hold(dataset, tmp_path):
    table = dataset / "mine.csv"
    names = ("real/authentic1.mp4", "real/authentic2.mp4", "fake/blended1.mp4")
    rows = [f"{name},{name[:4]}" for name in names]
    table.write_text("filename,label\n" + "\n".join(rows) + "\n")
    done = unmask("evaluate", "--labels", table, "--bootstrap", 5, "--out", tmp_path / "out")
    table.unlink()
    assert done.exit_code == 0, done.output
    assert "thresholds of bundled 3 (real up to 0.248, fake from 0.893): too few clips to tell" in done.stdout
    assert (
        "authentic clips called fake: 0 of 2, 0.0% to 65.8% of such sources, allowed 5.0%, 1.3% by the card"
        in done.stdout
    )
    assert "no 'fake from' can be offered for 5.0% errors: that takes 19 authentic sources, here are 2" in done.stdout
    assert "px, compression " in done.stdout
    numbers = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert numbers["drift"]["checks"][0]["answer"] == "cannot be told"
    assert numbers["drift"]["offered"]["fake_above"]["needed"] == 19
    assert numbers["quality"][0]["level"]["reals"] == 2
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Do the thresholds hold here?" in page
    assert "By size of the face and compression" in page


def face(index, p):
    return {"person": 1, "index": index, "xyxy_px": [0, 0, 100, 100], "fake_probability": p}


def test_a_calibration_that_makes_it_worse_is_not_written(tmp_path):
    model = tmp_path / "model"
    shutil.copytree(bundled_folder(), model)
    facts = {
        "label": "inconclusive",
        "models": [{"sha256": load_card(model).files["model.onnx"].sha256}],
        "settings": {"calibration": [{"temperature": 1, "offset": 0}]},
    }
    scores = {"real1": 0.1, "real2": 0.9, "fake1": 0.9, "fake2": 0.1}  # what fits one half misleads the other
    rows = [
        {"path": name, "fake_probability": p, "frames": [face(i, p) for i in range(6)]} | facts
        for name, p in scores.items()
    ]
    (tmp_path / "o.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "l.csv").write_text("filename,label\n" + "".join(f"{name},{name[:4]}\n" for name in scores))
    args = ["--labels", tmp_path / "l.csv", "--bootstrap", 5, "--calibrate", model, "--out", tmp_path / "out"]
    done = unmask("evaluate", tmp_path / "o.jsonl", *args)
    assert done.exit_code == 3
    kept = load_card(bundled_folder()).calibration
    assert f"keeps temperature {kept.temperature:g} and offset {kept.offset:g}, since a fit takes" in done.stderr
    assert load_card(model).calibration == kept
    assert "the card keeps temperature" in (tmp_path / "out" / "index.html").read_text()


def test_a_model_that_is_not_there_is_named(dataset):
    done = unmask("evaluate", "--model", "nobody", "--data", dataset)
    assert done.exit_code == 2
    assert "no model at" in done.stderr


def test_a_scan_and_a_model_measure_the_same(dataset, tmp_path):
    assert unmask("scan", dataset, "-r", "--json", tmp_path / "o.jsonl", "-q").exit_code == 3
    common = ["--bootstrap", 20, "-q", "--json"]
    unmask("evaluate", tmp_path / "o.jsonl", "--labels", dataset, *common, tmp_path / "scan.json")
    unmask("evaluate", "--model", "bundled", "--data", dataset, *common, tmp_path / "model.json")
    scan, model = (json.loads((tmp_path / name).read_text()) for name in ("scan.json", "model.json"))
    assert scan["answered"] == model["answered"]
    assert scan["frames"] == model["frames"]
    assert scan["frames"]["reals"] > 2
