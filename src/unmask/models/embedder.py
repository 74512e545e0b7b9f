"""Face embedders: crops in, vectors out; faces of one person point the same way.

An embedder is a folder: ``model.onnx`` takes uint8 RGB crops (N, S, S, 3), normalises them itself, and gives (N, C);
``card.json`` says ``"kind": "embedder"`` and how faces are cut, see `EmbedderCard`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter

from unmask.errors import ModelError
from unmask.faces import crop_face
from unmask.facts import check
from unmask.models.card import CARD_FILE, ONNX_FILE, FileFacts, parse_card, read_verified
from unmask.runtime.openvino import compile_network, port_shapes, read_network
from unmask.types import CropSpec, Face, ImageHW3

TEMPLATES_52 = {
    "arcface": np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655],
                         [70.7299, 92.2041]]) / 112,
    "dlib": (np.array([[0.2255, 0.2160], [0.7548, 0.2160], [0.4901, 0.5156], [0.2541, 0.7802], [0.7261, 0.7802]])
             + 0.25) / 1.5,
}  # fmt: skip
"""Where eyes, nose and mouth corners lie, as shares of the crop's side. Sources: ArcFace, Deng et al. 2019; the mean
shape in dlib's ``dlib/image_transforms/interpolation.h``, with its margin of a quarter."""


SAME_SHARE, DOUBTFUL_SHARE = 0.9, 0.01
"""See `choose_thresholds`."""
_LEAST_DISTANCE = 1e-6

Alignment = Literal["none", "arcface", "dlib"]
Likeness = Literal["same", "different", "inconclusive"]
"""Whether two faces are one person's."""


def embedder_folder(embedder: str | os.PathLike[str]) -> Path:
    """Return the folder of an embedder: ``bundled`` is the one that ships with the package, all else a path."""
    return Path(__file__).parent / "identity" if os.fspath(embedder) == "bundled" else Path(embedder)


@dataclass(frozen=True, slots=True)
class EmbedderCard:
    """All that the ``card.json`` of an embedder holds."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: Literal["embedder"]
    """Kind of model."""
    name: str
    """Short name, as verdicts show it."""
    version: str
    """Version of the weights."""
    licence: str
    """Terms of the weights."""
    crop: CropSpec
    """How faces are cut; of its detection nothing is used."""
    files: dict[str, FileFacts]
    """``model.onnx`` -> its facts."""
    alignment: Alignment = "none"
    """``arcface``, ``dlib``: the five landmarks are laid on this template, which replaces the crop rule but for its
    size; a face without landmarks is cut by the rule."""
    same_below: float = 0.35
    """Max cosine distance of the mean vectors of two tracks, or of two pictures, that are one person's. By default
    that of deepware/deepfake-scanner."""
    different_above: float = 0.5
    """Distance above which they are two people's; between the two nothing can be said."""
    about: dict[str, Any] = field(default_factory=dict)
    """Anything else worth knowing."""

    def __post_init__(self) -> None:
        check(
            0 < self.same_below <= self.different_above <= 2,
            f"same_below {self.same_below} and different_above {self.different_above} must rise within 0..2",
        )

    def compare(self, distance: float) -> Likeness:
        """Return the word for a cosine distance."""
        if distance <= self.same_below:
            return "same"
        return "different" if distance > self.different_above else "inconclusive"


_CARD: TypeAdapter[EmbedderCard] = TypeAdapter(EmbedderCard)


class Embedder:
    """One embedder, loaded and ready. Safe to use from several threads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Check the folder's files against its card, then compile the network.

        Args:
            folder: ``bundled``, or the folder of another; see `embedder_folder`.

        Raises:
            ModelError: The folder is damaged, or its network does not fit its card.
        """
        self.folder = embedder_folder(folder)
        path = self.folder / CARD_FILE
        if not path.is_file():
            raise ModelError(f"no embedder at {os.fspath(folder)!r}: name a folder that holds {CARD_FILE}, or bundled")
        self.card = parse_card(path, _CARD)
        if ONNX_FILE not in self.card.files:
            raise ModelError(f"{path}: files must name {ONNX_FILE}")
        model = read_network(read_verified(self.folder, self.card, ONNX_FILE), path.with_name(ONNX_FILE))
        side, shapes = str(self.card.crop.size_px), port_shapes(model)
        if len(shapes) != 2 or shapes[0][1:] != [side, side, "3"] or len(shapes[1]) != 2:
            raise ModelError(
                f"an embedder takes uint8 crops (N, {side}, {side}, 3) and gives (N, C); this has {shapes}"
            )
        self._network = compile_network(model)

    def cut(self, image_HW3: ImageHW3, face: Face) -> ImageHW3:
        """Cut a face out of its frame: (size_px, size_px, 3) uint8."""
        return cut_face(image_HW3, face, self.card.crop, self.card.alignment)

    def embed(self, crops: Sequence[ImageHW3]) -> NDArray[np.float32]:
        """Return one vector for each crop, (N, C)."""
        request = self._network.create_infer_request()
        request.infer({0: np.stack(crops)})
        return np.array(request.get_output_tensor(0).data, np.float32)


def cut_face(image_HW3: ImageHW3, face: Face, crop: CropSpec, alignment: Alignment) -> ImageHW3:
    """Cut a face out of its frame as an embedder sees it, see `EmbedderCard`: (size_px, size_px, 3) uint8."""
    size = crop.size_px
    if alignment == "none" or face.landmarks_px is None:
        return crop_face(image_HW3, face, crop)
    matrix_23 = similarity(face.landmarks_px.astype(np.float64), TEMPLATES_52[alignment] * size)
    times = max(1, int(1 / np.hypot(*matrix_23[:, 0])))  # a large face is cut larger, then averaged down
    side = (size * times, size * times)
    cut = cv2.warpAffine(image_HW3, matrix_23 * times, side, flags=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(cut, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def choose_thresholds(distance_of_two_people: NDArray[np.float64]) -> tuple[float, float]:
    """Return ``same_below`` and ``different_above`` for a card.

    Two people must not become one, at the price of one person who stays two: the former is `SAME_SHARE` of the smallest
    distance of two people. The latter is the distance that `DOUBTFUL_SHARE` of the pairs of two people fall below.

    Args:
        distance_of_two_people: Cosine distances of pairs of different people, whom training did not see; at least one.
    """
    same_below = max(SAME_SHARE * float(distance_of_two_people.min()), _LEAST_DISTANCE)
    return same_below, max(float(np.quantile(distance_of_two_people, DOUBTFUL_SHARE)), same_below)


def similarity(source_K2: NDArray[np.float64], target_K2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the turn, scaling and shift (2, 3) that bring points nearest to others, by least squares.

    Source: Umeyama 1991. In the plane such a map is a multiplication of complex numbers, which never mirrors.
    """
    source, target = (points @ np.array([1, 1j]) for points in (source_K2, target_K2))
    centred = source - source.mean()
    factor = (centred.conj() @ (target - target.mean())) / (centred.conj() @ centred).real
    shift = target.mean() - factor * source.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
