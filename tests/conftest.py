"""Clips that many tests share, made once a run."""

from pathlib import Path

import numpy as np
import pytest
from examples.make_clips import PORTRAIT, blend_portrait

from tests.media_factory import write_film
from tests.prepared import prepare
from unmask import Scanner
from unmask.augment.selfblend import self_blend
from unmask.datasets import Index, read_index
from unmask.datasets.synthetic import read_portrait, write_sample
from unmask.faces import load_detector
from unmask.types import DetectorSpec, Face


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    return read_portrait(PORTRAIT)


@pytest.fixture(scope="session")
def portrait_face(portrait) -> Face:
    return load_detector(DetectorSpec()).detect(portrait)[0]


@pytest.fixture(scope="session")
def blended(portrait) -> np.ndarray:
    return blend_portrait(portrait)


@pytest.fixture(scope="session")
def clips(tmp_path_factory, portrait, blended) -> dict[str, Path]:
    """Short clips by name: ``authentic`` and ``blended``."""
    folder = tmp_path_factory.mktemp("clips")
    pictures = {"authentic": portrait, "blended": blended}
    return {name: write_film(picture, folder / f"{name}.mp4", frames=40) for name, picture in pictures.items()}


@pytest.fixture(scope="session")
def scanner() -> Scanner:
    """The bundled model in fp32, so that numbers do not depend on the processor."""
    return Scanner(precision="fp32", frames=16)


@pytest.fixture(scope="session")
def sample(tmp_path_factory) -> Path:
    """Two parts: four originals, six fakes of which one is broken, and a clip without faces."""
    folder = tmp_path_factory.mktemp("sample") / "dfdc"
    write_sample(folder, [PORTRAIT], self_blend, parts=2, seconds=1.0)
    return folder


@pytest.fixture(scope="session")
def index(sample) -> Index:
    return read_index(sample)


@pytest.fixture(scope="session")
def prepared(index, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(index, out)
    return out


def pytest_collection_modifyitems(items) -> None:
    """Tests that train come last, so that those of the base install run before torch has started its threads."""
    items.sort(key=lambda item: bool({"training", "networks", "checkpoints"} & set(item.path.parts)))
