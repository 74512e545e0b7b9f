"""Packs of labelled faces: what is read, drawn, left out, reconstructed, and learned from them."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from unmask.errors import UsageError
from unmask.models import load_card
from unmask.models.networks import build_network
from unmask.training.cluster import Cluster
from unmask.training.export import export_weights
from unmask.training.labelled import UNKNOWN, LabelledFaces, Source, difference
from unmask.training.load import load_data
from unmask.training.loop import Trainer
from unmask.training.losses import mask_loss
from unmask.training.packs import FacePacks, PackedFace, decode, write_pack
from unmask.training.recipe import Recipe, load_recipe
from unmask.training.together import Learner, Part, Together, aucs
from unmask.training.twins import KINDS, Autoencoder, Twins, train_twins

RECIPE = Path(__file__).parents[2] / "recipes" / "bundled.toml"
SMALL = {
    "network.params": {"encoder": "test_efficientnet", "residuals": False, "pooled": True, "width": 8},
    "network.encoder_weights": None,
    "precision": "fp32",
    "crop.size_px": 64,
    "data.size_px": 64,
    "data.shares": {"ffpp": 1.0, "clips": 1.0, "selfblend": 1.0},
    "batch_size": 4,
    "epochs": 1,
    "batches_per_epoch": 2,
}
POINTS = (38.0, 45.0, 62.0, 45.0, 50.0, 60.0, 40.0, 72.0, 60.0, 72.0)


def picture(seed: int, side: int = 100) -> np.ndarray:
    small = np.random.default_rng(seed).integers(40, 216, (8, 8, 3), np.uint8)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)


def face(name: str, method: str, **more: object) -> tuple[PackedFace, bytes]:
    collection, _, number = name.partition("/")
    known = PackedFace(
        name,
        collection,
        method,
        int(method != "real"),
        more.get("group", number[-1]),
        "",
        1,
        0.0,
        (20, 20, 80, 85),
        POINTS,
    )
    image = more.pop("image", picture(int(number[-2:])))
    return replace(known, **more), cv2.imencode(".png", image[..., ::-1])[1].tobytes()


def changed(seed: int) -> np.ndarray:
    image = picture(seed)
    image[40:75, 35:65] = 255 - image[40:75, 35:65]
    return image


@pytest.fixture(scope="module")
def packs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("packs")
    ffpp = [face(f"ffpp/r{i:02}", "real", fold=int(i > 1)) for i in range(6)]
    ffpp += [
        face(f"ffpp/f{i:02}", m, fold=int(i > 1)) for i in range(6) for m in [("Deepfakes", "NeuralTextures")[i % 2]]
    ]
    clips = [face(f"clips/r{i:02}", "real") for i in range(20, 23)]
    clips += [
        face(f"clips/f{i:02}", "deepfacelive", original=f"clips/r{i:02}", image=changed(i), face_px=40.0)
        for i in range(20, 23)
    ]
    write_pack(folder / "ffpp", ffpp)
    write_pack(folder / "clips", clips)
    return folder


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe(RECIPE, dict(SMALL))


def test_a_pack_gives_back_what_was_written(packs):
    found = FacePacks(packs)
    assert len(found.faces) == 18
    number = next(i for i, known in enumerate(found.faces) if known.name == "ffpp/r03")
    assert np.array_equal(found.read(number), picture(3))
    assert found.faces[number].landmarks[2].tolist() == [50, 60]
    assert found.faces[number].box_px == (20, 20, 80, 85)


def test_packs_that_are_missing_or_cut_short_are_refused(packs, tmp_path):
    with pytest.raises(UsageError, match="pack_faces"):
        FacePacks(tmp_path)
    write_pack(tmp_path / "a", [face("ffpp/r01", "real")])
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(UsageError, match="cut short"):
        FacePacks(tmp_path)
    with pytest.raises(ValueError, match="no picture"):
        decode(b"nothing")


def test_pairs_are_a_real_and_a_fake_of_one_collection(packs, recipe):
    items = LabelledFaces(packs, recipe).training_items(0, range(60))
    sources = set()
    for position in range(60):
        (real, fake), source = items.pair(position)
        sources.add(source)
        assert (real[2], fake[2]) == pytest.approx((0.02, 0.98))
        assert real[0].shape == fake[0].shape == (3, 64, 64)
        assert real[1].max() == 0
        if source.method == "Deepfakes":
            assert (fake[1][1] == UNKNOWN).all()
        else:
            assert source.method != "deepfacelive" or fake[1].min() >= 0
    assert {source.method for source in sources} == {"Deepfakes", "NeuralTextures", "deepfacelive", "selfblend"}


def test_people_are_as_likely_as_the_root_of_their_pictures(packs, recipe, tmp_path):
    fakes = [face(f"ffpp/f{i:02}", "swap", group="often" if i > 2 else "seldom") for i in range(2, 12)]
    write_pack(tmp_path / "a", [face("ffpp/r01", "real"), *fakes])
    faces = LabelledFaces(tmp_path, replace(recipe, data=replace(recipe.data, shares={"ffpp": 1.0}, by_people=True)))
    rng = np.random.default_rng(0)
    groups = [faces.packs.faces[faces.pick_fake("ffpp", "swap", rng)].group for _ in range(2000)]
    assert groups.count("seldom") / 2000 == pytest.approx(1 / (1 + 9**0.5), abs=0.03)
    many = LabelledFaces(packs, replace(recipe, data=replace(recipe.data, by_people=True)))
    picked = [many.pick_authentic_collection(rng) for _ in range(2000)]
    people = {
        name: len({f.group for f in many.packs.faces if f.collection == name and f.fold}) for name in ("ffpp", "clips")
    }
    expected = people["ffpp"] ** 0.5 / (people["ffpp"] ** 0.5 + people["clips"] ** 0.5)
    assert picked.count("ffpp") / 2000 == pytest.approx(expected, abs=0.04)


def test_pairs_lose_parts_and_keep_most_of_the_fake(packs, recipe):
    shown = {}
    for p in (0.0, 1.0):
        items = LabelledFaces(packs, replace(recipe, data=replace(recipe.data, cutout=p))).training_items(0, range(30))
        shown[p] = [items.pair(position)[0] for position in range(30)]
    area = {p: sum(float(fake[1][0].sum()) for _, fake in pairs) for p, pairs in shown.items()}
    assert 0.3 * area[0.0] < area[1.0] < 0.97 * area[0.0]


def test_a_pair_follows_from_its_number(packs, recipe):
    first, again = (LabelledFaces(packs, recipe).training_items(2, [7]).pair(0)[0] for _ in range(2))
    assert all(torch.equal(a[0], b[0]) and torch.equal(a[1], b[1]) for a, b in zip(first, again, strict=True))


def test_what_is_left_out_is_never_drawn(packs, recipe):
    without = replace(recipe, data=replace(recipe.data, leave_out=("Deepfakes", "clips")))
    faces = LabelledFaces(packs, without)
    assert set(faces.shares) == {"ffpp", "selfblend"}
    assert {faces.packs.faces[i].method for by in faces.fakes.values() for numbers in by.values() for i in numbers} == {
        "NeuralTextures"
    }


def test_a_share_of_nothing_is_refused(packs, recipe):
    with pytest.raises(UsageError, match="dfdc"):
        LabelledFaces(packs, replace(recipe, data=replace(recipe.data, shares={"dfdc": 1.0})))


def test_validation_is_what_is_held_out(packs, recipe):
    items = LabelledFaces(packs, recipe).validation_items()
    assert items.labels.tolist() == [0, 0, 1, 1]
    assert items[0][0].shape == (3, 64, 64)


def test_differences_of_another_moment_tell_nothing():
    assert difference(picture(1), picture(2)) is None
    mask = difference(picture(3), changed(3))
    assert mask is not None
    assert mask[57, 50] > 150
    assert mask[5, 5] == 0


def test_fakes_that_hardly_differ_from_their_twin_do_not_count(tmp_path, recipe):
    """What loss.only_changed_frames leaves out; a fake without a twin is taken at its word."""
    real = face("clips/r20", "real")
    for name, image, valid in (("same", picture(20), False), ("other", changed(20), True)):
        fake = face("clips/f20", "deepfacelive", original="clips/r20", image=image)
        write_pack(tmp_path / name / "clips", [real, fake])
        only = replace(recipe, data=replace(recipe.data, shares={"clips": 1.0}))
        ((_, _, real_label, real_valid), (_, _, fake_label, fake_valid)) = LabelledFaces(
            tmp_path / name, only
        ).training_items(0, [0])[0]
        assert real_label < 0.5 < fake_label
        assert (real_valid, fake_valid) == (True, valid)
    alone = face("clips/f20", "deepfacelive")
    write_pack(tmp_path / "alone" / "clips", [real, alone])
    assert LabelledFaces(tmp_path / "alone", only).training_items(0, [0])[0][1][3]


def test_unknown_targets_do_not_count():
    logits, target = torch.zeros(2, 2, 4, 4), torch.zeros(2, 2, 4, 4)
    logits[:, 1] = 9.0
    target[:, 1] = UNKNOWN
    assert float(mask_loss(logits, target)) == pytest.approx(np.log(2), abs=1e-6)
    assert float(mask_loss(logits, torch.full_like(target, UNKNOWN))) == 0


def test_unmask_train_learns_from_packs(packs, recipe, tmp_path):
    trainer = Trainer(recipe, packs, tmp_path / "run", Cluster())
    events = list(trainer.run())
    assert events[-1]["event"] == "epoch"
    assert events[-1]["videos"] == 4
    assert isinstance(load_data(packs, recipe), LabelledFaces)


def test_twins_draw_faces_that_become_fakes(packs, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.training.twins._PATCHES", 2)
    images = [picture(i, 136) for i in range(3)]
    twins = train_twins(images, FirstMaps(), device="cpu", seconds=0.01)
    assert isinstance(twins, Twins)
    drawn = twins.draw("shuffled.end", [picture(1, 100)] * 2)
    assert drawn[0].shape == (100, 100, 3)
    assert {name.split(".")[0] for name in twins.networks} == set(KINDS)
    twins.save(tmp_path / "twins.safetensors")
    read = Twins.load(tmp_path / "twins.safetensors", "cpu")
    for name in ("shuffled.end", "coarse_nearest.end"):
        (again,) = read.draw(name, [picture(1, 100)])
        assert np.abs(again.astype(int) - twins.draw(name, [picture(1, 100)])[0]).mean() < 2
    folder = tmp_path / "packs"
    folder.mkdir()
    for file in packs.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    shares = {"reconstructed": 1.0}
    late = tmp_path / "late.csv"
    faces = LabelledFaces(folder, replace(recipe, data=replace(recipe.data, shares=shares)), late)
    assert not faces.has_reconstructions()
    original = next(known for known in faces.packs.faces if known.name == "ffpp/r04")
    redrawn = replace(original, name="x", collection="reconstructed", method="shuffled", label=1, original="ffpp/r04")
    write_pack(late.with_suffix(""), [(redrawn, cv2.imencode(".png", drawn[0])[1].tobytes())])
    source = faces.training_items(0, range(3)).pair(1)[1]
    assert source == Source("reconstructed", "ffpp")


def test_autoencoders_add_to_a_coarse_copy():
    network = Autoencoder("nearest")
    torch.nn.init.zeros_(network.layers[-1].weight)
    torch.nn.init.zeros_(network.layers[-1].bias)
    (drawn,) = Twins({"nearest.end": network}, {}).draw("nearest.end", [picture(4, 104)])
    assert np.abs(drawn.mean((0, 1)) - picture(4, 104).mean((0, 1))).max() < 4
    assert 2 < np.abs(drawn.astype(float) - picture(4, 104)).mean() < 60


class FirstMaps(torch.nn.Module):
    """Stands in for an ImageNet encoder."""

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        return [x[:, :, ::2, ::2], x[:, :, ::4, ::4]]


def test_networks_learn_together_and_become_models(packs, recipe, tmp_path):
    twin = replace(recipe, data=replace(recipe.data, leave_out=("clips",)), seed=3)
    sharp = replace(recipe, optimizer=replace(recipe.optimizer, name="sam_adamw"))
    parts = [Part("all", sharp), Part("some", twin, every=2)]
    run = Together(parts, packs, tmp_path, device="cpu", workers=0)
    events = list(run.run(steps=4))
    ends = {event["name"]: event for event in events if event["event"] == "end"}
    assert ends["all"]["steps"] == 4
    assert 1 <= ends["some"]["steps"] <= 2  # a batch of nothing but what it leaves out is none
    assert set(ends["all"]["auc"]) == {"ffpp", "ffpp/Deepfakes", "ffpp/NeuralTextures"}
    for learner in run.learners:
        run.save(learner)
    assert (tmp_path / "all.csv").read_text().count("\n") == 5
    loaded = json.loads((tmp_path / "some.json").read_text())
    assert loaded["data"]["leave_out"] == ["clips"]
    weights = run.learners[0].average.tensors
    export_weights(recipe, weights, tmp_path / "model", {"steps": 4}, licence="none", version="9")
    card = load_card(tmp_path / "model")
    assert (card.version, card.training) == ("9", {"steps": 4})


def test_a_twin_learns_from_as_many_samples_without_what_it_leaves_out(recipe):
    learner = Learner(Part("a", replace(recipe, data=replace(recipe.data, leave_out=("x", "c")))), "cpu")
    sources = [("x", "a"), ("y", "a"), ("y", "c"), ("z", "b")]
    assert learner.wanted(sources) == [1, 3, 1, 3]
    assert Learner(Part("b", recipe), "cpu").wanted(sources) is None


def test_the_rate_falls_to_zero_with_the_clock(packs, recipe, tmp_path):
    run = Together([Part("all", recipe)], packs, tmp_path, device="cpu", workers=0)
    events = list(run.run(seconds=1.0))
    assert events[-1]["event"] == "end"
    assert run.learners[0].rate < recipe.optimizer.learning_rate


def test_aucs_compare_within_a_collection():
    rows = [("a", "real", 0), ("a", "x", 1), ("b", "real", 0), ("b", "y", 1)]
    assert aucs(rows, np.array([0.0, 1.0, 5.0, 4.0])) == {"a": 1.0, "a/x": 1.0, "b": 0.0, "b/y": 0.0}


def test_pooled_networks_see_low_and_middle_maps():
    plain, pooled = (
        build_network("blendnet", encoder="test_efficientnet", residuals=False, pooled=choice)
        for choice in (False, True)
    )
    assert pooled.fc.in_features > plain.fc.in_features
    assert pooled.eval()(torch.zeros(2, 3, 64, 64)).logit_N.shape == (2,)
