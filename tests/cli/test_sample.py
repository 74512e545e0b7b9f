"""``unmask sample``."""

from examples.make_clips import PORTRAIT
from typer.testing import CliRunner

from unmask.cli import app
from unmask.datasets import read_index


def sample(*args):
    return CliRunner().invoke(app, ["sample", *map(str, args)])


def test_it_writes_a_dataset_once(tmp_path):
    out = tmp_path / "sample"
    done = sample(out, PORTRAIT, "--parts", 1, "--seconds", 0.1)
    assert (done.exit_code, done.stdout) == (0, f"{out}: 6 clips in 1 parts\n")
    assert len(read_index(out).clips) == 6
    again = sample(out, PORTRAIT)
    assert (again.exit_code, again.stdout) == (2, "")
    assert "not empty; name another folder" in again.stderr


def test_a_source_that_is_no_image(tmp_path):
    done = sample(tmp_path / "sample", tmp_path / "missing.png")
    assert done.exit_code == 2
    assert "no image that can be read; use PNG or JPEG" in done.stderr
    assert sample(tmp_path / "sample").exit_code == 2
