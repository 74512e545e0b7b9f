"""scripts/calibrate_quality.py copies, cuts, scores, fits and writes; what it kept is not made again."""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import sys
from pathlib import Path

import cv2
import pytest

from unmask.augment.copies import COPIES
from unmask.evaluation import excerpts, quality_fit
from unmask.models import load_card
from unmask.models.card import bundled_folder

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate_quality.py"


@pytest.fixture
def script(monkeypatch):
    """The script as a module, with two kinds of copies, cells of five, and a short fit."""
    few = {name: COPIES[name] for name in ("as it is", "crf 32")}
    monkeypatch.setattr(excerpts, "COPIES", few)
    monkeypatch.setattr(quality_fit, "COPIES", few)
    monkeypatch.setattr(quality_fit, "_MIN_CELL", 5)
    monkeypatch.setattr(quality_fit, "_STEPS", 20)
    spec = importlib.util.spec_from_file_location("calibrate_quality", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "calibrate_quality", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sources(tmp_path, portrait, blended) -> Path:
    """Five authentic and five blended images of different sizes, and one without a face."""
    rows = []
    for label, image_HW3 in (("real", portrait), ("fake", blended)):
        cv2.imwrite(str(tmp_path / f"{label}.png"), image_HW3[:, :, ::-1])
        rows += [(f"{tmp_path}/{label}.png", label, f"s{scale}", "made", scale) for scale in (0.4, 0.5, 0.6, 0.7, 0.8)]
    cv2.imwrite(str(tmp_path / "wall.png"), portrait[:40, :40, ::-1])
    with (tmp_path / "sources.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "source", "method", "scale"))
        table.writerows([*rows, (f"{tmp_path}/wall.png", "real", "wall", "made", 1)])
    return tmp_path / "sources.csv"


def test_a_model_is_calibrated_on_copies_and_what_was_kept_is_used(script, sources, tmp_path, monkeypatch, capsys):
    model, work = tmp_path / "model", tmp_path / "work"
    shutil.copytree(bundled_folder(), model)
    command = ["calibrate_quality.py", str(model), "--sources", str(sources), "--work", str(work), "--data", "made up"]

    def run(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", [*command, *more])
        script.main()
        return capsys.readouterr().out

    printed = run("--write")
    (scores,) = work.glob("scores-*")
    fit = json.loads((scores / "fit.json").read_text())
    assert sum(cell["authentic"] for cell in fit["cells"]) == 2 * 5
    assert fit["chosen_by"]["fake_above"] in printed
    assert "5 authentic and 5 fake sources" in printed
    card = load_card(model)
    assert card.evaluation["quality"]["data"] == "made up"
    assert card.thresholds.fake_above == fit["thresholds"]["fake_above"]

    def refuse(*_: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr(script, "excerpt", refuse)
    monkeypatch.setattr(script, "cut_copies", refuse)
    shutil.rmtree(scores)  # another model has none
    assert run() == printed
