"""MTCNN face detection (Zhang et al. 2016, arXiv 1604.02878), as facenet-pytorch computes it.

Three small networks: P-net proposes boxes on an image pyramid, R-net sifts them, O-net sifts again and gives
five landmarks. The weights are those of the ``mtcnn`` wheel (MIT), the same numbers as facenet-pytorch's; the
networks run on OpenVINO, in fp32 always, since a box must not depend on the machine.

Shape letters: N boxes, H W image, C channels, S side of a network's input.
"""

from __future__ import annotations

import hashlib
import math
import queue
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, distribution
from io import BytesIO
from pathlib import Path
from typing import cast

import cv2
import joblib
import lz4.frame
import numpy as np
from numpy.typing import NDArray

from unmask.errors import ModelError
from unmask.faces.box_rules import largest_regions, nms, nms_of_smaller, pixel_regions, regress, square
from unmask.faces.detect import detector_scale, register, scaled_frame
from unmask.runtime.openvino import compile_network, op, ov
from unmask.types import DetectorSpec, Face, ImageHW3

Floats = NDArray[np.float32]

_PYRAMID_FACTOR = 0.709
_CELL_PX, _STRIDE_PX = 12, 2
_COARSE_SLACK = 0.1
"""Cells of the dense pass within this distance below the threshold are computed again; bf16 errs by 0.06 at most."""
_MAX_CELLS, _MAX_REFINED, _MAX_OUTPUT = 6000, 2048, 512
"""Candidates of one level of the pyramid, and of the frame in the two further stages: the frame of a hundred faces has
fewer. Of more, the best ones go on, and the largest ones to the last stage."""
_BATCH = {"pnet": 64, "rnet": 16, "onet": 4}
"""Fixed batch of each network: a new shape would compile new kernels."""
_SHA256 = {
    "pnet": "ea6b0c3e685ebee3165326ad6484acc95f2ef78f1c94fbf40a55704fa989f7b5",
    "rnet": "cb00e6460f3c98b0bfafaba3c0a0ded4bdf6e62cee7174d969e8670d7e757fee",
    "onet": "94f6ea2f4cf985275ee958cdd762d17b6009348a4fb9d8c6be39ba73ffd22ca3",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What is left of the boxes at one step of the cascade."""

    name: str
    """The network, and whether overlapping boxes are gone."""
    boxes_N4: Floats
    """(N, 4) xyxy in pixels of the image that is searched."""
    scores_N: Floats
    """(N,) probability of a face that the network gives, 0 to 1."""
    landmarks_N52: Floats | None = None
    """(N, 5, 2) in pixels of that image, of the last step alone."""


Note = Callable[[Stage], None]
"""Takes each step of the cascade as it is done."""


@register("mtcnn")
class Mtcnn:
    """MTCNN on OpenVINO. One instance serves many threads."""

    def __init__(self, settings: DetectorSpec) -> None:
        self.settings = settings
        with _networks():
            pass  # compiles now rather than at the first frame

    def detect(self, image_HW3: ImageHW3) -> list[Face]:
        """Return the faces of an upright RGB frame in its own pixels, largest first."""
        small, x_scale, y_scale = scaled_frame(image_HW3, self.settings)
        return _faces(*self.detect_scaled(small), (x_scale, y_scale))

    def detect_large(self, image_HW3: ImageHW3, least_side_px: float) -> list[Face]:
        """Return the faces from a side on, and some smaller ones; those of twice the side as `detect` finds them."""
        factor = detector_scale(image_HW3.shape[1], image_HW3.shape[0], self.settings.scale)
        least_px = max(self.settings.min_face_px, least_side_px * factor)
        return Mtcnn(without_small_faces(self.settings, least_px)).detect(image_HW3)

    def detect_near(self, image_HW3: ImageHW3, faces: Sequence[Face]) -> list[Face] | None:
        """Return where the faces of an earlier frame are now, largest first; None where one is not found again.

        The last network alone looks at each box, and once more at the box that it gives.
        """
        small, x_scale, y_scale = scaled_frame(image_HW3, self.settings)
        boxes_N4 = np.array([face.xyxy_px for face in faces], np.float32)
        boxes_N4 /= np.array([x_scale, y_scale, x_scale, y_scale], np.float32)
        with _networks() as networks:
            for _ in range(2):
                found = [_output_near(small, box_4, networks) for box_4 in square(boxes_N4)]
                if any(score <= self.settings.thresholds[2] for _, score, _ in found):
                    return None
                boxes_N4 = np.stack([box_4 for box_4, _, _ in found])
        scores_N, landmarks_N52 = np.array([score for _, score, _ in found]), np.stack([points for *_, points in found])
        if len(nms_of_smaller(boxes_N4, scores_N.astype(np.float32), 0.7)) < len(faces):
            return None  # two of them ended on one
        return _faces(boxes_N4, scores_N, landmarks_N52, (x_scale, y_scale))

    def detect_scaled(self, image_HW3: ImageHW3) -> tuple[Floats, Floats, Floats]:
        """Run the three stages on an image as it is, without resizing it first.

        Returns:
            Boxes (N, 4) xyxy in pixels, scores (N,), landmarks (N, 5, 2) in pixels; in no particular order.
        """
        last = self.stages(image_HW3)[-1]
        assert last.landmarks_N52 is not None
        return last.boxes_N4, last.scores_N, last.landmarks_N52

    def stages(self, image_HW3: ImageHW3) -> list[Stage]:
        """Run the three stages on an image as it is; return the candidates of each, and what is left of them.

        The last one holds the faces.
        """
        stages: list[Stage] = []
        with _networks() as networks:
            self._cascade(cv2.integral(image_HW3), image_HW3.shape[:2], networks, stages.append)
        return stages

    def _cascade(self, sums_HW3: NDArray[np.int32], shape: tuple[int, ...], networks: _Networks, note: Note) -> None:
        t_propose, t_refine, t_output = self.settings.thresholds
        squares = square(self._propose(sums_HW3, t_propose, networks, note))[:_MAX_REFINED]  # best first

        regions, inside = pixel_regions(squares, shape)
        probability, shift = networks.run("rnet", area_crops(sums_HW3, regions, 24))
        passed = probability[:, 1] > t_refine
        boxes, scores, shift = squares[inside][passed], probability[passed, 1], shift[passed]
        note(Stage("R-Net candidates", boxes, scores))
        kept = nms(boxes, scores, 0.7)
        boxes = regress(boxes[kept], shift[kept], 1)
        note(Stage("R-Net after NMS", boxes, scores[kept]))
        squares = square(boxes)

        regions, inside = pixel_regions(squares, shape)
        regions, inside = largest_regions(regions, inside, _MAX_OUTPUT)
        probability, shift, points = networks.run("onet", area_crops(sums_HW3, regions, 48))
        passed = probability[:, 1] > t_output
        boxes, scores, shift, points = squares[inside][passed], probability[passed, 1], shift[passed], points[passed]
        landmarks = _landmarks(points, boxes)
        boxes = regress(boxes, shift, 1)
        note(Stage("O-Net candidates", boxes, scores))
        kept = nms_of_smaller(boxes, scores, 0.7)
        note(Stage("O-Net after NMS", boxes[kept], scores[kept], landmarks[kept]))

    def _propose(self, sums_HW3: NDArray[np.int32], threshold: float, networks: _Networks, note: Note) -> Floats:
        """Run stage one; return (N, 4) regressed boxes.

        The dense pass over the pyramid may run in bf16, where the CPU has it. Each cell that comes near
        the threshold is then computed again, from its own 12 x 12 pixels, in fp32: the result is that of a
        dense fp32 pass at a fraction of the time.
        """
        scales, levels, cells = [], [], []
        for scale, level_HW3 in pyramid(sums_HW3, self.settings.min_face_px):
            (probability_1RC,) = networks.infer("pnet_dense", level_HW3[None])
            scales.append(scale)
            levels.append(level_HW3)
            cells.append(_best_cells(probability_1RC[0], threshold - _COARSE_SLACK))
        found, all_passed = [np.zeros((0, 9), np.float32)], [np.zeros((0, 5), np.float32)]
        exact = networks.exact_cells(levels, cells)
        for scale, cells_N2, result_N6 in zip(scales, cells, exact, strict=True):
            corner = np.tile(cells_N2[:, ::-1] * _STRIDE_PX + 1, 2) + [0, 0, _CELL_PX - 1, _CELL_PX - 1]
            boxes = np.floor(corner.astype(np.float32) / np.float32(scale))
            scores, shift = result_N6[:, 1], result_N6[:, 2:]
            passed = np.flatnonzero(scores >= threshold)
            all_passed.append(np.hstack([boxes, scores[:, None]])[passed])
            kept = passed[nms(boxes[passed], scores[passed], 0.5)]
            found.append(np.hstack([boxes, scores[:, None], shift])[kept])
        proposed = np.concatenate(all_passed)
        note(Stage("P-Net candidates", proposed[:, :4], proposed[:, 4]))
        candidates = np.concatenate(found)
        candidates = candidates[nms(candidates[:, :4], candidates[:, 4], 0.7)]
        boxes = regress(candidates[:, :4], candidates[:, 5:], 0)
        note(Stage("P-Net after NMS", boxes, candidates[:, 4]))
        return boxes


def _faces(boxes_N4: Floats, scores_N: Floats, landmarks_N52: Floats, scales: tuple[float, float]) -> list[Face]:
    """Return faces in pixels of the frame, largest first; boxes and landmarks are in those of the scaled one."""
    boxes_N4 = boxes_N4 * np.array([*scales, *scales], np.float32)
    landmarks_N52 = landmarks_N52 * np.array(scales, np.float32)
    order = np.argsort(-(boxes_N4[:, 2] - boxes_N4[:, 0]) * (boxes_N4[:, 3] - boxes_N4[:, 1]), kind="stable")
    return [
        Face(
            cast(tuple[float, float, float, float], tuple(boxes_N4[i].tolist())),
            float(scores_N[i]),
            landmarks_N52[i],
        )
        for i in order
    ]


def _landmarks(points_N10: Floats, squares_N4: Floats) -> Floats:
    """Return the points of O-net (N, 5, 2) in pixels, from shares of the squares it saw."""
    sides = squares_N4[:, 2:] - squares_N4[:, :2] + 1
    return np.stack([points_N10[:, :5], points_N10[:, 5:]], 2) * sides[:, None] + squares_N4[:, None, :2] - 1


def _output_near(image_HW3: ImageHW3, square_4: Floats, networks: _Networks) -> tuple[Floats, float, Floats]:
    """Run O-net on one square of an image: the box (4,), its score, 0 where it is outside, the landmarks (5, 2)."""
    regions, _ = pixel_regions(square_4[None], image_HW3.shape[:2])
    if not len(regions):
        return square_4, 0.0, np.zeros((5, 2), np.float32)
    left, top, right, bottom = regions[0].tolist()
    sums_HW3 = cv2.integral(image_HW3[top:bottom, left:right])
    probability, shift, points = networks.run("onet", area_crops(sums_HW3, regions - [left, top, left, top], 48))
    return regress(square_4[None], shift, 1)[0], float(probability[0, 1]), _landmarks(points, square_4[None])[0]


def pyramid(sums_HW3: NDArray[np.int32], min_face_px: float) -> Iterator[tuple[float, Floats]]:
    """Yield scale and pixels, (h, w, 3) in -1..1, of each level of an image, given as its integral."""
    height, width = sums_HW3.shape[0] - 1, sums_HW3.shape[1] - 1
    scale = _CELL_PX / min_face_px
    while min(height, width) * scale >= _CELL_PX:
        yield scale, area_pool(sums_HW3, (int(height * scale + 1), int(width * scale + 1)))
        scale *= _PYRAMID_FACTOR


def without_small_faces(settings: DetectorSpec, min_px: float) -> DetectorSpec:
    """Return settings that skip faces below ``min_px`` and find larger ones exactly as before.

    The image pyramid starts at one of its later levels, and what is left of it is computed exactly as before.
    """
    skipped = math.floor(math.log(max(min_px / settings.min_face_px, 1.0), 1 / _PYRAMID_FACTOR))
    return replace(settings, min_face_px=settings.min_face_px / _PYRAMID_FACTOR**skipped)


class _Networks:
    """A set of compiled networks. It runs in the calling thread and serves one thread at a time."""

    def __init__(self) -> None:
        models = {name: compile_network(_build(name, batch)) for name, batch in _BATCH.items()}
        # The dense P-net takes images of any size; OpenVINO caches kernels by shape.
        models["pnet_dense"] = compile_network(_build("pnet", None), "bf16")
        self._requests = {name: model.create_infer_request() for name, model in models.items()}

    def infer(self, network: str, x_NHW3: Floats) -> list[Floats]:
        """Run a network once; return its outputs, which are valid until it runs again."""
        request = self._requests[network]
        request.infer({0: np.ascontiguousarray(x_NHW3)}, share_inputs=True)
        return [request.get_output_tensor(i).data for i in range(len(request.model_outputs))]

    def run(self, network: str, x_NSS3: Floats) -> list[Floats]:
        """Run a network on any number of small images, in chunks of its fixed batch."""
        batch = _BATCH[network]
        chunks = [x_NSS3[i : i + batch] for i in range(0, max(len(x_NSS3), 1), batch)]
        chunks[-1] = np.concatenate([chunks[-1], np.zeros((batch - len(chunks[-1]), *x_NSS3.shape[1:]), np.float32)])
        results = [[output.copy() for output in self.infer(network, chunk)] for chunk in chunks]
        return [np.concatenate(outputs)[: len(x_NSS3)] for outputs in zip(*results, strict=True)]

    def exact_cells(self, levels: list[Floats], cells: list[NDArray[np.int64]]) -> list[Floats]:
        """Compute single P-net cells (row, column) of each level in fp32: (N, 6) two classes and box shift each."""
        results = [np.zeros((len(cells_N2), 6), np.float32) for cells_N2 in cells]
        patches: dict[tuple[int, ...], list[tuple[Floats, Floats, NDArray[np.bool_]]]] = {}
        for level_HW3, cells_N2, result_N6 in zip(levels, cells, results, strict=True):
            corner_N2 = cells_N2 * _STRIDE_PX
            # The last row or column may see 11 pixels, where pooling rounds up.
            reach_N2 = np.minimum(_CELL_PX, np.array(level_HW3.shape[:2]) - corner_N2)
            for reach in {tuple(reach) for reach in reach_N2.tolist()}:
                chosen = (reach_N2 == reach).all(1)
                windows = np.lib.stride_tricks.sliding_window_view(level_HW3, reach, axis=(0, 1))
                pixels = windows[corner_N2[chosen, 0], corner_N2[chosen, 1]].transpose(0, 2, 3, 1)
                patches.setdefault(reach, []).append((pixels, result_N6, chosen))
        for group in patches.values():
            answers = np.hstack(self.run("pnet", np.concatenate([pixels for pixels, _, _ in group])))
            for pixels, result_N6, chosen in group:
                result_N6[chosen], answers = answers[: len(pixels)], answers[len(pixels) :]
        return results


_IDLE: queue.LifoQueue[_Networks] = queue.LifoQueue()


@contextmanager
def _networks() -> Iterator[_Networks]:
    """Lend a set of compiled networks; there are as many as threads that ever detected at the same time."""
    try:
        networks = _IDLE.get_nowait()
    except queue.Empty:
        networks = _Networks()
    try:
        yield networks
    finally:
        _IDLE.put(networks)


def _bins(length: int | NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first pixel and the end of each bin of adaptive average pooling (torch's "area" mode).

    Bin i of n covers the pixels from floor(i L / n) to ceil((i + 1) L / n): neighbours may share a pixel, and
    enlarging repeats pixels.
    """
    step = np.arange(count)
    return step * length // count, -(-(step + 1) * length // count)


def area_pool(sums_HW3: NDArray[np.int32], size: tuple[int, int]) -> Floats:
    """Average-pool an image, given as its integral, to ``size`` (height, width); (mean - 127.5) / 128."""
    (y_from, y_to), (x_from, x_to) = _bins(sums_HW3.shape[0] - 1, size[0]), _bins(sums_HW3.shape[1] - 1, size[1])
    rows = sums_HW3.take(y_to, axis=0)  # whole rows first: they are contiguous
    rows -= sums_HW3.take(y_from, axis=0)
    total = rows.take(x_to, axis=1)
    total -= rows.take(x_from, axis=1)
    flat = total.reshape(size[0], -1).astype(np.float32)
    flat *= np.repeat(np.float32(1 / 128) / (x_to - x_from).astype(np.float32), 3)
    flat *= 1 / (y_to - y_from).astype(np.float32)[:, None]
    flat -= np.float32(127.5 / 128)
    return flat.reshape(*size, 3)


def area_crops(sums_HW3: NDArray[np.int32], xyxy_N4: NDArray[np.int64], side: int) -> Floats:
    """Average-pool N regions (ends exclusive) of the image as `area_pool` does: (N, side, side, 3)."""
    x_from, x_to = (xyxy_N4[:, :1] + edge for edge in _bins((xyxy_N4[:, 2] - xyxy_N4[:, 0])[:, None], side))
    y_from, y_to = (xyxy_N4[:, 1:2] + edge for edge in _bins((xyxy_N4[:, 3] - xyxy_N4[:, 1])[:, None], side))
    flat, width = sums_HW3.reshape(-1, 3), sums_HW3.shape[1]
    top, bottom, left, right = (y_from * width)[..., None], (y_to * width)[..., None], x_from[:, None], x_to[:, None]
    total = flat.take(bottom + right, axis=0) - flat.take(bottom + left, axis=0)
    total += flat.take(top + left, axis=0) - flat.take(top + right, axis=0)
    area = ((y_to - y_from)[:, :, None] * (x_to - x_from)[:, None])[..., None]
    return total * (np.float32(1 / 128) / area.astype(np.float32)) - np.float32(127.5 / 128)


def _best_cells(probability_RC: Floats, threshold: float) -> NDArray[np.int64]:
    """Return rows and columns (N, 2) of the cells at or above the threshold, at most the best `_MAX_CELLS`."""
    cells_N2 = np.argwhere(probability_RC >= threshold)
    if len(cells_N2) > _MAX_CELLS:
        best = np.argsort(-probability_RC[tuple(cells_N2.T)], kind="stable")[:_MAX_CELLS]
        cells_N2 = cells_N2[np.sort(best)]
    return cells_N2


def load_weights(name: str) -> list[Floats]:
    """Read the arrays of ``pnet``, ``rnet`` or ``onet`` from the ``mtcnn`` wheel, in the order of the layers.

    Raises:
        ModelError: The wheel is missing, or its file is not the one unmask knows.
    """
    try:
        path = Path(str(distribution("mtcnn").locate_file(f"mtcnn/assets/weights/{name}.lz4")))
        packed = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        raise ModelError("the face detector's weights are missing; run: pip install mtcnn==1.0.0") from error
    if (
        hashlib.sha256(packed).hexdigest() != _SHA256[name]
    ):  # joblib files can run code: read only the one that was reviewed
        raise ModelError(f"{path} is not the file of mtcnn 1.0.0; run: pip install --force-reinstall mtcnn==1.0.0")
    return [np.asarray(array, np.float32) for array in joblib.load(BytesIO(lz4.frame.decompress(packed)))]


def _build(name: str, batch: int | None) -> ov.Model:
    """Assemble a network from its weights.

    With a batch: (N, S, S, 3) in, of P-net 12 or 11 pixels a side; probability (N, 2), shift (N, 4) and, of O-net,
    points (N, 10) out.
    Without: the dense P-net, (1, H, W, 3) in; face probability (1, R, C) of each cell out.
    """
    weights = iter(load_weights(name))

    def convolve(x: ov.Node) -> ov.Node:
        kernel = np.ascontiguousarray(next(weights).transpose(3, 2, 0, 1))
        y = op.convolution(x, op.constant(kernel), [1, 1], [0, 0], [0, 0], [1, 1])
        return op.add(y, op.constant(next(weights).reshape(1, -1, 1, 1)))

    def dense(x: ov.Node) -> ov.Node:
        y = op.matmul(x, op.constant(next(weights)), False, False)
        return op.add(y, op.constant(next(weights).reshape(1, -1)))

    def prelu(x: ov.Node) -> ov.Node:
        return op.prelu(x, op.constant(next(weights).reshape(-1)))

    def pool(x: ov.Node, side: int) -> ov.Output:
        return op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [side, side], rounding_type="ceil").output(0)

    pools = {"pnet": [2, 0, 0], "rnet": [3, 3, 0], "onet": [3, 3, 2, 0]}[name]
    side = {"pnet": -1, "rnet": 24, "onet": 48}[name]
    image = op.parameter([batch or 1, side, side, 3], np.float32)
    x = op.transpose(image, op.constant([0, 3, 1, 2]))
    for pool_side in pools:
        x = prelu(convolve(x))
        x = pool(x, pool_side) if pool_side else x
    head = convolve
    if name != "pnet":
        # Column-major order, as in the original Matlab code.
        x = op.reshape(op.transpose(x, op.constant([0, 3, 2, 1])), op.constant([0, -1]), special_zero=True)
        x, head = prelu(dense(x)), dense
    heads = [head(x) for _ in range(3 if name == "onet" else 2)]  # shift, (points,) two classes
    probability = op.softmax(heads.pop(), 1)
    if batch is None:
        return ov.Model([op.gather(probability, op.constant(1), op.constant(1))], [image], name)
    outputs = [op.reshape(y, op.constant([batch, -1]), special_zero=False) for y in (probability, *heads)]
    return ov.Model(outputs, [image], name)
