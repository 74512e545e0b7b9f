"""Presets of published systems, and the faults that the exact one repeats. The bundled network plays the winner's."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.media_factory import on_canvas, pattern, write_video
from unmask import ModelError, Scanner, UsageError, open_preset
from unmask.cli.scan import Fuse, Preset
from unmask.faces import load_detector
from unmask.media import open_video
from unmask.models import FUSIONS
from unmask.models.card import bundled_folder
from unmask.systems.presets import PRESETS
from unmask.systems.winner.presets import WINNER
from unmask.systems.winner.released import HalfSizeDetector, StalledSampler
from unmask.types import CropSpec, DetectorSpec


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """The bundled network with the winner's crop rule in its card, and decided thresholds."""
    folder = shutil.copytree(bundled_folder(), tmp_path_factory.mktemp("models") / "stand-in")
    card = json.loads((folder / "card.json").read_text())
    card["crop"] = {"size_px": card["crop"]["size_px"], "detection": {"scale": 0.5, "shrink": "bicubic"}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="module")
def winner(weights):
    return open_preset("winner", weights, precision="fp32")


@pytest.fixture(scope="module")
def exact(weights):
    return open_preset("winner-exact", weights, precision="fp32")


@pytest.fixture(scope="module")
def film(tmp_path_factory, portrait):
    """Return a function that films the portrait for so many frames."""
    folder = tmp_path_factory.mktemp("films")

    def shoot(frames, people=1, blank_from=None):
        path = folder / f"{frames}-{people}-{blank_from}.mp4"
        if path.exists():
            return path
        picture = np.hstack([on_canvas(portrait, (320, 320), (20, 20), 280)] * people)
        empty = np.full_like(picture, 110)
        pictures = [picture if blank_from is None or i < blank_from else empty for i in range(frames)]
        return write_video(path, pictures, rate=10)

    return shoot


def test_the_command_line_knows_them_all():
    assert sorted(Preset) == sorted(PRESETS)
    assert sorted(Fuse) == sorted(FUSIONS)


def test_the_winners_settings(winner):
    assert WINNER.models == tuple(
        f"winner-b7-{seed}" for seed in ("111-36", "555-19", "777-29", "777-31", "888-37", "888-40", "999-23")
    )
    assert WINNER.crop == CropSpec(
        380, 1 / 3, "box", "cubic", 0, DetectorSpec("mtcnn", 0.5, (0.7, 0.8, 0.8), 20, "bicubic")
    )
    assert (winner.options.frames, winner.options.sampling) == (32, "reference")
    assert winner.cards[0].fusion == FUSIONS["winner"]
    assert len(PRESETS["b5x15"].models) == 15


def test_all_faces_count_together(winner, film):
    verdict = winner.scan(film(40, people=2))
    assert len(verdict.frames) == 64
    assert len({frame.index for frame in verdict.frames}) == 32
    assert verdict.fake_probability == pytest.approx(np.mean([frame.fake_probability for frame in verdict.frames]))
    assert verdict.reasons[0].startswith("All 64 faces together")


def test_missing_models_are_all_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"winner-b7-111-36, .*winner-b7-999-23; .*unmask models pull winner.*--model"):
        open_preset("winner")
    with pytest.raises(ModelError, match=r"winner-b5-01, .*winner-b5-15; .*recipes/b5.toml"):
        open_preset("b5x15")


def test_models_must_see_what_the_preset_makes():
    with pytest.raises(UsageError, match=r"margin is 0.125 and must be .*detection is"):
        open_preset("winner", "bundled")
    with pytest.raises(UsageError, match="winner-exact"):
        open_preset("loser")


def test_options_have_precedence(weights):
    scanner = open_preset("winner", weights, frames=8, fuse="max")
    assert (scanner.options.frames, scanner.cards[0].fusion) == (8, FUSIONS["max"])
    with pytest.raises(UsageError, match="deepware"):
        Scanner(weights, fuse="guess")
    with pytest.raises(UsageError, match="exact"):
        open_preset("winner-exact", weights, adaptive=True)


