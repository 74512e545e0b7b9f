import json

import cv2
import numpy as np
import pytest
from examples.make_clips import PORTRAIT

from tests.media_factory import write_film, write_video
from unmask.augment.selfblend import self_blend
from unmask.datasets.synthetic import film, write_sample
from unmask.errors import UnreadableError, UsageError
from unmask.faces import load_detector
from unmask.media import probe, sample_frames
from unmask.types import DetectorSpec


def metadata(sample):
    return {
        name: (path.parent / name, entry)
        for path in sample.glob("*/metadata.json")
        for name, entry in json.loads(path.read_text()).items()
    }


def test_it_has_the_form_of_dfdc(sample):
    entries = metadata(sample)
    assert {path.parent.name for path, _ in entries.values()} == {"dfdc_train_part_0", "dfdc_train_part_1"}
    assert all(len(name) == 14 and name[:10].islower() for name in entries)
    for path, entry in entries.values():
        assert path.exists()
        assert set(entry) == {"label", "split", "original"}
        if entry["label"] == "FAKE":
            original, of_original = entries[entry["original"]]
            assert of_original["label"] == "REAL"
            assert original.parent == path.parent


def test_the_odd_ones_are_there(sample):
    facts, broken = {}, []
    for path, _ in metadata(sample).values():
        try:
            facts[path.name] = probe(path)
        except UnreadableError:
            broken.append(path.name)
    assert len(broken) == 1
    assert sum(fact.rotation_degrees == 90 for fact in facts.values()) == 2
    assert {fact.audio is None for fact in facts.values()} == {True, False}
    assert {(fact.width, fact.height) for fact in facts.values()} == {(640, 480)}
    detector = load_detector(DetectorSpec())
    faceless = [
        path.name
        for path, entry in metadata(sample).values()
        if entry["label"] == "REAL" and not detector.detect(next(sample_frames(path, 1)).image_HW3)
    ]
    assert len(faceless) == 1


def test_fakes_differ_from_their_originals_only_behind_the_mask(sample):
    for path, entry in metadata(sample).values():
        if entry["label"] == "REAL" or not (sample / "masks" / path.stem / "0.png").exists():
            continue
        try:
            fake = next(sample_frames(path, 1)).image_HW3.astype(int)
        except UnreadableError:
            continue
        original = next(sample_frames(path.parent / entry["original"], 1)).image_HW3.astype(int)
        mask = cv2.imread(str(sample / "masks" / path.stem / "0.png"), cv2.IMREAD_GRAYSCALE)
        change = np.abs(fake - original).mean(2)
        assert mask.shape == change.shape
        assert change[mask > 200].mean() > 4 * change[mask == 0].mean()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_dataset(tmp_path):
    for name in ("a", "b"):
        write_sample(tmp_path / name, [PORTRAIT], self_blend, parts=1, seconds=0.2, seed=5)
    a, b = (
        {path.relative_to(tmp_path / name): path for path in (tmp_path / name).rglob("*") if path.is_file()}
        for name in ("a", "b")
    )
    assert a.keys() == b.keys()
    for name, path in a.items():  # the encoder does not always give the same bytes
        assert path.suffix == ".mp4" or path.read_bytes() == b[name].read_bytes()


def test_an_authentic_clip_as_source(tmp_path, portrait):
    clip = write_film(portrait, tmp_path / "clip.mp4", frames=8)
    write_sample(tmp_path / "out", [clip], self_blend, parts=1, seconds=0.2)
    entries = metadata(tmp_path / "out")
    names = [path for path, entry in entries.values() if entry["label"] == "REAL"]
    first, source = next(sample_frames(names[0], 1)).image_HW3, next(sample_frames(clip, 1)).image_HW3
    assert np.abs(first.astype(int) - source).mean() < 3


def test_wrong_use(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(UsageError, match="not empty"):
        write_sample(tmp_path / "full", [PORTRAIT], self_blend)
    with pytest.raises(UsageError, match="at least one portrait"):
        write_sample(tmp_path / "new", [], self_blend)
    with pytest.raises(UsageError, match="no image"):
        write_sample(tmp_path / "new2", [tmp_path / "missing.png"], self_blend)
    grey = write_video(tmp_path / "grey.mp4", [np.full((96, 160, 3), 90, np.uint8)] * 3)
    with pytest.raises(UsageError, match="no face"):
        write_sample(tmp_path / "new3", [grey], self_blend, parts=1, seconds=0.1)


def test_a_mask_moves_with_its_picture(portrait):
    """And without one nothing is said to be changed."""
    for view, mask_HW in film(portrait, 2, mask_HW=portrait[..., 0] / np.float32(255)):
        assert np.abs(view[..., 0] - 255 * mask_HW).mean() < 4
    ((_, mask_HW),) = film(portrait, 1)
    assert (mask_HW.shape, mask_HW.any()) == ((480, 640), False)
