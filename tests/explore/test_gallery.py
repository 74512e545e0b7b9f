import numpy as np
import pytest

from tests.explore.conftest import dataset
from tests.media_factory import write_video
from unmask.datasets import Clip
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.gallery import example_frames, fakes_beside_originals, side_by_side
from unmask.explore.page import write_explore_page
from unmask.media import open_video


def test_side_by_side_plays(index, explored, tmp_path):
    fake = next(c for c in index.clips if c.label == "fake" and (explored[0] / "frames" / c.id).exists())
    original = next(c for c in index.clips if c.id == fake.original)
    (tmp_path / "pair.mp4").write_bytes(side_by_side(index, original, fake))
    with open_video(tmp_path / "pair.mp4") as video:
        assert (video.facts.width, video.facts.height, video.facts.codec) == (640, 240, "h264")
        assert video.facts.duration_seconds == pytest.approx(1, abs=0.1)


def test_examples_alternate_and_doubtful_ones_are_found(index, explored):
    _, clips = explored
    examples = example_frames(index, clips, 4, seed=0, doubtful=False)
    assert [image.label for image in examples] == ["real", "fake", "real", "fake"]
    assert len({image.id for image in examples}) == 4
    assert all(image.doubts for image in example_frames(index, clips, 4, seed=0, doubtful=True))
    shown = fakes_beside_originals(index, clips, 3, seed=0)
    assert len(shown) == 3


def test_a_shape_that_h264_refuses_costs_only_its_pair(tmp_path):
    strip = [np.full((16, 4096, 3), 90, np.uint8)] * 5
    write_video(tmp_path / "a.mp4", strip, codec="mjpeg", pixel_format="yuvj420p")
    write_video(tmp_path / "b.mp4", strip, codec="mjpeg", pixel_format="yuvj420p")
    index = dataset(tmp_path, [Clip("a", "a.mp4", "real"), Clip("b", "b.mp4", "fake", "a")])
    with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
        list(exploration.run())
        write_explore_page(index, exploration.clips(), ExploreSettings(sample=0), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size > 5000
