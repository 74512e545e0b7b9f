"""Train MTCNN's three networks on images with boxes: face or not, box and landmarks at once.

    for event in train_cascade(load_cascade_recipe(Path("recipes/mtcnn.toml")), Path("faces.csv"), Path("runs/mtcnn")):
        print(event)

Source: Zhang et al. 2016, arXiv 1604.02878, section II. There R-Net and O-Net learn from what the networks before them
let pass; here all three learn from crops drawn around the boxes and away from them. Landmarks are learned by O-Net
alone, as the published P-Net and R-Net have no such output.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter
from torch import Tensor

from unmask.errors import UsageError
from unmask.faces.pyramid import area_crops, sums_of
from unmask.faces.track import iou
from unmask.models.networks.mtcnn import CASCADE
from unmask.storage.atomic import atomic_file
from unmask.storage.rowlog import json_line
from unmask.training.losses import cascade_loss
from unmask.training.recipe import load_other_recipe

NEGATIVE, PART, POSITIVE = 0, 1, 2
"""What a crop is: no face, part of one, a face."""
_LEAST_PART, _LEAST_POSITIVE, _MOST_NEGATIVE = 0.4, 0.65, 0.3
"""Overlaps (IoU) with a box, from the paper."""
_TRIES = 50
_HELD_OUT = 10
"""Each image whose number is a multiple of this validates."""
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class CascadeRecipe:
    """How the three are trained."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: Literal["cascade"]
    """What tells such a recipe from others."""
    name: str
    purpose: str
    """What comes out, in a sentence."""
    steps: int
    """For each network."""
    images_a_step: int = 32
    """Each gives two positives, two parts and six negatives, as the paper's 1:1:3; fewer where it has no room."""
    learning_rate: float = 0.001
    """Of Adam; falls to nothing along a cosine."""
    hardest: float = 0.7
    """Share of the crops, those with the largest loss, of which the loss of face or not is the mean."""
    box_weight: float = 0.5
    landmark_weight: float = 1.0
    """Of O-Net; that of face or not is 1."""
    validate_every: int = 1000
    """Steps."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BoxedImage:
    """An image and its faces."""

    path: Path
    """The file."""
    boxes_N4: Floats
    """(N, 4) xyxy in pixels."""
    landmarks_N10: Floats
    """(N, 10) x of both eyes, nose and mouth corners, then y, in pixels; NaN where unknown."""


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of one network, with what it should say."""

    x_N3SS: Tensor
    kind_N: Tensor
    """`NEGATIVE`, `PART` or `POSITIVE`."""
    shift_N4: Tensor
    """Box less crop, edge by edge, in sides of the crop."""
    landmarks_N10: Tensor
    """In sides of the crop from its corner; NaN where there are none."""


_RECIPE: TypeAdapter[CascadeRecipe] = TypeAdapter(CascadeRecipe)


def load_cascade_recipe(path: Path, changes: dict[str, Any] | None = None) -> CascadeRecipe:
    """Read a recipe; ``changes`` replace its values.

    Raises:
        UsageError: It is missing, no TOML, or has a missing, unknown or impossible key, which is named.
    """
    return load_other_recipe(path, _RECIPE, changes)


def read_boxes_table(table: Path) -> list[BoxedImage]:
    """Read a CSV of faces: ``image,x1,y1,x2,y2``, where known ``lx1 ... lx5, ly1 ... ly5``; paths start at its folder.

    Raises:
        UsageError: It is no such table.
    """
    faces: dict[str, list[tuple[list[float], list[float]]]] = {}
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file):
                box = [float(row[name]) for name in ("x1", "y1", "x2", "y2")]
                points = [float(row.get(f"l{axis}{i}") or "nan") for axis in "xy" for i in range(1, 6)]
                if not (box[2] > box[0] and box[3] > box[1]):
                    raise ValueError(f"box {box} of {row['image']!r} is empty")
                faces.setdefault(row["image"], []).append((box, points))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UsageError(f"{table} is no table of boxes ({error}); it needs image,x1,y1,x2,y2") from error
    if len(faces) < 2:
        raise UsageError(f"{table} names {len(faces)} images; training needs two at least, one of them to validate")
    return [
        BoxedImage(table.parent / name, *(np.array(values, np.float32) for values in zip(*rows, strict=True)))
        for name, rows in faces.items()
    ]


