"""Real fakes and made ones together: pairs of a real and a fake picture, balanced by where they come from.

Each item is a pair. Its source is drawn by the recipe's ``shares``: a collection of labelled faces, where a method is
drawn first, each as likely, then one of its fakes and the authentic picture of the same place, person, or at least
collection; ``selfblend``, blends of an authentic face; ``reconstructed``, an authentic face as an autoencoder draws it,
whole or in part. Both members are framed and degraded alike (`unmask.augment.filmed`).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from unmask.augment.changes import Change, paste
from unmask.augment.cutout import Cutouts
from unmask.augment.dropouts import is_valid
from unmask.augment.filmed import Framing, Road, fitted, framed
from unmask.augment.hulls import WHOLE, blend_mask, draw_hull, fill, hull
from unmask.augment.selfblend import WEIGHTS, Donor, blend_pair, mask_targets
from unmask.augment.transforms import Example, Rng, rng_for
from unmask.errors import UsageError
from unmask.training.data import Batch, Item, collate, to_tensor
from unmask.training.packs import FacePacks, PackedFace
from unmask.training.recipe import Recipe
from unmask.types import ImageHW3

T = TypeVar("T")

SELFBLEND, RECONSTRUCTED = "selfblend", "reconstructed"
UNKNOWN = -1.0
"""In a target: nothing is to be learned there."""

PARTS = {
    "Deepfakes": "inner", "FaceSwap": "brows", "Face2Face": "brows", "NeuralTextures": "mouth", "lipsync": "mouth",
    "dfdc": "inner",
}  # fmt: skip
"""Which hull a method changes, for fakes without a picture to compare with; what is not named changes everything."""

_ALIGNED_DIFFERENCE = 24.0
"""Levels of difference that count as changed altogether."""
_MOVED = 50.0
"""Mean difference at the rim, of 255, above which two pictures do not show the same moment."""


class Member(NamedTuple):
    """One picture of a pair, before it is framed."""

    example: Example
    face: PackedFace
    guessed: bool
    """The mask is a guess: its boundary is not to be learned."""


class Source(NamedTuple):
    """Where a pair comes from; a run may leave either out."""

    method: str
    collection: str


@dataclass(frozen=True, slots=True)
class SourcedBatch:
    """A batch, and where each of its samples comes from."""

    batch: Batch
    sources: tuple[Source, ...]


class LabelledFaces:
    """The packs of a folder, as `unmask train` wants its data."""

    def __init__(self, folder: Path, recipe: Recipe, late: Path | None = None) -> None:
        """Read the packs.

        Args:
            folder: Of the packs.
            recipe: Of the run.
            late: Table of a pack of reconstructions that may appear later: it is taken in as soon as it is there.

        Raises:
            UsageError: There are none, or a share names what the packs do not have.
        """
        self.packs, self._recipe, self._late = FacePacks(folder), recipe, late
        left_out = set(recipe.data.leave_out)
        self.by_name = {face.name: number for number, face in enumerate(self.packs.faces)}
        self.fakes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        self.reals: dict[str, list[int]] = defaultdict(list)
        self.groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._sums: dict[tuple[str, str], NDArray[np.float64]] = {}
        for number, face in enumerate(self.packs.faces):
            if face.fold == recipe.data.fold or left_out & {face.method, face.collection}:
                continue
            if face.label:
                self._enter_fake(number, face)
            else:
                self.reals[face.collection].append(number)
                self.groups[face.collection, face.group].append(number)
        people = Counter(collection for collection, _ in self.groups)
        self._people_sums = np.cumsum([people[name] ** 0.5 for name in sorted(self.reals)])
        self.shares = self._known_shares()
        self.validation = [i for i, face in enumerate(self.packs.faces) if face.fold == recipe.data.fold]

    def _enter_fake(self, number: int, face: PackedFace) -> None:
        if face.collection != RECONSTRUCTED or face.original in self.by_name:
            self.fakes[face.collection][face.method].append(number)

    def pick_fake(self, collection: str, method: str, rng: Rng) -> int:
        """Return a fake of a method."""
        numbers = self.fakes[collection][method]
        if not self._recipe.data.by_people:
            return _pick(numbers, rng)
        sums = self._sums.get((collection, method))
        if sums is None or len(sums) != len(numbers):  # reconstructions may have come in
            groups = [self.packs.faces[number].group for number in numbers]
            counts = Counter(groups)
            sums = self._sums[collection, method] = np.cumsum([counts[group] ** -0.5 for group in groups])
        return numbers[_draw_by(sums, rng)]

    def pick_authentic_collection(self, rng: Rng) -> str:
        """Return a collection of authentic pictures."""
        names = sorted(self.reals)
        if not self._recipe.data.by_people:
            return _pick(names, rng)
        return names[_draw_by(self._people_sums, rng)]

    def has_reconstructions(self) -> bool:
        """Whether there are reconstructions by now."""
        if self._late is not None and self._late.exists():
            for number in self.packs.add(self._late):
                self._enter_fake(number, self.packs.faces[number])
            self._late = None
        return RECONSTRUCTED in self.fakes

    def _known_shares(self) -> dict[str, float]:
        wanted = self._recipe.data.shares or dict.fromkeys((*self.fakes, SELFBLEND), 1.0)
        left_out = set(self._recipe.data.leave_out)
        shares = {name: share for name, share in wanted.items() if name not in left_out and share > 0}
        waited_for = {RECONSTRUCTED} if self._late is not None else set()
        missing = [name for name in shares if name not in {SELFBLEND, *waited_for, *self.fakes}]
        if missing or not self.reals:
            raise UsageError(f"the packs have no fakes of {', '.join(missing)}, or nothing authentic; see data.shares")
        return {name: share / sum(shares.values()) for name, share in shares.items()}

    def epoch(self, epoch: int) -> list[int]:  # noqa: ARG002 - pairs are drawn anew by their number
        """Return the training pictures; an epoch has half as many pairs, unless the recipe says how many."""
        return [i for i, face in enumerate(self.packs.faces) if face.fold != self._recipe.data.fold]

    def training_items(self, epoch: int, numbers: Sequence[int]) -> LabelledItems:
        """Return the pairs with these numbers of an epoch."""
        return LabelledItems(self, self._recipe, epoch, numbers)

    def validation_items(self) -> LabelledValidation:
        """Return the held-out pictures."""
        return LabelledValidation(self, self._recipe)


class LabelledItems(Dataset[list[Item]]):
    """The pairs of one epoch."""

    def __init__(self, faces: LabelledFaces, recipe: Recipe, epoch: int, numbers: Sequence[int]) -> None:
        """Serve the pairs with these numbers."""
        self._faces, self._recipe, self._epoch, self._numbers = faces, recipe, epoch, numbers
        self._framing, self._cutouts, self._road = (
            Framing(margin=recipe.crop.margin),
            Cutouts(recipe.data.cutout),
            Road(),
        )

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, position: int) -> list[Item]:
        """Return a pair of real and fake."""
        return self.pair(position)[0]

    def pair(self, position: int) -> tuple[list[Item], Source]:
        """Return a pair and where it comes from."""
        cv2.setNumThreads(1)
        rng = rng_for(self._recipe.seed, self._epoch, self._numbers[position])
        for _ in range(20):  # a landmark now and then makes no face
            try:
                real, fake, source = self._draw(rng)
            except ValueError:
                continue
            return self._items(real, fake, rng), source
        raise RuntimeError("twenty pairs in a row could not be made; are the landmarks of these packs right?")

    def _draw(self, rng: Rng) -> tuple[Member, Member, Source]:
        names = list(self._faces.shares)
        name = names[int(rng.choice(len(names), p=list(self._faces.shares.values())))]
        if name == SELFBLEND:
            return self._blended(rng)
        if name == RECONSTRUCTED and not self._faces.has_reconstructions():
            raise ValueError("there are no reconstructions yet")
        methods = self._faces.fakes[name]
        method = _pick(sorted(methods), rng)
        number = self._faces.pick_fake(name, method, rng)
        return self._reconstructed(number, rng) if name == RECONSTRUCTED else self._labelled(number, rng)

    def _labelled(self, number: int, rng: Rng) -> tuple[Member, Member, Source]:
        """Return a fake and the authentic picture nearest to it; their mask is their difference, or a guess."""
        packs, fake = self._faces.packs, self._faces.packs.faces[number]
        twin = self._faces.by_name.get(fake.original)
        group = self._faces.groups.get((fake.collection, fake.group))
        partner = twin if twin is not None else _pick(group or self._faces.reals[fake.collection], rng)
        image_HW3, real_HW3 = packs.read(number), packs.read(partner)
        same = twin is not None and real_HW3.shape == image_HW3.shape
        measured_HW = difference(real_HW3, image_HW3) if same else None
        guessed = measured_HW is None
        mask_HW = guess(fake, image_HW3.shape[:2]) if measured_HW is None else measured_HW
        real = packs.faces[partner]
        blank_HW = np.zeros(real_HW3.shape[:2], np.uint8)
        return (
            Member(Example(real_HW3, blank_HW, 0.0), real, False),
            Member(Example(image_HW3, mask_HW, 1.0), real if twin is not None else fake, guessed),
            Source(fake.method, fake.collection),
        )

    def _blended(self, rng: Rng) -> tuple[Member, Member, Source]:
        faces, packs = self._faces, self._faces.packs
        collection = faces.pick_authentic_collection(rng)
        number, other = _pick(faces.reals[collection], rng), _pick(faces.reals[collection], rng)
        face, points = packs.faces[number], packs.faces[number].landmarks
        if points is None:
            raise ValueError("no landmarks")
        donor_points = packs.faces[other].landmarks
        lends = donor_points is not None and packs.faces[other].group != face.group
        donor = Donor(packs.read(other), donor_points) if donor_points is not None and lends else None
        least = self._recipe.data.least_strength
        strength = float(rng.uniform(least, 1)) if least < 1 else 1.0
        weights = self._recipe.data.blends or WEIGHTS
        real_HW3, fake_HW3, mask_HW = blend_pair(
            packs.read(number), points, rng, donor, strength=strength, weights=weights
        )
        blank_HW, mask_HW8 = np.zeros(mask_HW.shape, np.uint8), np.rint(255 * mask_HW).astype(np.uint8)
        return (
            Member(Example(real_HW3, blank_HW, 0.0), face, False),
            Member(Example(fake_HW3, mask_HW8, 1.0), face, False),
            Source(SELFBLEND, collection),
        )

    def _reconstructed(self, number: int, rng: Rng) -> tuple[Member, Member, Source]:
        """Return an authentic face and its reconstruction, whole, or pasted in part and in colours of its own."""
        packs = self._faces.packs
        drawn = packs.faces[number]
        face = packs.faces[self._faces.by_name[drawn.original]]
        real_HW3, fake_HW3 = packs.read(self._faces.by_name[drawn.original]), packs.read(number)
        mask_HW = np.full(real_HW3.shape[:2], 255, np.uint8)
        if rng.random() < 0.5 and face.landmarks is not None:
            points = face.landmarks
            weight_HW = blend_mask(
                hull(points, draw_hull(rng, WHOLE)), real_HW3.shape[:2], rng, ratios=(0.75, 1.0, 1.0)
            )
            if rng.random() < 0.5:
                fake_HW3 = Change.draw(rng, float(rng.uniform(0.25, 1)))(fake_HW3)
            fake_HW3 = paste(fake_HW3, real_HW3, weight_HW)
            mask_HW = np.rint(255 * weight_HW).astype(np.uint8)
        blank_HW = np.zeros(mask_HW.shape, np.uint8)
        return (
            Member(Example(real_HW3, blank_HW, 0.0), face, False),
            Member(Example(fake_HW3, mask_HW, 1.0), face, False),
            Source(RECONSTRUCTED, face.collection),
        )

    def _items(self, real: Member, fake: Member, rng: Rng) -> list[Item]:
        """Frame, cut out, degrade and resize both pictures alike, and make tensors of them."""
        pair = (real, fake)
        state = rng.bit_generator.state
        examples = []
        for member in pair:
            rng.bit_generator.state = state
            examples.append(self._framing(member.example, member.face.box_px, member.face.face_px, rng))
        cutout = self._cutouts.draw(rng)
        if cutout is not None and cutout.hides(examples[1].mask_HW) <= self._cutouts.most_hidden:
            examples = [cutout(example) for example in examples]
        state = rng.bit_generator.state
        items = []
        for member, example in zip(pair, examples, strict=True):
            rng.bit_generator.state = state
            shown = fitted(self._road(example, rng), self._recipe.data.size_px)
            items.append(self._item(shown, member.guessed, is_valid(member.example)))
        return items

    def _item(self, example: Example, guessed: bool, valid: bool) -> Item:
        """Make tensors of a picture; a fake that hardly differs from its twin is not ``valid``."""
        data = self._recipe.data
        targets = np.stack(mask_targets((example.mask_HW / np.float32(255)).astype(np.float32), data.size_px))
        if guessed:
            targets[1] = UNKNOWN
        label = min(max(example.label, data.label_smoothing), 1 - data.label_smoothing)
        return to_tensor(example.image_HW3), torch.from_numpy(targets), label, valid


class SourcedItems(Dataset[tuple[list[Item], Source]]):
    """The same pairs, each with its source."""

    def __init__(self, items: LabelledItems) -> None:
        """Serve these items."""
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, position: int) -> tuple[list[Item], Source]:
        return self._items.pair(position)


def collate_sourced(pairs: Sequence[tuple[list[Item], Source]]) -> SourcedBatch:
    """Put pairs into one batch."""
    sources = tuple(source for items, source in pairs for _ in items)
    return SourcedBatch(collate([items for items, _ in pairs]), sources)


class LabelledValidation(Dataset[tuple[Tensor, int]]):
    """The held-out pictures as a scan would crop them; each counts by itself."""

    def __init__(self, faces: LabelledFaces, recipe: Recipe) -> None:
        """Serve the held-out pictures."""
        self._faces, self._recipe, self.numbers = faces, recipe, faces.validation
        self.labels = np.array([faces.packs.faces[i].label for i in self.numbers], np.float64)
        """Of each picture."""

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, position: int) -> tuple[Tensor, int]:
        number = self.numbers[position]
        face, data = self._faces.packs.faces[number], self._recipe.data
        image_HW3 = framed(self._faces.packs.read(number), face.box_px, data.size_px, self._recipe.crop.margin)
        return to_tensor(image_HW3), position


def difference(real_HW3: ImageHW3, fake_HW3: ImageHW3) -> NDArray[np.uint8] | None:
    """Return where two pictures of the same place and time differ, 0 to 255, smooth; None where all does."""
    soft = [cv2.GaussianBlur(image, (0, 0), 3).astype(np.float32) for image in (real_HW3, fake_HW3)]
    levels_HW = (np.abs(soft[0] - soft[1]).max(2) * (255 / _ALIGNED_DIFFERENCE)).clip(0, 255)
    rim = max(1, levels_HW.shape[0] // 10)
    if (
        np.concatenate([levels_HW[:rim].ravel(), levels_HW[:, :rim].ravel(), levels_HW[:, -rim:].ravel()]).mean()
        > _MOVED
    ):
        return None
    grown_HW = cv2.dilate(levels_HW, np.ones((2 * rim // 3 + 1,) * 2, np.uint8))
    return cv2.GaussianBlur(grown_HW, (0, 0), rim / 5).astype(np.uint8)


def guess(face: PackedFace, shape_HW: tuple[int, int]) -> NDArray[np.uint8]:
    """Return what a method is known to change."""
    part, points = PARTS.get(face.method), face.landmarks
    if part is None or points is None:
        return np.full(shape_HW, 255, np.uint8)
    return (255 * cv2.GaussianBlur(fill(hull(points, part), shape_HW), (0, 0), 4)).astype(np.uint8)


def _draw_by(sums: NDArray[np.float64], rng: Rng) -> int:
    """Return a number whose weights add up to these sums."""
    return int(np.searchsorted(sums, rng.random() * sums[-1], side="right"))


def _pick(values: Sequence[T], rng: Rng) -> T:
    return values[int(rng.integers(len(values)))]
