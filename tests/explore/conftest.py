"""An explored dataset, made once a run, and what its tests share."""

import pickle
from pathlib import Path

import pytest

from unmask.datasets import Index
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.page import write_explore_page

SETTINGS = ExploreSettings(frames_per_second=3, detectors=("mtcnn", "haar"), extract_frames=True, extract_audio=True)


@pytest.fixture(scope="session")
def explored(index, made_once):
    """Output folder, and what was found out about each clip."""

    def fill(folder):
        with Exploration(index, folder / "out", SETTINGS) as exploration:
            assert sum(1 for _ in exploration.run()) == len(index.clips)
            clips = exploration.clips()
            write_explore_page(index, clips, SETTINGS, folder / "out" / "index.html")
            exploration.finish()
        (folder / "clips.pickle").write_bytes(pickle.dumps(clips))

    folder = made_once("explored", fill)
    return folder / "out", pickle.loads((folder / "clips.pickle").read_bytes())


def dataset(folder: Path, clips) -> Index:
    return Index(folder, "test", tuple(clips))
