"""The numbered examples run as they are printed in the documentation."""

import runpy
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from examples.make_clips import PORTRAIT, make_clips

from unmask.augment.selfblend import self_blend

pytestmark = pytest.mark.usefixtures("searched_once")

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
def given(short_clips, tmp_path):
    """What an example is given; the others make it themselves."""
    return {"01_scan": short_clips.values()}


@pytest.mark.parametrize("name", PRINTED)
def test_example_runs(name, given, sample, tmp_path, monkeypatch, capsys):
    """In this process, which has all libraries and networks loaded, and the dataset that they would write."""

    def copy_sample(folder, sources, blend, parts, seconds):
        assert (sources, blend, parts, seconds) == ([PORTRAIT], self_blend, 2, 1)
        shutil.copytree(sample, folder)

    monkeypatch.setattr("unmask.datasets.synthetic.write_sample", copy_sample)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr("make_clips.make_clips", partial(make_clips, frames=16))  # rather than 75
    path = EXAMPLES / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(path), *map(str, given.get(name, ()))])
    runpy.run_path(str(path), run_name="__main__")
    assert PRINTED[name] in capsys.readouterr().out
