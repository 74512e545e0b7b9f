import shutil

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from tests.training.conftest import SMALLEST, TINY
from unmask import Scanner
from unmask.cli import app
from unmask.errors import ModelError
from unmask.models import verify_folder
from unmask.training.export import export_run
from unmask.training.loop import Trainer
from unmask.training.recipe import load_recipe


@pytest.fixture(scope="module")
def run(prepared_often, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    list(Trainer(load_recipe(TINY, SMALLEST), prepared_often, out).run())
    return out


def test_a_trained_model_can_scan(run, clips, tmp_path):
    args = ["models", "export", str(run), "--out", str(tmp_path / "model"), "--licence", "research only"]
    done = CliRunner().invoke(app, args)
    assert done.exit_code == 0, done.output
    card = verify_folder(tmp_path / "model")
    assert (card.name, card.licence, card.crop.size_px) == ("tiny", "research only", 48)
    assert card.training["recipe"]["batch_size"] == 4
    verdict = Scanner(tmp_path / "model", frames=8).scan(clips["authentic"])
    assert verdict.status == "ok"
    assert verdict.models[0]["name"] == "tiny"


def test_a_damaged_checkpoint_is_refused(run, tmp_path):
    run = shutil.copytree(run, tmp_path / "run")
    path = run / "last" / "average.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModelError, match="damaged"):
        export_run(run, tmp_path / "model", checkpoint="last", licence="x")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ModelError, match="no checkpoint"):
        export_run(run, tmp_path / "model", checkpoint="epoch_099", licence="x")
    assert export_run(run, tmp_path / "model", checkpoint="epoch_002", licence="x").files
