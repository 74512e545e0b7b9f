"""A face embedder is trained from folders of pictures, and what comes out tells people of a scan apart."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from examples.make_clips import PORTRAIT
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from unmask import UsageError  # noqa: E402
from unmask.cli import app  # noqa: E402
from unmask.datasets.synthetic import read_portrait  # noqa: E402
from unmask.models import Embedder  # noqa: E402
from unmask.training.embedder import (  # noqa: E402
    Faces,
    draw_batch,
    load_embedder_recipe,
    read_people,
    train_embedder,
)
from unmask.training.recipe import recipe_kind  # noqa: E402

RECIPE = Path(__file__).parents[2] / "recipes" / "embedder.toml"
TINY = {
    "encoder": "test_efficientnet", "length": 16, "size_px": 48, "steps": 16, "people_a_step": 4, "pictures_of_one": 3,
    "validate_every": 8, "learning_rate": 0.003,
}  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Five people who differ in the colour of their skin, with three pictures each; one with nobody, and a note."""
    folder, portrait = tmp_path_factory.mktemp("people"), read_portrait(PORTRAIT)[0:330, 60:390]
    for number in range(5):
        (folder / f"person{number}").mkdir()
        hsv = cv2.cvtColor(portrait, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + 36 * number) % 180
        tinted = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        for i in range(3):
            cv2.imwrite(str(folder / f"person{number}" / f"{i}.png"), np.roll(tinted, 9 * i, 1))
    cv2.imwrite(str(folder / "person0" / "nobody.png"), np.full((100, 100, 3), 90, np.uint8))
    (folder / "person0" / "note.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def faces(people):
    return read_people(people, 48, "arcface")


def test_a_run_gives_an_embedder_and_goes_on_where_it_stopped(people, faces, tmp_path, monkeypatch):
    changes = [part for key, value in TINY.items() for part in ("--set", f"{key}={json.dumps(value)}")]
    run = tmp_path / "run"
    arguments = ["train", "embedder", "--data", str(people), "--out", str(run), "--device", "cpu", *changes]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert done.stdout.count("equal error rate") == 2
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in log if event["loss"] is not None]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert log[-1]["equal_error_rate"] <= 0.1, "people who were held out differ as plainly as the others"
    embedder = Embedder(run / "model")
    held = faces.of(np.unique(faces.person_N)[[0, -1]])
    x_NC = embedder.embed(list(held.crops_NSS3))
    np.testing.assert_allclose(np.linalg.norm(x_NC, axis=1), 1, atol=1e-4)
    assert 0 < embedder.card.same_below <= embedder.card.different_above <= 2

    assert CliRunner().invoke(app, arguments).exit_code == 2, "a run is not overwritten"
    monkeypatch.setattr("unmask.training.embedder.read_people", lambda *_: faces)
    longer = train_embedder(load_embedder_recipe(RECIPE, TINY | {"steps": 26}), people, run, device="cpu", resume=True)
    assert next(longer)["step"] == 17


def test_a_batch_holds_pictures_of_several_people_and_depends_on_its_step_alone(people):
    recipe = load_embedder_recipe(RECIPE, TINY)
    faces = Faces(np.random.default_rng(0).integers(0, 256, (12, 48, 48, 3), np.uint8), np.repeat(np.arange(6), 2))
    crops, person = draw_batch(recipe, faces, 3)
    assert crops.shape == (12, 48, 48, 3)
    assert crops.dtype == torch.uint8
    assert sorted(np.unique(person, return_counts=True)[1]) == [3, 3, 3, 3]
    again, other = draw_batch(recipe, faces, 3)[0], draw_batch(recipe, faces, 4)[0]
    assert torch.equal(crops, again)
    assert not torch.equal(crops, other)


def test_pictures_without_one_face_are_passed_over_and_too_few_people_refused(people, faces, tmp_path):
    assert faces.crops_NSS3.shape[1:] == (48, 48, 3)
    names, pictures = np.unique(faces.person_N, return_counts=True)
    assert len(names) >= 4, "the detector does not find everybody"
    assert pictures.tolist() == [3] * len(names)
    for name in ("person0", "person1"):
        (tmp_path / name).symlink_to(people / name)
    with pytest.raises(UsageError, match="2 people have two pictures"):
        read_people(tmp_path, 48, "arcface")
    with pytest.raises(UsageError, match="0 people have two pictures"):
        read_people(tmp_path / "missing", 48, "arcface")


def test_the_kind_of_a_recipe(tmp_path):
    assert recipe_kind(RECIPE) == "embedder"
    assert recipe_kind(RECIPE.with_name("mtcnn.toml")) == "cascade"
    assert recipe_kind(RECIPE.with_name("tiny.toml")) is None
    assert recipe_kind(tmp_path / "missing.toml") is None
    with pytest.raises(UsageError, match="loss"):
        load_embedder_recipe(RECIPE, {"loss": "cosine"})