def train_cascade(
    recipe: CascadeRecipe, table: Path, out: Path, *, device: str = "auto", resume: bool = False
) -> Iterator[dict[str, Any]]:
    """Train the three networks one after the other; write ``<network>.safetensors`` as each is done.

    Args:
        recipe: The run.
        table: See `read_boxes_table`.
        out: Folder of the run.
        device: ``cpu``, ``cuda``, or ``auto``: the graphics card where there is one.
        resume: Keep networks that are there already.

    Yields:
        The losses now and then, and after each validation ``accuracy`` (share of crops rightly called face or not)
        and ``iou`` (mean overlap of the moved crops with the boxes).

    Raises:
        UsageError: The table makes no sense, or ``out`` holds a run and ``resume`` is not set.
    """
    images = read_boxes_table(table)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if (out / "recipe.json").exists() and not resume:
        raise UsageError(f"{out} holds a run; go on with --resume, or name another folder")
    out.mkdir(parents=True, exist_ok=True)
    (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=1))
    for name in CASCADE:
        if not (out / f"{name}.safetensors").exists():
            for event in _train(name, recipe, images, out, device):
                with (out / "log.jsonl").open("a") as file:
                    file.write(json_line(event) + "\n")
                yield event


def _train(
    name: str, recipe: CascadeRecipe, images: list[BoxedImage], out: Path, device: str
) -> Iterator[dict[str, Any]]:
    torch.manual_seed(recipe.seed)
    rng = np.random.default_rng([recipe.seed, list(CASCADE).index(name)])
    network = CASCADE[name]().to(device)
    optimizer = torch.optim.Adam(network.parameters(), recipe.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    held_out, shown = images[::_HELD_OUT], [image for i, image in enumerate(images) if i % _HELD_OUT]
    held = draw_crops(held_out, CASCADE[name].side_px, np.random.default_rng(recipe.seed), most=512)
    for step in range(1, recipe.steps + 1):
        chosen = [shown[i] for i in rng.integers(len(shown), size=recipe.images_a_step)]
        crops = draw_crops(chosen, CASCADE[name].side_px, rng)
        logits_N2, shift_N4, landmarks_N10 = network(crops.x_N3SS.to(device))
        losses = cascade_loss(
            logits_N2,
            shift_N4,
            landmarks_N10,
            crops.kind_N.to(device),
            crops.shift_N4.to(device),
            crops.landmarks_N10.to(device),
            hardest=recipe.hardest,
        )
        total = losses["face"] + recipe.box_weight * losses["box"] + recipe.landmark_weight * losses["landmarks"]
        optimizer.zero_grad()
        total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        event = {
            "event": "step",
            "network": name,
            "step": step,
            **{key: float(value.detach()) for key, value in losses.items()},
        }
        if step % recipe.validate_every == 0 or step == recipe.steps:
            event |= {"event": "validation", **_validate(network.eval(), held, device)}
            network.train()
        yield event
    with atomic_file(out / f"{name}.safetensors") as file:
        file.write(safetensors.torch.save({key: value.cpu() for key, value in network.state_dict().items()}))


@torch.no_grad()
def _validate(network: torch.nn.Module, crops: Crops, device: str) -> dict[str, float]:
    logits_N2, shift_N4, _ = network(crops.x_N3SS.to(device))
    sure_N = crops.kind_N != PART
    right_N = (logits_N2.argmax(1).cpu() == (crops.kind_N == POSITIVE))[sure_N]
    unit_4 = torch.tensor([0.0, 0.0, 1.0, 1.0])
    moved = (shift_N4.cpu() + unit_4)[crops.kind_N == POSITIVE].double().numpy()
    wanted = (crops.shift_N4 + unit_4)[crops.kind_N == POSITIVE].double().numpy()
    overlaps = [float(iou(a, b)) for a, b in zip(moved, wanted, strict=True)]
    return {"accuracy": float(right_N.float().mean()), "iou": float(np.mean(overlaps)) if overlaps else 0.0}


def draw_crops(images: list[BoxedImage], side_px: int, rng: np.random.Generator, most: int | None = None) -> Crops:
    """Draw crops of some images: of each two faces, two parts and six that show none, where there is room.

    Raises:
        UsageError: An image cannot be read.
    """
    parts: list[tuple[Floats, int, Floats, Floats]] = []
    for image in images:
        image_HW3 = cv2.imread(str(image.path))
        if image_HW3 is None:
            raise UsageError(f"{image.path} is no image that can be read; correct the table, or fetch it again")
        drawn = _draw(image, image_HW3.shape[:2], rng)
        if drawn:
            squares = np.array([square for square, *_ in drawn], np.int64)
            pixels = area_crops(sums_of(image_HW3[:, :, ::-1].copy()), squares, side_px)
            parts += [(x, *rest) for x, (_, *rest) in zip(pixels, drawn, strict=True)]
    if not parts:
        raise UsageError("no crop can be drawn: the faces are below 12 pixels, or fill their images")
    x, kinds, shifts, points = zip(*parts[:most], strict=True)
    return Crops(
        torch.from_numpy(np.stack(x).astype(np.float32)).permute(0, 3, 1, 2),
        torch.tensor(kinds),
        torch.from_numpy(np.stack(shifts)),
        torch.from_numpy(np.stack(points)),
    )


def _draw(
    image: BoxedImage, shape: tuple[int, ...], rng: np.random.Generator
) -> list[tuple[list[int], int, Floats, Floats]]:
    """Return square, kind, shift and landmarks of crops, the squares wholly within the image."""
    height, width = shape
    wanted, drawn = {POSITIVE: 2, PART: 2, NEGATIVE: 6}, []
    for attempt in range(_TRIES):
        near = attempt % 2 == 0
        box_4 = image.boxes_N4[rng.integers(len(image.boxes_N4))]
        longer = float((box_4[2:] - box_4[:2]).max())
        if near:  # around a face
            side = int(longer * rng.uniform(0.75, 1.3))
            centre_2 = (box_4[:2] + box_4[2:]) / 2 + rng.uniform(-0.3, 0.3, 2) * longer
        else:
            side = int(rng.uniform(12, max(13, min(height, width) / 2)))
            centre_2 = rng.uniform(side / 2, np.maximum(side / 2 + 1, np.array([width, height]) - side / 2))
        left, top = (int(value - side / 2) for value in centre_2)
        if side < 12 or left < 0 or top < 0 or left + side > width or top + side > height:
            continue
        square_4 = np.array([left, top, left + side, top + side], np.float64)
        overlaps = [float(iou(square_4, other)) for other in image.boxes_N4.astype(np.float64)]
        face = int(np.argmax(overlaps))
        kind = _kind(overlaps[face])
        if kind is None or not wanted[kind]:
            continue
        wanted[kind] -= 1
        points_10 = (image.landmarks_N10[face] - np.repeat(square_4[:2], 5)) / side
        shift_4 = (image.boxes_N4[face] - square_4) / side
        square = [int(edge) for edge in square_4]
        drawn.append((square, kind, shift_4.astype(np.float32), points_10.astype(np.float32)))
    return drawn


def _kind(overlap: float) -> int | None:
    if overlap >= _LEAST_POSITIVE:
        return POSITIVE
    if overlap >= _LEAST_PART:
        return PART
    return NEGATIVE if overlap < _MOST_NEGATIVE else None
