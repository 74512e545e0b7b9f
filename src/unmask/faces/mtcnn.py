"""MTCNN face detection (Zhang et al. 2016, arXiv 1604.02878), as facenet-pytorch computes it.

Three small networks: P-net proposes boxes on an image pyramid, R-net sifts them, O-net sifts again and gives
five landmarks. The weights are those of the ``mtcnn`` wheel (MIT), the same numbers as facenet-pytorch's; the
networks run on OpenVINO, in fp32 always, since a box must not depend on the machine.

Shape letters: N boxes, H W image, C channels, S side of a network's input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from unmask.faces.box_rules import largest_regions, nms, nms_of_smaller, pixel_regions, regress, square
from unmask.faces.detect import detector_scale, register, scaled_frame
from unmask.faces.mtcnn_networks import CELL_PX, STRIDE_PX, Networks, lend_networks
from unmask.faces.pyramid import FACTOR, Patch, Sums, area_crops, pyramid, sums_of
from unmask.types import DetectorSpec, Face, ImageHW3

Floats = NDArray[np.float32]

_COARSE_SLACK = 0.1
"""Cells of the dense pass within this distance below the threshold are computed again; bf16 errs by 0.06 at most."""
_MAX_CELLS, _MAX_REFINED, _MAX_OUTPUT = 6000, 2048, 512
"""Candidates of one level of the pyramid, and of the frame in the two further stages: the frame of a hundred faces has
fewer. Of more, the best ones go on, and the largest ones to the last stage."""


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
        with lend_networks():
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
        with lend_networks() as networks:
            for _ in range(2):
                found = [_output_near(small, box_4, networks) for box_4 in square(boxes_N4)]
                if any(score <= self.settings.thresholds[2] for _, score, _ in found):
                    return None
                boxes_N4 = np.stack([box_4 for box_4, _, _ in found])
        scores_N, landmarks_N52 = np.array([score for _, score, _ in found]), np.stack([points for *_, points in found])
        if len(nms_of_smaller(boxes_N4, scores_N.astype(np.float32), 0.7)) < len(faces):
            return None  # two of them ended on one
        return _faces(boxes_N4, scores_N, landmarks_N52, (x_scale, y_scale))

    def detect_around(self, image_HW3: ImageHW3, pairs: Sequence[tuple[Face, Face]]) -> list[Face]:
        """Return what `detect` does of a frame between two of one shot, whose faces are known.

        Faces of `unmask.faces.pyramid.EVERYWHERE_SIDES` least sides and more are looked for everywhere, smaller ones
        on the way from where one was to where it will be. Boxes are those of `detect`.
        """
        small, x_scale, y_scale = scaled_frame(image_HW3, self.settings)
        boxes_2N4 = np.array([face.xyxy_px for pair in pairs for face in pair], np.float32).reshape(-1, 4)
        boxes_2N4 /= np.array([x_scale, y_scale, x_scale, y_scale], np.float32)
        return _faces(*_last(self._cascade(small, boxes_2N4.reshape(-1, 2, 4))), (x_scale, y_scale))

    def detect_scaled(self, image_HW3: ImageHW3) -> tuple[Floats, Floats, Floats]:
        """Run the three stages on an image as it is, without resizing it first.

        Returns:
            Boxes (N, 4) xyxy in pixels, scores (N,), landmarks (N, 5, 2) in pixels; in no particular order.
        """
        return _last(self.stages(image_HW3))

    def stages(self, image_HW3: ImageHW3) -> list[Stage]:
        """Run the three stages on an image as it is; return the candidates of each, and what is left of them.

        The last one holds the faces.
        """
        return self._cascade(image_HW3)

    def _cascade(self, image_HW3: ImageHW3, ways_N24: Floats | None = None) -> list[Stage]:
        sums_HW4, stages = sums_of(image_HW3), list[Stage]()
        patches = pyramid(sums_HW4, self.settings.min_face_px, ways_N24)
        with lend_networks() as networks:
            boxes_N4 = self._propose(patches, self.settings.thresholds[0], networks, stages.append)
            self._sift(boxes_N4, sums_HW4, networks, stages.append)
        return stages

    def _sift(self, boxes_N4: Floats, sums_HW4: Sums, networks: Networks, note: Note) -> None:
        """Run stages two and three on what stage one proposes, the best first."""
        _, t_refine, t_output = self.settings.thresholds
        squares, shape = square(boxes_N4)[:_MAX_REFINED], (sums_HW4.shape[0] - 1, sums_HW4.shape[1] - 1)

        regions, inside = pixel_regions(squares, shape)
        probability, shift = networks.run("rnet", area_crops(sums_HW4, regions, 24))
        passed = probability[:, 1] > t_refine
        boxes, scores, shift = squares[inside][passed], probability[passed, 1], shift[passed]
        note(Stage("R-Net candidates", boxes, scores))
        kept = nms(boxes, scores, 0.7)
        boxes = regress(boxes[kept], shift[kept], 1)
        note(Stage("R-Net after NMS", boxes, scores[kept]))
        squares = square(boxes)

        regions, inside = pixel_regions(squares, shape)
        regions, inside = largest_regions(regions, inside, _MAX_OUTPUT)
        probability, shift, points = networks.run("onet", area_crops(sums_HW4, regions, 48))
        passed = probability[:, 1] > t_output
        boxes, scores, shift, points = squares[inside][passed], probability[passed, 1], shift[passed], points[passed]
        landmarks = _landmarks(points, boxes)
        boxes = regress(boxes, shift, 1)
        note(Stage("O-Net candidates", boxes, scores))
        kept = nms_of_smaller(boxes, scores, 0.7)
        note(Stage("O-Net after NMS", boxes[kept], scores[kept], landmarks[kept]))

    def _propose(self, patches: Iterable[Patch], threshold: float, networks: Networks, note: Note) -> Floats:
        """Run stage one; return (N, 4) regressed boxes.

        The dense pass over the pyramid may run in bf16, where the CPU has it. Each cell that comes near
        the threshold is then computed again, from its own 12 x 12 pixels, in fp32: the result is that of a
        dense fp32 pass at a fraction of the time.
        """
        seen: list[Patch] = []
        cells: list[NDArray[np.int64]] = []
        for patch in patches:
            (probability_1RC,) = networks.infer("pnet_dense", patch.pixels_HW3[None])
            seen.append(patch)
            cells.append(_best_cells(probability_1RC[0], threshold - _COARSE_SLACK))
        exact = networks.exact_cells([patch.pixels_HW3 for patch in seen], cells)
        proposed = [np.zeros((0, 10), np.float32)]  # scale, box, score, shift
        for patch, cells_N2, result_N6 in zip(seen, cells, exact, strict=True):
            corner = np.tile(cells_N2[:, ::-1] * STRIDE_PX + 1, 2) + [0, 0, CELL_PX - 1, CELL_PX - 1]
            corner += [patch.column, patch.row] * 2
            boxes = np.floor(corner.astype(np.float32) / np.float32(patch.scale))
            scales = np.full((len(boxes), 1), patch.scale, np.float32)
            passed = result_N6[:, 1] >= threshold
            proposed.append(np.hstack([scales, boxes, result_N6[:, 1:]])[passed])
        found = np.concatenate(proposed)
        note(Stage("P-Net candidates", found[:, 1:5], found[:, 5]))
        levels = [found[found[:, 0] == scale] for scale in dict.fromkeys(found[:, 0].tolist())]
        kept = [level[nms(level[:, 1:5], level[:, 5], 0.5)] for level in levels]
        candidates = np.concatenate([found[:0], *kept])
        candidates = candidates[nms(candidates[:, 1:5], candidates[:, 5], 0.7)]
        boxes = regress(candidates[:, 1:5], candidates[:, 6:], 0)
        note(Stage("P-Net after NMS", boxes, candidates[:, 5]))
        return boxes


def _last(stages: Sequence[Stage]) -> tuple[Floats, Floats, Floats]:
    """Return the boxes, scores and landmarks of the last step."""
    last = stages[-1]
    assert last.landmarks_N52 is not None
    return last.boxes_N4, last.scores_N, last.landmarks_N52


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


def _output_near(image_HW3: ImageHW3, square_4: Floats, networks: Networks) -> tuple[Floats, float, Floats]:
    """Run O-net on one square of an image: the box (4,), its score, 0 where it is outside, the landmarks (5, 2)."""
    regions, _ = pixel_regions(square_4[None], image_HW3.shape[:2])
    if not len(regions):
        return square_4, 0.0, np.zeros((5, 2), np.float32)
    left, top, right, bottom = regions[0].tolist()
    sums_HW4 = sums_of(image_HW3[top:bottom, left:right])
    probability, shift, points = networks.run("onet", area_crops(sums_HW4, regions - [left, top, left, top], 48))
    return regress(square_4[None], shift, 1)[0], float(probability[0, 1]), _landmarks(points, square_4[None])[0]


def without_small_faces(settings: DetectorSpec, min_px: float) -> DetectorSpec:
    """Return settings that skip faces below ``min_px`` and find larger ones exactly as before.

    The image pyramid starts at one of its later levels, and what is left of it is computed exactly as before.
    """
    skipped = math.floor(math.log(max(min_px / settings.min_face_px, 1.0), 1 / FACTOR))
    return replace(settings, min_face_px=settings.min_face_px / FACTOR**skipped)


def _best_cells(probability_RC: Floats, threshold: float) -> NDArray[np.int64]:
    """Return rows and columns (N, 2) of the cells at or above the threshold, at most the best `_MAX_CELLS`."""
    cells_N2 = np.argwhere(probability_RC >= threshold)
    if len(cells_N2) > _MAX_CELLS:
        best = np.argsort(-probability_RC[tuple(cells_N2.T)], kind="stable")[:_MAX_CELLS]
        cells_N2 = cells_N2[np.sort(best)]
    return cells_N2
