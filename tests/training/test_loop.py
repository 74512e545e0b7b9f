import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402

from tests.training.conftest import TINY  # noqa: E402
from unmask.errors import ModelError, UsageError  # noqa: E402
from unmask.training.checkpoint import load_checkpoint, newest_checkpoint, save_checkpoint  # noqa: E402
from unmask.training.data import PreparedCrops, TrainingItems, collate, numbers_of  # noqa: E402
from unmask.training.loop import Trainer, video_metrics  # noqa: E402
from unmask.training.recipe import load_recipe  # noqa: E402


def weights_of(run, name="last"):
    return safetensors.torch.load_file(run / name / "model.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def finish(recipe, data, out, **options):
    return list(Trainer(recipe, data, out, **options).run())


@pytest.fixture(scope="module")
def undisturbed(prepared_often, tmp_path_factory):
    from tests.training.conftest import SMALLEST

    out = tmp_path_factory.mktemp("run") / "run"
    events = finish(load_recipe(TINY, SMALLEST), prepared_often, out)
    return out, events


class TestKilledRun:
    """Whatever a kill comes between, a run goes on where it was, and its log tells each step once."""

    @pytest.fixture
    def killed(self, undisturbed, tmp_path):
        return shutil.copytree(undisturbed[0], tmp_path / "run")

    @pytest.mark.parametrize("left", [".tmp-0123456789abcdef-old.last", ".tmp-0123456789abcdef.last"])
    def test_between_two_names_of_the_last_checkpoint(self, killed, left, smallest, prepared_often):
        """Where folders cannot change places in one step, there is a moment without ``last``."""
        shutil.rmtree(killed / "epoch_002")
        (killed / "last").rename(killed / left)
        (killed / ".tmp-ffffffffffffffff").mkdir()  # and half of another
        assert newest_checkpoint(killed) == killed / left
        assert Trainer(smallest, prepared_often, killed, resume=True).iteration == 6

    def test_all_other_checkpoints_are_gone_on_from(self, killed, smallest, prepared_often):
        shutil.rmtree(killed / "last")
        (killed / "epoch_002" / "model.safetensors").write_bytes(b"damaged")
        assert newest_checkpoint(killed) == killed / "epoch_001"
        with pytest.raises(UsageError, match="--resume"):
            Trainer(smallest, prepared_often, killed)

    def test_what_is_done_again_is_told_once(self, killed, undisturbed, smallest, prepared_often):
        shutil.rmtree(killed / "last")
        shutil.rmtree(killed / "epoch_002")
        with (killed / "log.jsonl").open("a") as file:
            file.write('{"event":"st')  # torn
        assert len(finish(smallest, prepared_often, killed, resume=True)) == 4
        events = [json.loads(line) for line in (killed / "log.jsonl").read_text().splitlines()]
        assert [event["iteration"] for event in events] == [event["iteration"] for event in undisturbed[1]]
        assert same(weights_of(killed), weights_of(undisturbed[0]))
        assert not [path for path in killed.iterdir() if path.name.startswith(".")]

    def test_the_last_checkpoint_is_written_last(self, smallest, prepared_often, tmp_path, monkeypatch):
        """So nothing of an epoch is missing that ``last`` says is done."""
        order = []
        monkeypatch.setattr(Trainer, "_save", lambda self, name: order.append(name))
        finish(smallest, prepared_often, tmp_path / "run")
        assert [name for name in order if name != "best"] == ["epoch_001", "last", "epoch_002", "last"]


class TestRun:
    def test_what_is_written(self, undisturbed):
        out, events = undisturbed
        names = sorted(path.name for path in out.iterdir())
        assert names == ["best", "epoch_001", "epoch_002", "last", "log.jsonl", "recipe.json", "tensorboard"]
        assert [event["event"] for event in events] == ["step"] * 3 + ["epoch"] + ["step"] * 3 + ["epoch"]
        assert [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()] == events
        assert same(weights_of(out), weights_of(out, "epoch_002"))
        assert set(events[-1]) >= {"real_loss", "fake_loss", "loss", "auc", "videos"}

    def test_an_earlier_run_is_safe(self, smallest, prepared_often, undisturbed):
        with pytest.raises(UsageError, match="--resume"):
            Trainer(smallest, prepared_often, undisturbed[0])

    def test_a_finished_run_has_nothing_left(self, smallest, prepared_often, undisturbed):
        before = weights_of(undisturbed[0])
        assert finish(smallest, prepared_often, undisturbed[0], resume=True) == []
        assert same(weights_of(undisturbed[0]), before)

    def test_another_recipe_does_not_resume_it(self, smallest, prepared_often, undisturbed):
        with pytest.raises(UsageError, match="another recipe"):
            Trainer(replace(smallest, batch_size=2), prepared_often, undisturbed[0], resume=True)

    @pytest.mark.parametrize("stop", [1, 3, 5])
    def test_resumed_at_any_step_it_is_the_same_to_the_last_bit(
        self, smallest, prepared_often, undisturbed, tmp_path, stop
    ):
        out, expected = undisturbed
        trainer = Trainer(smallest, prepared_often, tmp_path / "run", checkpoint_every=1)
        for event in trainer.run():
            if event["iteration"] == stop - 1 and event["event"] == "step":
                break  # the checkpoint of this very step has not been written
        torch.manual_seed(99)
        events = finish(smallest, prepared_often, tmp_path / "run", resume=True, checkpoint_every=1)
        assert same(weights_of(tmp_path / "run"), weights_of(out))
        assert events == expected[-len(events) :]
        average = [safetensors.torch.load_file(run / "last" / "average.safetensors") for run in (out, tmp_path / "run")]
        assert same(*average)

    def test_workers_change_nothing(self, smallest, prepared_often, undisturbed, tmp_path):
        finish(replace(smallest, epochs=1), prepared_often, tmp_path / "run", workers=2)
        assert same(weights_of(tmp_path / "run"), weights_of(undisturbed[0], "epoch_001"))

    def test_a_step_that_is_no_number_changes_nothing_and_is_counted(self, smallest, prepared_often, tmp_path):
        trainer = Trainer(smallest, prepared_often, tmp_path / "run")
        honest, before = trainer._normalise, {}

        def spoilt(image):
            if trainer.iteration == 1:
                before.update({k: v.clone() for k, v in trainer.network.named_parameters()})
                return honest(image) * float("nan")
            return honest(image)

        trainer._normalise = spoilt
        events = trainer.run()
        next(events)
        assert next(events)["skipped"] == 1
        assert all(torch.equal(before[k], v) for k, v in trainer.network.named_parameters())

    def test_accumulated_batches_are_one_step(self, smallest, prepared_often, tmp_path):
        recipe = replace(smallest, accumulate=2, epochs=1)
        assert [e["event"] for e in finish(recipe, prepared_often, tmp_path / "run")] == ["step"] * 3 + ["epoch"]

    @pytest.mark.parametrize("name", ["sgd", "sam"])
    def test_other_optimizers(self, smallest, prepared_often, tmp_path, name):
        optimizer = replace(smallest.optimizer, name=name, learning_rate=0.01, ema_decay=None)
        recipe = replace(smallest, optimizer=optimizer, epochs=1, precision="bf16")
        events = finish(recipe, prepared_often, tmp_path / "run")
        assert all(np.isfinite(event["class_loss"]) for event in events if event["event"] == "step")
        assert not (tmp_path / "run" / "last" / "average.safetensors").exists()

    def test_a_frozen_encoder_stays(self, smallest, prepared_often, tmp_path):
        trainer = Trainer(replace(smallest, freeze_epochs=1, epochs=1), prepared_often, tmp_path / "run")
        before = {name: p.clone() for name, p in trainer.network.named_parameters()}
        list(trainer.run())
        changed = {name for name, p in trainer.network.named_parameters() if not torch.equal(p, before[name])}
        assert changed == {"fc.weight", "fc.bias"}

    def test_self_blends_with_a_mask_head(self, prepared_often, tmp_path):
        changes = {"data.kind": "selfblend", "crop.size_px": 64, "data.size_px": 64, "epochs": 1, "batch_size": 4}
        network = {"network.params": {"encoder": "test_efficientnet", "width": 8}}
        recipe = load_recipe(TINY, changes | network | {"batches_per_epoch": 2})
        events = finish(recipe, prepared_often, tmp_path / "run")
        assert events[0]["mask_loss"] > 0


class TestData:
    def test_an_epoch_has_as_many_fakes_as_reals_drawn_anew(self, smallest, prepared_often):
        crops = PreparedCrops(prepared_often, smallest)
        epochs = [crops.epoch(epoch) for epoch in (0, 0, 1)]
        assert epochs[0] == epochs[1] != epochs[2]
        labels = [row.label for row in epochs[0]]
        assert sum(labels) == len(labels) - sum(labels)
        assert {row.fold for row in epochs[0]} == {1}
        assert {row.fold for row in crops.validation} == {0}
        assert {row.frame for row in crops.validation} == {0, 20}

    def test_items_are_the_same_in_any_order(self, smallest, prepared_often):
        crops = PreparedCrops(prepared_often, smallest)
        forward = TrainingItems(crops, smallest, 3, [4, 5, 6])
        backward = TrainingItems(crops, smallest, 3, [6, 5, 4])
        for a, b in zip([forward[i] for i in range(3)], [backward[i] for i in (2, 1, 0)], strict=True):
            assert all(torch.equal(torch.as_tensor(x), torch.as_tensor(y)) for x, y in zip(a[0], b[0], strict=True))

    def test_pairs_of_blends(self, prepared_often):
        recipe = load_recipe(TINY, {"data.kind": "selfblend"})
        crops = PreparedCrops(prepared_often, recipe)
        batch = collate([TrainingItems(crops, recipe, 0, range(4))[i] for i in range(4)])
        assert batch.image_N3SS.shape == (8, 3, 96, 96)
        assert batch.target_N2hw.shape == (8, 2, 12, 12)
        assert batch.label_N.tolist() == pytest.approx([0.01, 0.99] * 4)
        assert batch.target_N2hw[0::2].max() == 0
        assert batch.target_N2hw[1::2].amax((1, 2, 3)).min() > 0

    def test_mixup_gives_soft_labels(self, smallest, prepared_often):
        recipe = replace(smallest, data=replace(smallest.data, mixup=1.0))
        crops = PreparedCrops(prepared_often, recipe)
        rows = crops.epoch(0)
        fakes = [i for i, row in enumerate(rows) if row.label]
        items = TrainingItems(crops, recipe, 0, fakes)
        labels = [items[i][0][2] for i in range(len(fakes))]
        assert any(0.05 < label < 0.95 for label in labels)

    def test_a_fold_without_a_class(self, smallest, prepared_often):
        recipe = replace(smallest, data=replace(smallest.data, fold=7))
        with pytest.raises(UsageError, match="no real and fake crop is left for validation with fold 7"):
            PreparedCrops(prepared_often, recipe)

    def test_processes_share_an_epoch(self):
        shares = [list(numbers_of(2, 3, rank, 2, 0)) for rank in (0, 1)]
        assert shares == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]
        assert list(numbers_of(2, 3, 1, 2, 2)) == [10, 11]


