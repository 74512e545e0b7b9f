"""Presets of published systems: what they are, what they need, how their options are replaced."""

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import unmask
from tests.media_factory import on_canvas, write_video
from unmask import ModelError, Scanner, UsageError, open_preset
from unmask.cli.scan import Fuse, Preset
from unmask.models import FUSIONS
from unmask.systems.presets import PRESETS
from unmask.systems.winner.presets import WINNER
from unmask.types import CropSpec, DetectorSpec

pytestmark = pytest.mark.usefixtures("searched_once")


def test_the_command_line_knows_them_all():
    assert sorted(Preset) == sorted(PRESETS)
    assert sorted(Fuse) == sorted(FUSIONS)


def test_the_winners_settings(winner):
    assert WINNER.models == tuple(
        f"winner-b7-{seed}" for seed in ("111-36", "555-19", "777-29", "777-31", "888-37", "888-40", "999-23")
    )
    assert WINNER.crop == CropSpec(
        380, 1 / 3, "box", "cubic", 0, DetectorSpec("mtcnn", 0.5, (0.7, 0.8, 0.8), 20, "bicubic"), "bt601"
    )
    assert (winner.options.frames, winner.options.sampling) == (32, "reference")
    assert winner.cards[0].fusion == FUSIONS["winner"]
    assert len(PRESETS["b5x15"].models) == 15


@pytest.mark.slow
def test_all_faces_count_together(winner, film):
    verdict = winner.scan(film(40, people=2))
    assert len(verdict.frames) == 64
    assert len({frame.index for frame in verdict.frames}) == 32
    assert verdict.fake_probability == pytest.approx(np.mean([frame.fake_probability for frame in verdict.frames]))
    assert verdict.reasons[0].startswith("All 64 faces together")


def test_the_tag_of_colours_is_not_heeded(winner, exact, portrait, tmp_path):
    """As OpenCV decoded when the winner trained: his score does not depend on the tag; the bundled model's does."""
    pictures = [on_canvas(portrait, (320, 320), (20, 20), 280)] * 2
    for name, matrix in (("untagged", None), ("bt709", 1)):
        write_video(tmp_path / f"{name}.mp4", pictures, rate=10, matrix=matrix)
    for scanner in (winner, exact):
        assert scanner.colours == "bt601"
        untagged, tagged = (scanner.scan(tmp_path / f"{name}.mp4").frames for name in ("untagged", "bt709"))
        assert untagged
        assert untagged == tagged
    bundled = Scanner(precision="fp32", frames=2)
    untagged, tagged = (bundled.scan(tmp_path / f"{name}.mp4").frames for name in ("untagged", "bt709"))
    assert [frame.fake_probability for frame in untagged] != [frame.fake_probability for frame in tagged]


def test_models_of_other_colours_do_not_share_a_scan(weights, tmp_path):
    other = shutil.copytree(weights, tmp_path / "other")
    card = json.loads((other / "card.json").read_text())
    card["crop"]["colours"] = "tagged"
    (other / "card.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match="different colours, bt601 and tagged"):
        Scanner([weights, other])
    with pytest.raises(UsageError, match=r"colours is 'tagged' and must be 'bt601'.*import its checkpoint again"):
        open_preset("winner", other)


def test_missing_models_are_all_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"winner-b7-111-36, .*winner-b7-999-23; .*unmask models pull winner.*--model"):
        open_preset("winner")
    with pytest.raises(ModelError, match=r"winner-b5-01, .*winner-b5-15; .*recipes/b5.toml"):
        open_preset("b5x15")


def test_models_must_see_what_the_preset_makes():
    with pytest.raises(UsageError, match=r"margin is 0.0 and must be .*detection is"):
        open_preset("winner", "bundled")
    with pytest.raises(UsageError, match="winner-exact"):
        open_preset("loser")


def test_options_have_precedence(weights):
    scanner = open_preset("winner", weights, frames=8, fuse="max")
    assert (scanner.options.frames, scanner.cards[0].fusion) == (8, FUSIONS["max"])
    with pytest.raises(UsageError, match="deepware"):
        Scanner(weights, fuse="guess")


def names_in(file):
    """Yield all names and texts of a module's code, without its docstrings."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_nothing_that_a_scan_uses_knows_a_published_system():
    package = Path(unmask.__file__).parent
    for folder in ("media", "faces", "models", "scan", "report"):
        for file in (package / folder).rglob("*.py"):
            found = [name for name in names_in(file) if "winner" in name.lower() or "robustforensics" in name.lower()]
            assert not found, file


def test_each_system_says_what_it_is_what_it_needs_and_what_it_gave():
    for readme in (Path(unmask.__file__).parent / "systems").glob("*/README.md"):
        assert {"## What it is", "## What it needs", "## What it gave"} <= set(readme.read_text().splitlines())
    assert len(list((Path(unmask.__file__).parent / "systems").glob("*/README.md"))) == 3
