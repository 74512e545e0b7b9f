"""The notebook that trains a model does what it says, cell after cell."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_it_trains_a_model_that_scans(tmp_path, monkeypatch, capsys):
    """In this process, which has all libraries loaded."""
    cells = json.loads((EXAMPLES / "train.ipynb").read_text())["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    monkeypatch.chdir(EXAMPLES)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setenv("OUT", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    names = {"__name__": "__main__"}
    exec(compile(code, "train.ipynb", "exec"), names)
    lines = capsys.readouterr().out.splitlines()
    assert "it fits" in lines
    assert [line for line in lines if line.startswith("epoch")][-1].startswith("epoch 2: log loss")
    assert names["verdict"].status == "ok"
    assert (tmp_path / "model" / "card.json").is_file()
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code"), "kept without outputs"
