"""Running `unmask prepare` again after something has changed: nothing stale may stay."""

import builtins
import json
import shutil
from dataclasses import replace

import av
import numpy as np
import pytest

from tests.media_factory import write_video
from tests.prepare.test_preparation import broken, clips_of, copy_of, whole_fakes
from tests.prepared import prepare, tree
from unmask.datasets import read_index
from unmask.errors import UsageError
from unmask.media import open_video, read_frames
from unmask.prepare.clip_steps import ClipSteps, Settings
from unmask.prepare.layout import read_boxes, read_folds
from unmask.prepare.pairs import read_crop_pairs
from unmask.prepare.preparation import STEPS, Preparation
from unmask.storage.atomic import sweep

pytestmark = pytest.mark.usefixtures("searched_once")


def without_manifest(folder):
    return {name: data for name, data in tree(folder).items() if name not in ("manifest.jsonl", "prepare.json")}


@pytest.fixture(scope="module")
def index(sample, tmp_path_factory):
    """One part of the sample: two originals, two fakes, one that is broken, and a clip without faces."""
    folder = tmp_path_factory.mktemp("part") / "dfdc"
    shutil.copytree(sample / "dfdc_train_part_1", folder / "dfdc_train_part_1")
    return read_index(folder)


@pytest.fixture(scope="module")
def prepared(index, tmp_path_factory):
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(index, out)
    return out


@pytest.fixture
def data(index, tmp_path):
    return copy_of(index.root, tmp_path / "data")


@pytest.fixture
def pair(data):
    """A dataset, one of its good fakes, and that one's original."""
    index = read_index(data)
    fake = next(clip for clip in clips_of(index, "fake") if clip.id != broken(index))
    return index, fake, next(clip for clip in index.clips if clip.id == fake.original)


