"""RetinaFace (Deng et al. 2019, arXiv 1905.00641) with MobileNet-0.25, as RobustForensics runs it.

One network sees the whole frame and predicts, for each of some thousand squares laid over it (priors), whether a face
is there, where its box is, and where its five landmarks are. The network is no part of unmask: it is imported once from
the published weights, and runs on OpenVINO, in fp32 always.

Sources: biubug6/Pytorch_Retinaface (network and weights), Siyu-C/RobustForensics (sizes and thresholds).

Shape letters: P priors, N boxes, H W image.
"""

from __future__ import annotations

import hashlib
import json
import threading
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.faces.detect import largest_first, register
from unmask.runtime.openvino import compile_network, ov, port_shapes, read_network
from unmask.storage.home import models_home
from unmask.storage.plain import read_plain
from unmask.types import DetectorSpec, Face, ImageHW3

Floats = NDArray[np.float32]

MODEL = "retinaface-mnet025"
"""Name of the folder in the user's models: ``model.onnx`` and ``card.json``, as `unmask models` keeps them."""
MIN_CANDIDATE_SCORE = 0.02
"""Boxes with a lower score are dropped at once."""

_SHORT_PX, _LONG_PX = 400, 2150
_STEPS = ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
"""Pixels between priors, and the sides of the two squares at each place."""
_CENTRE_VARIANCE, _SIZE_VARIANCE = 0.1, 0.2
_MAX_OVERLAP = 0.4


@register("retinaface")
class RetinaFace:
    """RetinaFace on OpenVINO. One instance serves many threads.

    Frames are searched at a shorter side of 400 pixels. Of the settings, the last of ``thresholds`` counts: the min
    confidence of a face, 0.8 by default as with RobustForensics.

    Raises:
        ModelError: The network is not installed, or damaged.
    """

    def __init__(self, settings: DetectorSpec) -> None:
        self.settings = settings
        self._own = _Own(models_home() / MODEL)

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        height, width = image_HW3.shape[:2]
        factor = search_factor(height, width)
        small_HW3 = _resized(image_HW3, factor)
        shift_P4, score_P, points_P10 = self._own.run(small_HW3)
        boxes_N4, scores_N, landmarks_N52 = decode(shift_P4, score_P, points_P10, small_HW3.shape[:2])
        # RobustForensics lays its priors over the size rounded down, and stretches them to the size that is searched.
        stretch = [small_HW3.shape[1] / max(1, int(width * factor)), small_HW3.shape[0] / max(1, int(height * factor))]
        to_frame = (np.array(stretch) / factor).astype(np.float32)
        kept = np.flatnonzero(scores_N >= self.settings.thresholds[-1])
        return largest_first(
            Face((x1, y1, x2, y2), min(1.0, float(scores_N[i])), landmarks_N52[i] * to_frame)
            for i, (x1, y1, x2, y2) in zip(kept, (boxes_N4[kept] * np.tile(to_frame, 2)).tolist(), strict=True)
        )


def search_factor(height: int, width: int) -> float:
    """Return by what a frame is resized before the search: shorter side 400 pixels, longer side at most 2150."""
    short, long = sorted((height, width))
    factor = _SHORT_PX / short
    return factor if round(factor * long) <= _LONG_PX else max(_LONG_PX / long, 1 / short)


