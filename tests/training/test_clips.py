import shutil
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.training.conftest import TINY  # noqa: E402
from unmask.augment.transforms import Example, load_augmentation  # noqa: E402
from unmask.errors import UsageError  # noqa: E402
from unmask.models.clip_network import ClipNetwork  # noqa: E402
from unmask.prepare.layout import CropRow, encode_image  # noqa: E402
from unmask.training.clips import PreparedAligned, PreparedClips, clip_frames  # noqa: E402
from unmask.training.data import PreparedCrops, collate, split_rows  # noqa: E402
from unmask.training.export import export_run  # noqa: E402
from unmask.training.load import load_data  # noqa: E402
from unmask.training.loop import Trainer  # noqa: E402
from unmask.training.recipe import DataRecipe, load_recipe  # noqa: E402

CHANGES = {
    "network": {"name": "slowfast", "params": {"depths": [1, 1, 1, 1], "width": 8, "shrink": 2}},
    "crop.size_px": 64,
    "data.size_px": 56,
    "data.kind": "clips",
    "data.clip_frames": 8,
    "data.clip_step": 4,
    "data.augmentation": "robustforensics_clip",
    "data.validation_augmentation": "robustforensics_clip_val",
    "data.hardcore": False,
    "data.oversample_real": False,
    "data.label_smoothing": 0.0,
    "epochs": 1,
    "batches_per_epoch": 2,
    "batch_size": 2,
    "loss": {"classes": "together", "positive_weight": 0.1},
}


@pytest.fixture
def recipe():
    return load_recipe(TINY, CHANGES)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Two videos a fold; aligned faces of all but one; the brightness of a picture tells its frame."""
    folder, lines = tmp_path_factory.mktemp("clips"), ["video,file,label,original,frame,fold"]
    for fold in (0, 1):
        for label, name in enumerate((f"real{fold}", f"fake{fold}")):
            (folder / "crops" / name).mkdir(parents=True)
            (folder / "aligned" / name).mkdir(parents=True)
            for frame in range(12):
                picture = encode_image(np.full((36, 40, 3), 20 * frame, np.uint8), "png")
                (folder / "crops" / name / f"{frame}_0.png").write_bytes(picture)
                lines.append(f"{name},{frame}_0.png,{label},real{fold},{frame},{fold}")
                for face in (1, 2) if name != "real1" else ():
                    square = encode_image(np.full((40, 40, 3), 20 * frame + face, np.uint8), "png")
                    (folder / "aligned" / name / f"frame{frame + 1}_face{face}.png").write_bytes(square)
    (folder / "folds.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize(
    ("count", "start", "expected"),
    [
        (300, 100, [100, 108, 116, 124]),
        (32, 0, [0, 8, 16, 24]),
        (20, 0, [0, 8, 16, 4]),  # looped
        (1, 0, [0, 0, 0, 0]),
    ],
)
def test_frames_of_a_clip(count, start, expected):
    assert clip_frames(count, 32, 8, start) == expected


class TestAligned:
    """Image models on the squares of RobustForensics' data lists."""

    RECIPE: ClassVar = {"data.kind": "aligned", "data.frame_step": 5, "data.fold": 1}

    def test_rows_and_pixels(self, prepared, tmp_path):
        folder = shutil.copytree(prepared, tmp_path / "all")
        shutil.copytree(folder / "aligned" / "real0", folder / "aligned" / "real1", dirs_exist_ok=True)
        data = load_data(folder, load_recipe(TINY, self.RECIPE))
        assert isinstance(data, PreparedAligned)
        rows = [(row.video, row.file, row.frame) for row in data.training if row.label]
        files = [f"frame{frame + 1}_face{face}.png" for face in (1, 2) for frame in (0, 5, 10)]
        assert rows == [("fake0", file, frame) for file, frame in zip(files, (0, 5, 10) * 2, strict=True)]
        example = data.example(data.training[1])
        assert (example.image_HW3 == 101).all()
        assert (example.landmarks_px, example.mask_HW.max()) == (None, 0)
        assert data.original(next(row for row in data.training if row.label)).video == "real0"
        assert len(data.validation) == 12

    def test_a_folder_without_any(self, prepared, tmp_path):
        shutil.copy(prepared / "folds.csv", tmp_path)
        with pytest.raises(UsageError, match="has no aligned faces; prepare it with --as robustforensics"):
            load_data(tmp_path, load_recipe(TINY, self.RECIPE))


def rows_of(*clips):
    return [CropRow(name, "0_0.png", label, name, 0, fold) for name, label, fold in clips]


def test_the_public_validation_set_is_held_out():
    rows = rows_of(("tjuihawuqm", 0, 0), ("bvpeerislp", 1, 0), ("aaaaaaaaaa", 1, 0), ("bbbbbbbbbb", 0, 1))

    def held_out(holdout):
        training, validation = split_rows(rows, DataRecipe(holdout=holdout))
        return [row.video for row in training], [row.video for row in validation]

    assert held_out("fold") == (["bbbbbbbbbb"], ["tjuihawuqm", "bvpeerislp", "aaaaaaaaaa"])
    assert held_out("fold_public") == (["bbbbbbbbbb"], ["tjuihawuqm", "bvpeerislp"])
    assert held_out("public") == (["aaaaaaaaaa", "bbbbbbbbbb"], ["tjuihawuqm", "bvpeerislp"])


