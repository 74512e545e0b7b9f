import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from unmask.bench import BenchDataset, named_path, open_dataset
from unmask.bench.compare import open_entrants
from unmask.bench.deepsafe import is_matrix
from unmask.bench.store import Predictions
from unmask.cli import app
from unmask.errors import UsageError
from unmask.evaluation import Truth
from unmask.models.card import bundled_folder


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory, short_clips):
    """An authentic clip, a fake of it, and a file that is no media."""
    folder = tmp_path_factory.mktemp("bench") / "mine"
    for label, name in (("real", "authentic"), ("fake", "blended")):
        (folder / label).mkdir(parents=True)
        shutil.copy(short_clips[name], folder / label / f"{name}.mp4")
    (folder / "real" / "broken.mp4").write_bytes(b"no media file")
    return folder


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Two models that are not bundled: as they are imported, folders with other names and cards."""
    home = tmp_path_factory.mktemp("models")
    for name, size in (("one", 224), ("other", 224)):
        shutil.copytree(bundled_folder(), home / name)
        card = json.loads((home / name / "card.json").read_text())
        card |= {"name": name, "calibration": {}, "crop": card["crop"] | {"margin": 0.1, "size_px": size}}
        (home / name / "card.json").write_text(json.dumps(card))
    return home / "one", home / "other"


def test_one_command_gives_the_table_and_goes_on(dataset, foreign, tmp_path):
    args = ("--on", dataset, "--out", tmp_path / "b", "--frames", 4, "--bootstrap", 10)
    done = unmask("bench", "bundled", foreign[0], *args)
    assert done.exit_code == 3, done.output  # broken.mp4
    assert "has no number for clips of mine: 1 unsupported" in done.stderr or "1 unreadable" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "b" / "predictions.jsonl").read_text().splitlines()]
    assert sorted((row["model"], row["clip"]) for row in rows) == [
        (model, clip)
        for model in ("bundled", "one")
        for clip in ("fake/blended.mp4", "real/authentic.mp4", "real/broken.mp4")
    ]
    again = unmask("bench", "bundled", foreign[0], foreign[1], *args)
    assert "| other |" in again.stdout
    assert again.stdout.startswith("## AUC of clips across datasets\n")
    more = [json.loads(line) for line in (tmp_path / "b" / "predictions.jsonl").read_text().splitlines()]
    assert more[: len(rows)] == rows
    assert {row["model"] for row in more[len(rows) :]} == {"other"}  # nothing was scanned twice
    facts = json.loads((tmp_path / "b" / "bench.json").read_text())
    before = {line.split(" | ")[0]: line for line in done.stdout.splitlines() if line.startswith("| bundled | mine")}
    assert all(line in again.stdout for line in before.values())  # numbers and hashes are the same
    protocol = facts["results"][0]["protocol"]
    assert (protocol["settings"]["frames"], protocol["settings"]["max_frames"]) == (4, 4)
    assert protocol["settings"]["crops"][0]["detection"]["detector"] == "mtcnn"
    assert protocol["split"]["clips"] == 3
    assert len(protocol["split"]["sha256"]) == len(protocol["models"][0]["sha256"]) == 64
    assert is_matrix(tmp_path / "b" / "deepsafe" / "mine.csv.gz")
    theirs = unmask(
        "bench", "--on", tmp_path / "b" / "deepsafe" / "mine.csv.gz", "--out", tmp_path / "c", "--bootstrap", 5
    )
    assert theirs.exit_code == 0
    assert "deepsafe video" in theirs.stdout


def test_the_metamorphic_suite_and_a_cell_on_real_scans(dataset, tmp_path):
    """The bundled model: what leaves the packets alone leaves the number, the rest moves it little."""
    args = ("--metamorphic", "--cell", "h264 1", "--frames", 6, "--bootstrap", 5)
    done = unmask("bench", "--on", dataset, "--out", tmp_path / "b", *args)
    assert done.exit_code == 3, done.output  # broken.mp4 has no number
    facts = json.loads((tmp_path / "b" / "bench.json").read_text())
    relations = {result["relation"]: result for result in facts["metamorphic"]}
    assert {name: result["broken"] for name, result in relations.items() if result["broken"]} == {}, relations
    assert all(result["tried"] == 2 for result in relations.values())
    assert [relations[name]["worst"] for name in ("renamed", "other container", "moved moov", "added sound")] == [0] * 4
    (cell,) = facts["robustness"]
    assert (cell["cell"], cell["answered"], cell["lost"], cell["drop"]["value"]) == ("h264 1", 2, 0, 0)
    assert "## Relations that must hold" in done.stdout
    assert "## Robustness of bundled on mine" in done.stdout


def test_failures_of_unmask_are_scanned_again(tmp_path):
    row = {
        "path": "a",
        "sha256": None,
        "label": None,
        "fake_probability": None,
        "reasons": [],
        "frames": [],
        "models": [],
    }
    row |= {"settings": {}, "elapsed_seconds": 1.0}
    with Predictions(tmp_path / "p.jsonl") as kept:
        for status in ("crashed", "no_face"):
            kept.add(f"key {status}", "m", "d", "c", "as it is", row | {"status": status})
    with Predictions(tmp_path / "p.jsonl") as kept:
        assert "key crashed" not in kept
        assert kept.row("key no_face")["clip"] == "c"
        with pytest.raises(KeyError):
            kept.row("key crashed")


def test_the_choice_of_clips_has_a_hash(dataset):
    whole = open_dataset("mine", dataset)
    assert [clip.truth.name for clip in whole.clips] == ["fake/blended.mp4", "real/authentic.mp4", "real/broken.mp4"]
    assert open_dataset("called otherwise", dataset).sha256 == whole.sha256
    fewer = open_dataset("mine", dataset, clips=1)
    assert [clip.truth.label for clip in fewer.clips] == ["fake", "real"]
    assert fewer.sha256 != whole.sha256
    other = BenchDataset(
        "mine", (*whole.clips[:2], whole.clips[2].__class__(Path("x"), Truth("x", "real", "x"), None)), "all"
    )
    assert other.sha256 != whole.sha256


def test_splits_that_a_dataset_names_are_heeded(dataset, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text(
        f"path,label,split\n{dataset}/real/authentic.mp4,real,train\n{dataset}/fake/blended.mp4,fake,test\n"
    )
    test, everything = open_dataset("d", table), open_dataset("d", table, split="all")
    assert ([clip.truth.label for clip in test.clips], test.split) == (["fake"], "test")
    assert (len(everything.clips), everything.split) == (2, "all")
    table.write_text(table.read_text().replace(",fake,test", ",fake,train"))
    assert open_dataset("d", table).split == "all"
    with pytest.raises(UsageError, match="no labelled clip of the split val"):
        open_dataset("d", table, split="val")


def test_names_of_datasets(dataset, tmp_path):
    assert named_path(f"Celeb-DF={dataset}") == ("Celeb-DF", dataset)
    assert named_path(str(dataset)) == ("mine", dataset)
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert named_path(str(odd)) == ("a=b", odd)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "name a dataset with --on, and with --out the folder"),
        (("--on", "{d}"), "name a dataset with --on, and with --out the folder"),
        (("--on", "{d}", "--on", "{d}", "--out", "{o}"), "two datasets are called 'mine'"),
        (("--on", "{d}", "--out", "{d}"), "is an input"),
        (("--on", "{d}", "--out", "{n}"), "holds"),
        (("nobody", "--on", "{d}", "--out", "{o}"), "no model at 'nobody'"),
        (("bundled", "bundled", "--on", "{d}", "--out", "{o}"), "two models are called 'bundled'"),
        (("--on", "missing", "--out", "{o}"), "does not exist"),
        (("--on", "{d}", "--out", "{o}", "--cell", "fog"), "unknown cell 'fog'; use one of saturation"),
    ],
)
def test_wrong_use_is_told_before_any_scan(dataset, tmp_path, args, words):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "bench.json").write_text("mine")
    places = {"{d}": dataset, "{o}": tmp_path / "o", "{n}": tmp_path / "notes"}
    done = unmask("bench", *(places.get(arg, arg) for arg in args))
    assert (done.exit_code, done.stdout) == (2, "")
    assert words in done.stderr
    assert not (tmp_path / "o").exists()


def test_an_ensemble_is_one_entrant(foreign):
    (entrant,) = open_entrants([f"bundled+{foreign[0]}"], 4)
    assert entrant.name == "bundled+one"
    assert len(entrant.scanner.models) == 2
