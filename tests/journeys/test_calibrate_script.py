"""scripts/calibrate.py degrades, scans, fits and writes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import av

from unmask.models import load_card
from unmask.models.card import bundled_folder

SCRIPT = Path(__file__).parents[2] / "scripts" / "calibrate.py"


def test_a_model_is_calibrated_on_clips_and_degraded_copies(short_clips, tmp_path):
    for label, name in (("real", "authentic"), ("fake", "blended")):
        (tmp_path / label).mkdir()
        for copy in (1, 2):
            shutil.copy(short_clips[name], tmp_path / label / f"{name}{copy}.mp4")
    model = tmp_path / "model"
    shutil.copytree(bundled_folder(), model)
    work = tmp_path / "work"
    folders = ["--authentic", tmp_path / "real", "--fake", tmp_path / "fake", "--work", work]
    command = [sys.executable, SCRIPT, model, *folders, "--degrade", "x265 40", "scale 0.5", "--data", "made up"]
    done = subprocess.run([*command, "--write"], capture_output=True, text=True, check=True)

    fit = json.loads(done.stdout)
    counted = {"authentic": 2, "authentic_degraded": 4, "fake": 2, "fake_degraded": 0, "sources": 4}
    assert fit["clips"] == counted
    assert list(fit["false_alarms_by_degradation"]) == ["as it is", "scale 0.5", "x265 40"]
    card = load_card(model)
    assert card.evaluation["calibration"]["data"] == "made up"
    assert card.thresholds.fake_above == fit["thresholds"]["fake_above"]
    (copy, _) = sorted((work / "real" / "scale-0.5").iterdir())
    with av.open(str(copy)) as small, av.open(str(short_clips["authentic"])) as original:
        assert small.streams.video[0].width * 2 == original.streams.video[0].width

    scores = work / "scores.jsonl"
    before = scores.stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, check=True)  # under the calibration just written
    assert scores.stat().st_mtime_ns == before
    assert json.loads(again.stdout)["clips"] == counted
