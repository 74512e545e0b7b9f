"""The winner's presets, with the bundled network in the place of his."""

import json
import shutil

import numpy as np
import pytest

from tests.media_factory import on_canvas, write_video
from unmask import open_preset
from unmask.models.card import bundled_folder


@pytest.fixture(scope="package")
def weights(tmp_path_factory):
    """The bundled network with the winner's crop rule in its card, and decided thresholds."""
    folder = shutil.copytree(bundled_folder(), tmp_path_factory.mktemp("models") / "stand-in")
    card = json.loads((folder / "card.json").read_text())
    detection = {"scale": 0.5, "shrink": "bicubic"}
    card["crop"] = {"size_px": card["crop"]["size_px"], "detection": detection, "colours": "bt601"}
    (folder / "card.json").write_text(json.dumps(card))
    return folder


@pytest.fixture(scope="package")
def winner(weights):
    return open_preset("winner", weights, precision="fp32")


@pytest.fixture(scope="package")
def exact(weights):
    return open_preset("winner-exact", weights, precision="fp32")


@pytest.fixture(scope="package")
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
