"""Train a face embedder by the triplet loss, from pictures in a folder for each person.

    for event in train_embedder(load_embedder_recipe(Path("recipes/embedder.toml")), Path("faces"), Path("runs/mine")):
        print(event)

Faces are found and cut as the embedder's users will cut them, and held in memory. Every tenth person is held out: the
thresholds of the card are theirs. Source: Schroff et al. 2015 (FaceNet), arXiv 1503.03832; Hermans et al. 2017, arXiv
1703.07737.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter
from torch import Tensor

from unmask.datasets.synthetic import read_portrait
from unmask.errors import UsageError
from unmask.faces import load_detector
from unmask.faces.identity import unit_vectors
from unmask.metrics import equal_error_rate, tpr_at_fpr
from unmask.models.card import CARD_FILE, ONNX_FILE, file_facts
from unmask.models.embedder import Alignment, EmbedderCard, choose_thresholds, cut_face
from unmask.models.networks.embedding import EmbeddingNet
from unmask.models.networks.export import to_onnx
from unmask.storage.atomic import atomic_file, atomic_folder
from unmask.storage.content import content_of_name
from unmask.storage.rowlog import json_line
from unmask.training.checkpoint import load_checkpoint, save_checkpoint
from unmask.training.losses import semi_hard_triplets, squared_triplet_loss, triplet_loss
from unmask.training.recipe import load_other_recipe
from unmask.types import CropSpec, DetectorSpec, ImageHW3

_HELD_OUT = 10
"""Each person whose number is a multiple of this validates, and two at least."""
_BATCH = 64
_LIGHT = ((0.8, 1.2), (-20, 20))
"""Contrast is multiplied by, and brightness raised by, what is drawn between these."""


@dataclass(frozen=True, slots=True)
class EmbedderRecipe:
    """How an embedder is trained."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    kind: Literal["embedder"]
    """What tells such a recipe from others."""
    name: str
    purpose: str
    """What comes out, in a sentence."""
    steps: int
    encoder: str = "mobilenetv3_small_100"
    """A name of ``timm.list_models()``."""
    length: int = 128
    """Of a vector."""
    size_px: int = 112
    """Side of a crop."""
    alignment: Alignment = "arcface"
    """How faces are cut, see `unmask.models.embedder.EmbedderCard`."""
    loss: Literal["squared", "batch_hard"] = "squared"
    """``squared``: FaceNet's, over its semi-hard triplets. ``batch_hard``: the farthest ally, the nearest stranger."""
    margin: float = 0.2
    people_a_step: int = 16
    pictures_of_one: int = 4
    """Drawn of each of these people, with repetition where there are fewer."""
    learning_rate: float = 0.001
    """Of AdamW; falls to nothing along a cosine."""
    weight_decay: float = 0.0001
    validate_every: int = 500
    """Steps; the run can go on from there."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Faces:
    """Crops of people."""

    crops_NSS3: NDArray[np.uint8]
    person_N: NDArray[np.int64]
    """Whose face it is: position in the sorted names of the folders."""

    def of(self, people: NDArray[np.int64]) -> Faces:
        """Return the faces of some people."""
        chosen = np.isin(self.person_N, people)
        return Faces(self.crops_NSS3[chosen], self.person_N[chosen])


_RECIPE: TypeAdapter[EmbedderRecipe] = TypeAdapter(EmbedderRecipe)


def load_embedder_recipe(path: Path, changes: dict[str, Any] | None = None) -> EmbedderRecipe:
    """Read a recipe; ``changes`` replace its values.

    Raises:
        UsageError: It is missing, no TOML, or has a missing, unknown or impossible key, which is named.
    """
    return load_other_recipe(path, _RECIPE, changes)


def read_people(folder: Path, size_px: int, alignment: Alignment) -> Faces:
    """Cut the face out of each picture of ``folder/PERSON/*``; pictures with no face or several are passed over.

    Raises:
        UsageError: Fewer than four people have two pictures with one face each.
    """
    detector, spec = load_detector(DetectorSpec()), CropSpec(size_px, margin=0.15, outline="square")
    crops: list[ImageHW3] = []
    people: list[int] = []
    folders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    for number, of_one in enumerate(folders):
        found = []
        for path in sorted(of_one.iterdir()):
            if content_of_name(path) == "image":
                image_HW3 = read_portrait(path)
                faces = detector.detect(image_HW3)
                if len(faces) == 1:
                    found.append(cut_face(image_HW3, faces[0], spec, alignment))
        if len(found) > 1:
            crops += found
            people += [number] * len(found)
    if (count := len(set(people))) < 4:
        raise UsageError(
            f"in {folder} {count} people have two pictures or more that show one face; training needs four at least, "
            "in a folder for each: FOLDER/Ada/1.jpg"
        )
    return Faces(np.stack(crops), np.array(people, np.int64))


def train_embedder(
    recipe: EmbedderRecipe, folder: Path, out: Path, *, device: str = "auto", resume: bool = False
) -> Iterator[dict[str, Any]]:
    """Train an embedder; in the end ``out/model`` is a folder that ``--identity`` takes.

    Args:
        recipe: The run.
        folder: See `read_people`.
        out: Folder of the run.
        device: ``cpu``, ``cuda``, or ``auto``: the graphics card where there is one.
        resume: Go on from the last validation.

    Yields:
        The loss of each step, and after each validation ``equal_error_rate`` and ``accepted`` (share of pairs of one
        person that are accepted where one in a hundred pairs of two people is), over the people who are held out.

    Raises:
        UsageError: The pictures do not do, or ``out`` holds a run and ``resume`` is not set.
    """
    if (out / "recipe.json").exists() and not resume:
        raise UsageError(f"{out} holds a run; go on with --resume, or name another folder")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    faces = read_people(folder, recipe.size_px, recipe.alignment)
    people = np.unique(faces.person_N)
    held = people[:: min(_HELD_OUT, max(2, len(people) // 2))]
    shown, judged = faces.of(np.setdiff1d(people, held)), faces.of(held)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_file(out / "recipe.json") as file:
        file.write(json.dumps(asdict(recipe), indent=1).encode())
    for event in _run(recipe, shown, judged, out, device, resume):
        with (out / "log.jsonl").open("a") as log:
            log.write(json_line(event) + "\n")
        yield event


def _run(
    recipe: EmbedderRecipe, shown: Faces, judged: Faces, out: Path, device: str, resume: bool
) -> Iterator[dict[str, Any]]:
    torch.manual_seed(recipe.seed)
    network, step = EmbeddingNet(recipe.encoder, recipe.length).to(device), 0
    optimizer = torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.steps)
    if resume and (out / "last").exists():
        weights, _, state, facts = load_checkpoint(out / "last")
        network.load_state_dict(weights)
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        step = facts["step"]
    while step < recipe.steps:
        step += 1
        loss = _step(recipe, network.train(), optimizer, shown, step, device)
        schedule.step()
        event: dict[str, Any] = {"event": "step", "step": step, "loss": loss}
        if step % recipe.validate_every == 0 or step == recipe.steps:
            event |= {"event": "validation", **validate(network, judged, device)}
            state = {"optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            save_checkpoint(out / "last", network.state_dict(), None, state, {"step": step})
        yield event
    write_model(recipe, network, judged, out / "model", device)


def _step(
    recipe: EmbedderRecipe,
    network: EmbeddingNet,
    optimizer: torch.optim.Optimizer,
    faces: Faces,
    step: int,
    device: str,
) -> float | None:
    """Make one step; return its loss, None where no triplet of the batch counts."""
    crops_NSS3, person_N = draw_batch(recipe, faces, step)
    x_NC = network(crops_NSS3.to(device))
    person_N = person_N.to(device)
    if recipe.loss == "batch_hard":
        loss = triplet_loss(x_NC, person_N, recipe.margin)
    else:
        anchor_T, positive_T, negative_T = semi_hard_triplets(x_NC, person_N).unbind(1)
        there = len(anchor_T) > 0
        loss = (
            squared_triplet_loss(x_NC[anchor_T], x_NC[positive_T], x_NC[negative_T], recipe.margin) if there else None
        )
    if loss is None:
        return None
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return float(loss.detach())


def draw_batch(recipe: EmbedderRecipe, faces: Faces, step: int) -> tuple[Tensor, Tensor]:
    """Return crops (N, S, S, 3) and people (N,) of a step, which depend on seed and step alone.

    Crops are mirrored and their brightness and contrast changed now and then.
    """
    rng = np.random.default_rng([recipe.seed, step])
    people = np.unique(faces.person_N)
    chosen = []
    for person in rng.permutation(people)[: recipe.people_a_step]:
        own = np.flatnonzero(faces.person_N == person)
        chosen += rng.choice(own, recipe.pictures_of_one, replace=len(own) < recipe.pictures_of_one).tolist()
    crops_NSS3 = faces.crops_NSS3[chosen].astype(np.float32)
    mirrored_N = rng.random(len(chosen)) < 0.5
    crops_NSS3[mirrored_N] = crops_NSS3[mirrored_N, :, ::-1]
    contrast_N111, brightness_N111 = (rng.uniform(low, high, (len(chosen), 1, 1, 1)) for low, high in _LIGHT)
    changed = ((crops_NSS3 - 127.5) * contrast_N111 + 127.5 + brightness_N111).clip(0, 255).astype(np.uint8)
    return torch.from_numpy(changed), torch.from_numpy(faces.person_N[chosen])


def distances(network: EmbeddingNet, faces: Faces, device: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the cosine distance of each pair of faces, and whether they are one person's."""
    parts = np.array_split(faces.crops_NSS3, -(-len(faces.crops_NSS3) // _BATCH))
    with torch.inference_mode():
        vectors = torch.cat([network.eval()(torch.from_numpy(part).to(device)).cpu() for part in parts])
    x_NC = unit_vectors(vectors.numpy())
    i, j = np.triu_indices(len(x_NC), 1)
    return (1 - x_NC @ x_NC.T)[i, j], faces.person_N[i] == faces.person_N[j]


def validate(network: EmbeddingNet, faces: Faces, device: str) -> dict[str, float]:
    """Return how well pairs of one person and of two are told apart."""
    distance, same = distances(network, faces, device)
    return {
        "equal_error_rate": float(equal_error_rate(same, -distance)),
        "accepted": float(tpr_at_fpr(same, -distance, 0.01)),
    }


def write_model(recipe: EmbedderRecipe, network: EmbeddingNet, judged: Faces, folder: Path, device: str) -> None:
    """Write the embedder's folder; its thresholds are chosen on ``judged``, people whom training did not see."""
    distance, same = distances(network, judged, device)
    same_below, different_above = choose_thresholds(distance[~same])
    example_NSS3 = torch.zeros(2, recipe.size_px, recipe.size_px, 3, dtype=torch.uint8)
    onnx = to_onnx(network.eval().cpu(), example_NSS3, (0,), "crops", ["vectors"])
    card = EmbedderCard(
        kind="embedder",
        name=recipe.name,
        version="1",
        licence="that of the pictures it was trained with",
        crop=CropSpec(recipe.size_px, margin=0.15, outline="square"),
        files={ONNX_FILE: file_facts(onnx)},
        alignment=recipe.alignment,
        same_below=same_below,
        different_above=different_above,
        about={"recipe": asdict(recipe), "held_out": validate(network, judged, "cpu")},
    )
    with atomic_folder(folder) as temporary:
        (temporary / ONNX_FILE).write_bytes(onnx)
        (temporary / CARD_FILE).write_text(json.dumps(asdict(card), indent=1))
