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
    assert sorted(path.stem for path in EXAMPLES.glob("[0-9]*.py")) == list(PRINTED)


@pytest.mark.parametrize("name", PRINTED)
def test_example_runs(name, tmp_path):
    command = [sys.executable, str(EXAMPLES / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert PRINTED[name] in done.stdout
