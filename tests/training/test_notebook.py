"""The notebook that trains a model does what it says, cell after cell."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_it_trains_a_model_that_scans(tmp_path):
    cells = json.loads((EXAMPLES / "train.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    done = subprocess.run(
        [sys.executable, "-c", code + "\nprint('status', verdict.status)"],
        cwd=EXAMPLES,
        env=os.environ | {"OUT": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "it fits" in lines
    assert [line for line in lines if line.startswith("epoch")][-1].startswith("epoch 2: log loss")
    assert lines[-1] == "status ok"
    assert (tmp_path / "model" / "card.json").is_file()
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code"), "kept without outputs"