@lru_cache(8)
def priors(height: int, width: int) -> Floats:
    """Return the squares of an image, (P, 4): centre x, y and sides in its pixels, in the network's order."""
    levels = []
    for step, sides in _STEPS:
        rows, columns = -(-height // step), -(-width // step)
        y, x = np.mgrid[:rows, :columns] + 0.5
        place_N2 = np.stack([x, y], 2).reshape(-1, 1, 2).repeat(len(sides), 1) * step
        side_N2 = np.broadcast_to(np.array(sides, np.float64)[None, :, None], place_N2.shape)
        levels.append(np.concatenate([place_N2, side_N2], 2).reshape(-1, 4))
    found_P4 = np.concatenate(levels).astype(np.float32)
    found_P4.setflags(write=False)
    return found_P4


def decode(
    shift_P4: Floats, score_P: Floats, points_P10: Floats, size: tuple[int, ...]
) -> tuple[Floats, Floats, Floats]:
    """Turn the network's answer for each prior into faces.

    Args:
        shift_P4: Shift of centre and logarithm of the sides, in units of prior and variance.
        score_P: Probability of a face, 0 to 1.
        points_P10: Shifts of the landmarks x, y from the centre, in the same units.
        size: Height and width of the image that was searched.

    Returns:
        Boxes (N, 4) xyxy, scores (N,), landmarks (N, 5, 2), in pixels of that image, surest first.

    Raises:
        ModelError: The network has another number of priors.
    """
    prior_P4 = priors(size[0], size[1])
    if len(prior_P4) != len(score_P):
        raise ModelError(f"the face detector {MODEL!r} answers for {len(score_P)} places, not for {len(prior_P4)}")
    seen = np.flatnonzero(score_P > MIN_CANDIDATE_SCORE)
    centre_N2, side_N2 = prior_P4[seen, :2], prior_P4[seen, 2:]
    shift_N4, scores_N = shift_P4[seen], score_P[seen]
    middle_N2 = centre_N2 + shift_N4[:, :2] * _CENTRE_VARIANCE * side_N2
    half_N2 = side_N2 * np.exp(shift_N4[:, 2:] * _SIZE_VARIANCE) / 2
    boxes_N4 = np.hstack([middle_N2 - half_N2, middle_N2 + half_N2])
    landmarks_N52 = centre_N2[:, None] + points_P10[seen].reshape(-1, 5, 2) * _CENTRE_VARIANCE * side_N2[:, None]
    if len(seen) == 0:  # OpenCV does not take empty arrays
        return boxes_N4, scores_N, landmarks_N52
    xywh_N4 = np.hstack([boxes_N4[:, :2], 2 * half_N2]).astype(np.float64)
    kept = np.asarray(cv2.dnn.NMSBoxes(xywh_N4, scores_N, 0.0, _MAX_OVERLAP), np.int64).reshape(-1)  # type: ignore[arg-type]
    return boxes_N4[kept], scores_N[kept], landmarks_N52[kept]


def run_network(folder: Path, image_HW3: ImageHW3) -> tuple[Floats, Floats, Floats]:
    """Run the network of a folder on an image as it is; see `decode` for its answer.

    Raises:
        ModelError: The network is missing or damaged.
    """
    return _Own(folder).run(image_HW3)


class _Own(threading.local):
    """Each thread's own request; the compiled network is shared."""

    def __init__(self, folder: Path) -> None:
        self._request = _compiled(*_find_network(folder)).create_infer_request()

    def run(self, image_HW3: ImageHW3) -> tuple[Floats, Floats, Floats]:
        """Return shifts (P, 4), scores (P,) and landmarks (P, 10) of all priors."""
        self._request.infer({0: image_HW3[None]}, share_inputs=True)
        shift, score, points = (self._request.get_output_tensor(i).data[0] for i in range(3))
        return shift, score, points


def _resized(image_HW3: ImageHW3, factor: float) -> ImageHW3:
    if factor == 1:
        return np.ascontiguousarray(image_HW3)
    return cv2.resize(image_HW3, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)


_MAX_NETWORK_BYTES, _MAX_CARD_BYTES = 1 << 30, 1 << 20


def _find_network(folder: Path) -> tuple[Path, str]:
    """Return the path of the network and the sha256 in its card.

    Raises:
        ModelError: The network is not installed, or its card does not name it.
    """
    path = folder / "model.onnx"
    if not path.is_file():
        raise ModelError(
            f"the face detector 'retinaface' is not installed: there is no {path}; get mobilenet0.25_Final.pth of "
            f"biubug6/Pytorch_Retinaface, then run: unmask models import mobilenet0.25_Final.pth --as {MODEL}"
        )
    try:
        return path, str(json.loads(read_plain(folder / "card.json", _MAX_CARD_BYTES))["files"][path.name]["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{folder / 'card.json'} does not name the sha256 of {path.name}; import it again") from error


@lru_cache(2)
def _compiled(path: Path, digest: str) -> ov.CompiledModel:
    try:
        content = read_plain(path, _MAX_NETWORK_BYTES)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise ModelError(f"{path} is damaged or was replaced: its sha256 is not the card's; import it again")
    model = read_network(content, path)
    shapes = port_shapes(model)
    if len(shapes) != 4 or model.inputs[0].element_type != ov.Type.u8 or shapes[0][-1] != "3":
        raise ModelError(f"{path} must take a uint8 image (1, H, W, 3) and give boxes, scores and landmarks")
    return compile_network(model)