class TestData:
    def test_tubes_or_else_crops(self, prepared, recipe):
        clips = load_data(prepared, recipe)
        assert isinstance(clips, PreparedClips)
        assert isinstance(load_data(prepared, load_recipe(TINY)), PreparedCrops)
        found = sorted((row.video, row.label, row.files[0].parent.parent.name) for row in clips.training)
        assert found == [("fake1", 1, "aligned")] * 2 + [("real1", 0, "crops")]
        assert [path.stem for path in clips.validation[0].files[9:]] == [
            "frame10_face1",
            "frame11_face1",
            "frame12_face1",
        ]
        assert clips.epoch(0) == clips.epoch(0)
        with pytest.raises(UsageError, match="no real and fake crop is left for validation with fold 7"):
            PreparedClips(prepared, replace(recipe, data=replace(recipe.data, fold=7)))

    def test_validation_takes_the_middle(self, prepared, recipe):
        items = load_data(prepared, recipe).validation_items()
        clip, video = items[0]
        assert clip.shape == (3, 2, 64, 64)
        # Frames 6 - 4 = 2 to 9 of 0 to 11, every fourth; face 1.
        assert clip[0, :, 5, 5].tolist() == [20 * 2 + 1, 20 * 6 + 1]
        assert items.labels.tolist() == [1, 0]
        assert [items[i][1] for i in range(4)] == [1, 1, 0, 0]
        assert video == 1  # the real one; its two tubes are one video

    def test_training_starts_anywhere(self, prepared, recipe):
        plain = replace(recipe, data=replace(recipe.data, augmentation="robustforensics_clip_plain"))
        data = load_data(prepared, plain)
        rows = data.epoch(0)
        numbers = [3 * k + [row.video for row in rows].index("real1") for k in range(30)]
        starts = {int(item[0][0][0, 0, 3, 3]) // 20 for item in data.training_items(0, numbers)}
        assert starts == {0, 1, 2, 3, 4}
        item = data.training_items(0, numbers)[0][0]
        assert int(item[0][0, 1, 0, 0]) - int(item[0][0, 0, 0, 0]) == 4 * 20

    def test_one_draw_for_all_frames(self, prepared, recipe):
        data = load_data(prepared, recipe)
        batch = collate([data.training_items(0, range(3))[i] for i in range(3)])
        assert batch.image_N3SS.shape == (3, 3, 2, 56, 56)
        assert batch.label_N.dtype.is_floating_point

        picture = np.random.default_rng(0).integers(0, 256, (60, 48, 3), np.uint8)
        example = Example(picture, np.zeros((60, 48), np.uint8), 1.0)
        augment = load_augmentation("robustforensics_clip", size_px=56)
        outcomes = [augment(example, np.random.default_rng(seed)).image_HW3 for seed in (1, 1, 2)]
        assert np.array_equal(outcomes[0], outcomes[1])
        assert not np.array_equal(outcomes[0], outcomes[2])

    def test_the_crop_is_of_a_picture_between_224_and_340(self):
        """A ramp of 1 a pixel over 200 pixels: stretched to s, it climbs by 224 * 200 / s over the crop."""
        ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3)).copy()
        example = Example(ramp, np.zeros((200, 200), np.uint8), 0.0)
        crop = load_augmentation("robustforensics_clip_plain", size_px=224)
        climbs = []
        for seed in range(40):
            row = crop(example, np.random.default_rng(seed)).image_HW3[100, :, 0].astype(float)
            assert len(row) == 224
            climbs.append(abs(row[-12] - row[11]) / 201 * 223)
        assert 130 <= min(climbs) < 140
        assert 190 < max(climbs) <= 201


def test_a_video_model_is_trained_and_exported(prepared, recipe, tmp_path):
    events = list(Trainer(recipe, prepared, tmp_path / "run").run())
    assert [event["event"] for event in events] == ["step", "step", "epoch"]
    assert all(np.isfinite(event["class_loss"]) for event in events[:2])
    assert events[-1]["videos"] == 2
    assert list(Trainer(recipe, prepared, tmp_path / "run", resume=True).run()) == []
    card = export_run(tmp_path / "run", tmp_path / "model", checkpoint="last", licence="none")
    assert card.crop.size_px == 64
    clips = np.random.default_rng(0).integers(0, 256, (1, 9, 64, 64, 3), np.uint8)
    assert 0 <= ClipNetwork(tmp_path / "model", "fp32").score(clips)[0].fake_probability <= 1


def test_a_run_of_an_older_version_goes_on(prepared, recipe, tmp_path):
    """Its recipe lacks keys that have a default now."""
    import json

    run = tmp_path / "run"
    for event in Trainer(recipe, prepared, run, checkpoint_every=1).run():
        if event["iteration"] == 1:
            break
    facts = json.loads((run / "last" / "checkpoint.json").read_text())
    del facts["recipe"]["loss"]["mask_weight"]
    (run / "last" / "checkpoint.json").write_text(json.dumps(facts))
    assert Trainer(recipe, prepared, run, resume=True).step == 1
    with pytest.raises(UsageError, match="another recipe"):
        Trainer(replace(recipe, batch_size=3), prepared, run, resume=True)
