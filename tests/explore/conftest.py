"""An explored dataset, made once a run, and what its tests share."""

from pathlib import Path

import pytest

from unmask.datasets import Index
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.page import write_explore_page

SETTINGS = ExploreSettings(frames_per_second=3, detectors=("mtcnn", "haar"), extract_frames=True, extract_audio=True)


@pytest.fixture(scope="session")
def explored(index, tmp_path_factory):
    """Output folder, and what was found out about each clip."""
    out = tmp_path_factory.mktemp("explored") / "out"
    with Exploration(index, out, SETTINGS) as exploration:
        assert sum(1 for _ in exploration.run()) == len(index.clips)
        clips = exploration.clips()
        write_explore_page(index, clips, SETTINGS, out / "index.html")
        exploration.finish()
    return out, clips


def dataset(folder: Path, clips) -> Index:
    return Index(folder, "test", tuple(clips))
