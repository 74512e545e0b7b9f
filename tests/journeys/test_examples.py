"""The numbered examples run as they are printed in the documentation."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PRINTED = {
    "01_scan": "authentic.mp4",
    "02_api": "authentic.mp4",
    "03_explore": "11 clips: {'fake': 6, 'real': 5}",
    "04_prepare": "27 crops in folds.csv",
}


def test_all_are_run():
    numbered = sorted(path.stem for path in EXAMPLES.glob("[0-9]*.py"))
    assert numbered == [*PRINTED, "05_service", "06_gradio"]  # those of the service: tests.web.test_clients


@pytest.fixture
def given(clips, sample, tmp_path):
    """What some examples are given; the others make it themselves."""
    return {"01_scan": clips.values(), "03_explore": (sample, tmp_path / "eda")}


@pytest.mark.parametrize("name", PRINTED)
def test_example_runs(name, given, tmp_path):
    command = [sys.executable, EXAMPLES / f"{name}.py", *given.get(name, ())]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