def test_a_short_clip(winner, exact, film):
    """Fewer than 32 frames: each once, or, as released, the first one only."""
    clip = film(20)
    assert [frame.index for frame in winner.scan(clip).frames] == list(range(20))
    with open_video(clip) as video:
        assert StalledSampler(32).pick(video).tolist() == [0]
    verdict = exact.scan(clip)
    assert (verdict.frames_asked, [frame.index for frame in verdict.frames]) == (1, [0])
    assert any("judged by its first one" in warning for warning in verdict.warnings)


def test_frames_that_the_header_promises(film):
    with open_video(film(40)) as video:
        lying = replace(video, facts=replace(video.facts, frames_claimed=80))
        assert StalledSampler(32).pick(video).tolist() == np.linspace(0, 39, 32).astype(int).tolist()
        assert StalledSampler(32).pick(lying).tolist() == [i for i in np.linspace(0, 79, 32).astype(int) if i < 40]


def test_a_single_face(winner, exact, film, tmp_path):
    """One face in the video: judged, or, as released, left without a number, which the CSV writes as 0.5."""
    clip = film(40, blank_from=1)
    verdict = winner.scan(clip)
    assert verdict.frames_with_faces == 1
    assert verdict.fake_probability == pytest.approx(verdict.frames[0].fake_probability)
    assert not verdict.warnings or "released" not in verdict.warnings[-1]
    verdict = exact.scan(clip)
    assert (verdict.status, verdict.label, verdict.fake_probability) == ("ok", "inconclusive", None)
    assert "released code" in verdict.reasons[0]
    assert verdict.save(tmp_path / "one.csv").read_text().splitlines()[1].endswith(",0.5")


def test_no_answer(winner, exact, tmp_path):
    """No face or no video: a status without a label or a number; the CSV alone says 0.5."""
    nobody = write_video(tmp_path / "nobody.mp4", map(pattern, range(40)))
    for path, status in ((nobody, "no_face"), (tmp_path / "missing.mp4", "unreadable")):
        for scanner in (winner, exact):
            verdict = scanner.scan(path)
            assert (verdict.status, verdict.label, verdict.fake_probability) == (status, None, None)
            assert verdict.save(tmp_path / "none.csv").read_text().splitlines()[1].endswith(",0.5")


def test_more_faces_than_the_buffer_takes(winner, exact, film, monkeypatch):
    """Four people in 40 frames are 128 faces: all count, or, as released, the last one does not."""
    clip = film(40, people=4)
    assert len(winner.scan(clip).frames) == 128
    verdict = exact.scan(clip)
    assert len(verdict.frames) == 127
    assert "the last 1 faces were ignored" in verdict.warnings[-1]


def test_of_an_ordinary_clip_the_same_is_seen(winner, exact, film):
    clip = film(40)
    one, other = winner.scan(clip), exact.scan(clip)
    assert [frame.index for frame in one.frames] == [frame.index for frame in other.frames]
    for a, b in zip(one.frames, other.frames, strict=True):
        assert a.xyxy_px == pytest.approx(b.xyxy_px, abs=1e-3)
    assert not any("released" in warning for warning in other.warnings)
    assert winner.settings_hash != exact.settings_hash


def test_boxes_are_doubled(portrait):
    detection = DetectorSpec(scale=0.5, shrink="bicubic")
    odd = np.ascontiguousarray(on_canvas(portrait, (321, 321), (20, 20), 280))
    (face,), (ours,) = HalfSizeDetector(detection).detect(odd), load_detector(detection).detect(odd)
    half = np.asarray(Image.fromarray(odd).resize((160, 160)))  # as the released code does
    (small,) = load_detector(replace(detection, scale=1.0)).detect(half)
    assert face.xyxy_px == tuple(2 * edge for edge in small.xyxy_px)
    np.testing.assert_array_equal(face.landmarks_px, 2 * small.landmarks_px)
    assert ours.xyxy_px == pytest.approx([edge * 321 / 160 for edge in small.xyxy_px])