class TestCheckpoint:
    def test_round_trip(self, tmp_path):
        weights = {"w": torch.arange(6.0).reshape(2, 3)}
        state = {"step": 3, "nested": [torch.ones(2)]}
        save_checkpoint(tmp_path / "c", weights, weights, state, {"epoch": 1})
        loaded, average, restored, facts = load_checkpoint(tmp_path / "c")
        assert same(loaded, weights)
        assert same(average, weights)
        assert (restored["step"], facts["epoch"]) == (3, 1)

    @pytest.mark.parametrize("name", ["model.safetensors", "state.pt"])
    def test_every_flipped_bit_is_noticed(self, tmp_path, name):
        save_checkpoint(tmp_path / "c", {"w": torch.arange(6.0)}, None, {"step": 3}, {})
        path = tmp_path / "c" / name
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        for place, bit in zip(rng.integers(0, len(whole), 1000), rng.integers(0, 8, 1000), strict=True):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << int(bit)]) + whole[place + 1 :])
            with pytest.raises(ModelError, match="damaged"):
                load_checkpoint(tmp_path / "c")

    def test_nothing_but_numbers_is_saved(self, tmp_path):
        with pytest.raises(ModelError, match="'w' is no longer a number"):
            save_checkpoint(tmp_path / "c", {"w": torch.tensor([1.0, float("nan")])}, None, {}, {})
        assert not (tmp_path / "c").exists()
        with pytest.raises(ModelError, match="no checkpoint"):
            load_checkpoint(tmp_path / "c")


def test_validation_is_by_video():
    metrics = video_metrics(np.array([0, 0, 1.0]), np.array([0.1, 0.3, 0.8]))
    assert metrics["real_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.7)) / 2)
    assert metrics["fake_loss"] == pytest.approx(-np.log(0.8))
    assert metrics["loss"] == pytest.approx((metrics["real_loss"] + metrics["fake_loss"]) / 2)
    assert metrics["auc"] == 1.0
    assert video_metrics(np.array([0.0]), np.array([0.1]))["fake_loss"] is None
