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
from unmask.models.card import CARD_FILE, ONNX_FILE, FileFacts, parse_card, read_verified
from unmask.runtime.openvino import compile_network, port_shapes, read_network
from unmask.types import CropSpec, Face, ImageHW3

_TEMPLATE_52 = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""Where eyes, nose and mouth corners lie in 112 pixels. Source: ArcFace, Deng et al. 2019."""
_TEMPLATE_PX = 112


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
    alignment: Literal["none", "arcface"] = "none"
    """``arcface``: the five landmarks are laid on ArcFace's template, which replaces the crop rule but for its size;
    a face without landmarks is cut by the rule."""
    about: dict[str, Any] = field(default_factory=dict)
    """Anything else worth knowing."""


_CARD: TypeAdapter[EmbedderCard] = TypeAdapter(EmbedderCard)


class Embedder:
    """One embedder, loaded and ready. Safe to use from several threads."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Check the folder's files against its card, then compile the network.

        Raises:
            ModelError: The folder is damaged, or its network does not fit its card.
        """
        path = Path(folder) / CARD_FILE
        if not path.is_file():
            raise ModelError(f"no embedder at {os.fspath(folder)!r}: name a folder that holds {CARD_FILE}")
        self.card = parse_card(path, _CARD)
        if ONNX_FILE not in self.card.files:
            raise ModelError(f"{path}: files must name {ONNX_FILE}")
        model = read_network(read_verified(Path(folder), self.card, ONNX_FILE), path.with_name(ONNX_FILE))
        side, shapes = str(self.card.crop.size_px), port_shapes(model)
        if len(shapes) != 2 or shapes[0][1:] != [side, side, "3"] or len(shapes[1]) != 2:
            raise ModelError(
                f"an embedder takes uint8 crops (N, {side}, {side}, 3) and gives (N, C); this has {shapes}"
            )
        self._network = compile_network(model)

    def cut(self, image_HW3: ImageHW3, face: Face) -> ImageHW3:
        """Cut a face out of its frame: (size_px, size_px, 3) uint8."""
        size = self.card.crop.size_px
        if self.card.alignment == "none" or face.landmarks_px is None:
            return crop_face(image_HW3, face, self.card.crop)
        matrix_23 = similarity(face.landmarks_px.astype(np.float64), _TEMPLATE_52 * (size / _TEMPLATE_PX))
        return np.asarray(cv2.warpAffine(image_HW3, matrix_23, (size, size), flags=cv2.INTER_LINEAR), np.uint8)

    def embed(self, crops: Sequence[ImageHW3]) -> NDArray[np.float32]:
        """Return one vector for each crop, (N, C)."""
        request = self._network.create_infer_request()
        request.infer({0: np.stack(crops)})
        return np.array(request.get_output_tensor(0).data, np.float32)


def similarity(source_K2: NDArray[np.float64], target_K2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the turn, scaling and shift (2, 3) that bring points nearest to others, by least squares.

    Source: Umeyama 1991. In the plane such a map is a multiplication of complex numbers, which never mirrors.
    """
    source, target = (points @ np.array([1, 1j]) for points in (source_K2, target_K2))
    centred = source - source.mean()
    factor = (centred.conj() @ (target - target.mean())) / (centred.conj() @ centred).real
    shift = target.mean() - factor * source.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])