def test_an_original_that_is_mended_gets_its_fakes_back(pair, tmp_path):
    index, fake, original = pair
    path = index.path_of(original)
    whole = path.read_bytes()
    path.write_bytes(b"nothing")
    prepare(index, tmp_path / "out")
    assert (tmp_path / "out" / "boxes" / f"{fake.id}.json").exists()
    path.write_bytes(whole)
    _, outcome = prepare(index, tmp_path / "out", resume=True)
    assert not (tmp_path / "out" / "boxes" / f"{fake.id}.json").exists()
    assert not (tmp_path / "out" / "landmarks" / fake.id).exists()
    assert fake.id not in dict(outcome.skipped)
    prepare(index, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")
    assert len(list(read_crop_pairs(tmp_path / "out"))) == 6


def test_a_clip_that_breaks_leaves_no_crops(pair, tmp_path):
    index, fake, original = pair
    prepare(index, tmp_path / "out")
    index.path_of(fake).write_bytes(b"nothing")
    index.path_of(original).write_bytes(b"nothing")
    prepare(index, tmp_path / "out", resume=True)
    videos = {row.video for row in read_folds(tmp_path / "out" / "folds.csv")}
    assert not {fake.id, original.id} & videos
    assert not (tmp_path / "out" / "crops" / fake.id).exists()
    prepare(index, tmp_path / "fresh")
    assert tree(tmp_path / "out") == tree(tmp_path / "fresh")


def test_a_step_alone_with_other_settings_is_not_taken_for_theirs(index, tmp_path):
    out = tmp_path / "out"
    prepare(index, out)
    prepare(index, out, settings=Settings(every=5), steps=["landmarks"], resume=True)
    prepare(index, out, settings=Settings(every=5), resume=True)
    prepare(index, tmp_path / "fresh", settings=Settings(every=5))
    assert tree(out) == tree(tmp_path / "fresh")


def test_what_hangs_on_a_step_goes_with_it(index, prepared, tmp_path):
    out = copy_of(prepared, tmp_path / "out")
    prepare(index, out, settings=Settings(every=5), steps=["boxes", "crops"], resume=True)
    assert not list(out.glob("landmarks/*"))
    assert not list(out.glob("diffs/*"))
    prepare(index, out, resume=True)
    assert tree(out) == tree(prepared)


@pytest.mark.parametrize("image_format", ["png", "jpg"])
def test_step_by_step_is_all_at_once(index, tmp_path, image_format):
    settings = Settings(image_format=image_format)
    prepare(index, tmp_path / "whole", settings=settings)
    for steps in (["boxes", "crops"], ["landmarks"], ["diffs", "changes", "folds"]):
        prepare(index, tmp_path / "out", settings=settings, steps=steps, resume=steps[0] != "boxes")
    assert without_manifest(tmp_path / "out") == without_manifest(tmp_path / "whole")


class TestOneStepAtATime:
    """Five runs of one step each give the same bytes as one run of all."""

    @staticmethod
    def prepare_both(index, tmp_path):
        prepare(index, tmp_path / "whole", steps=STEPS)
        for step in STEPS:
            _, outcome = prepare(index, tmp_path / "steps", steps=[step], resume=step != STEPS[0])
        assert tree(tmp_path / "steps") == tree(tmp_path / "whole")
        return dict(outcome.skipped)

    def test_with_a_fake_of_another_size(self, pair, tmp_path, portrait):
        index, fake, _ = pair
        write_video(index.path_of(fake), [portrait] * 25, rate=25)
        skipped = self.prepare_both(index, tmp_path)
        assert skipped[fake.id] == (
            "its frames have (512, 512) pixels, its original's (640, 480): it has its own boxes and no difference masks"
        )
        for folder, count in (("crops", 3), ("landmarks", 3), ("aligned", 4)):
            assert len(list((tmp_path / "steps" / folder / fake.id).iterdir())) == count
        assert {row.original for row in read_folds(tmp_path / "steps" / "folds.csv") if row.video == fake.id} == {
            fake.id
        }

    def test_with_damaged_frames(self, pair, tmp_path):
        index, fake, original = pair
        for clip in (fake, original):
            TestDamage.damage(index, clip, 10)
        assert self.prepare_both(index, tmp_path)[original.id] == "1 of 3 frames cannot be decoded"

    def test_with_a_broken_original(self, pair, tmp_path):
        index, fake, original = pair
        index.path_of(original).write_bytes(b"nothing")
        assert "its original cannot be used" in self.prepare_both(index, tmp_path)[fake.id]


def test_a_bug_is_forgotten_once_it_is_gone(index, prepared, tmp_path, monkeypatch):
    victim = whole_fakes(index, prepared)[0].original
    honest = ClipSteps.run

    def run(self, name, *rest):
        if name == victim:
            raise ZeroDivisionError("boom")
        return honest(self, name, *rest)

    monkeypatch.setattr(ClipSteps, "run", run)
    prepare(index, tmp_path / "out")
    monkeypatch.undo()
    prepare(index, tmp_path / "out", resume=True)
    assert tree(tmp_path / "out") == tree(prepared)


class TestDamage:
    """A frame in the middle that cannot be decoded."""

    @staticmethod
    def damage(index, clip, number):
        """Encode all frames as key frames, then spoil one packet."""
        with open_video(index.path_of(clip)) as video:
            frames = [frame.image_HW3 for frame in read_frames(video, np.arange(25))]
        target = index.path_of(clip)
        with av.open(str(target), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt = "yuvj420p"
            for i, image in enumerate(frames):
                for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                    if i == number:
                        spoilt = av.Packet(b"\0" * packet.size)
                        spoilt.pts, spoilt.dts, spoilt.time_base = packet.pts, packet.dts, packet.time_base
                        spoilt.stream, spoilt.is_keyframe = stream, True
                        packet = spoilt
                    container.mux(packet)
            container.mux(stream.encode())

    def test_in_the_original(self, pair, tmp_path):
        index, fake, original = pair
        self.damage(index, original, 10)
        _, outcome = prepare(index, tmp_path / "out")
        assert list(read_boxes(tmp_path / "out" / "boxes" / f"{original.id}.json")) == [0, 20]
        names = sorted(path.name for path in (tmp_path / "out" / "crops" / fake.id).iterdir())
        assert names == ["0_0.png", "20_0.png"]
        assert (original.id, "1 of 3 frames cannot be decoded") in outcome.skipped

    def test_in_the_fake(self, pair, tmp_path):
        index, fake, _ = pair
        self.damage(index, fake, 10)
        _, outcome = prepare(index, tmp_path / "out", steps=["boxes", "crops", "diffs", "tubes", "folds"])
        names = sorted(path.name for path in (tmp_path / "out" / "crops" / fake.id).iterdir())
        assert names == ["0_0.png", "20_0.png"]
        told = [text for name, text in outcome.skipped if name == fake.id]
        assert told == [
            "1 aligned crops are missing: their frames cannot be decoded",
            "1 of 3 frames cannot be decoded",
        ]
        info = json.loads((tmp_path / "out" / "aligned" / fake.id / "info.json").read_text())
        assert info["missing"] == ["frame11_face1"]
        assert fake.id not in (tmp_path / "out" / "tubes.txt").read_text()


class TestOtherPeoplesFiles:
    def test_nothing_is_swept_but_what_we_leave(self, index, tmp_path):
        out = tmp_path / "out"
        for name in (".tmp-mine/x", "deep/.draft.tmp", ".notes.0123.tmp", "boxes.txt"):
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_text("precious")
        before = tree(out)
        prepare(index, out, steps=["boxes"])
        prepare(index, out, steps=["boxes"], resume=True)
        assert {name: data for name, data in tree(out).items() if name in before} == before

    def test_sweeping(self, tmp_path):
        for name in (".tmp-0123456789abcdef", ".tmp-0123456789abcdef-old", ".tmp-short", "crops"):
            (tmp_path / name).mkdir()
        (tmp_path / ".a.json.0123456789abcdef.tmp").touch()
        (tmp_path / ".a.json.tmp").touch()
        sweep(tmp_path, tmp_path / "missing")
        assert sorted(path.name for path in tmp_path.iterdir()) == [".a.json.tmp", ".tmp-short", "crops"]

    def test_a_folder_that_holds_such_files_is_refused(self, index, prepared, tmp_path):
        out = copy_of(prepared, tmp_path / "out")
        (out / "manifest.jsonl").unlink()
        for resume in (False, True):
            with pytest.raises(UsageError, match="which unmask did not write"):
                Preparation(index, out, steps=["crops"], resume=resume)

    def test_the_winners_crops_get_landmarks_masks_and_folds(self, index, prepared, tmp_path):
        out = tmp_path / "out"
        for name in ("boxes", "crops"):
            shutil.copytree(prepared / name, out / name)
        prepare(index, out, steps=["landmarks", "diffs", "folds"])
        for name in ("landmarks", "diffs"):
            files = {path: data for path, data in tree(out / name).items() if path in tree(prepared / name)}
            assert files == tree(prepared / name)
        assert (out / "folds.csv").read_bytes() == (prepared / "folds.csv").read_bytes()

    def test_the_winners_boxes_hold_every_frame(self, index, tmp_path):
        real = replace(index, clips=tuple(clips_of(index, "real")[:1]))
        prepare(real, tmp_path / "all", settings=Settings(every=1), steps=["boxes"])
        shutil.copytree(tmp_path / "all" / "boxes", tmp_path / "out" / "boxes")
        prepare(real, tmp_path / "out", steps=["crops"])
        frames = {path.stem.split("_")[0] for path in (tmp_path / "out" / "crops").glob("*/*")}
        assert frames == {"0", "10", "20"}


def test_without_pyarrow_it_is_told_before_the_work(index, tmp_path, monkeypatch):
    honest = builtins.__import__

    def without(name, *rest):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return honest(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"unmask\[data\]"):
        Preparation(index, tmp_path / "out")
    assert not (tmp_path / "out").exists()
