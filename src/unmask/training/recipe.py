"""A recipe is a run: one TOML file, checked by types, in which every key is known.

recipe = load_recipe(Path("recipes/b7_seed111.toml"))
"""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from unmask.augment.selfblend import BLEND_KINDS
from unmask.errors import UsageError
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS, look_up
from unmask.types import CropSpec

_STRICT = ConfigDict(extra="forbid")
OtherRecipe = TypeVar("OtherRecipe")


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """The network."""

    __pydantic_config__ = _STRICT

    name: str
    """Name in ``unmask.models.networks.NETWORKS``."""
    params: dict[str, Any] = field(default_factory=dict)
    """Its parameters, e.g. the encoder."""
    weights: str | None = None
    """Folder or safetensors file to start from; None for random or, where ``params`` asks for them, ImageNet's."""
    encoder_weights: str | None = None
    """Safetensors file that the encoder alone starts from, in timm's names, where timm cannot download."""


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """What is learned from."""

    __pydantic_config__ = _STRICT

    kind: Literal["crops", "aligned", "selfblend", "clips", "blended_clips", "labelled"] = "crops"
    """``crops``: a folder of ``unmask prepare``. ``selfblend``: its authentic crops alone, fakes are made from them.
    ``aligned``: its aligned faces, see `unmask.prepare.aligned`. ``clips``: these, or else its crops, as clips.
    ``blended_clips``: its authentic crops alone as clips, fakes are made by one blend for all frames of a clip.
    ``labelled``: packs of faces (`unmask.training.packs`), real fakes beside blends and reconstructions."""
    fold: int = 0
    """The fold that validates; the others train."""
    holdout: Literal["fold", "fold_public", "public"] = "fold"
    """``fold``: as said. ``fold_public``: of the fold only the 400 clips of the challenge's public validation set
    validate. ``public``: they validate, whatever their fold, and all other clips train."""
    size_px: int = 380
    """Side of what the network sees."""
    augmentation: str = "winner"
    """Name in ``unmask.augment.transforms.AUGMENTATIONS``."""
    validation_augmentation: str = "winner_val"
    """Name in ``unmask.augment.transforms.AUGMENTATIONS``."""
    hardcore: bool = True
    """Black out parts of faces, as the winner's domain dropouts do."""
    frame_step: int = 30
    """Of ``aligned``: frames whose number is a multiple of this are shown."""
    clip_frames: int = 128
    """Consecutive frames that a clip spans; shorter videos are looped."""
    clip_step: int = 4
    """Every so many of them are shown: of 128 frames 32."""
    padding_part: int = 3
    """Above 3 the stored margin of a third is cut down to one part in so many."""
    oversample_real: bool = True
    """As many fakes as reals in each epoch, drawn anew."""
    mixup: float = 0.0
    """Share of fakes mixed with their originals."""
    blends: dict[str, float] = field(default_factory=dict)
    """Kinds of blend, of ``unmask.augment.selfblend.BLEND_KINDS``, and how often each is drawn; empty for the usual."""
    least_strength: float = 1.0
    """How plain to see blends are is drawn between this and 1; 0 is subtle."""
    shares: dict[str, float] = field(default_factory=dict)
    """Of ``labelled``: how often a pair is drawn from each collection of the packs, ``selfblend`` or
    ``reconstructed``, in any unit; empty for each collection and ``selfblend`` alike."""
    leave_out: tuple[str, ...] = ()
    """Of ``labelled``: methods or collections that are not trained on; they still validate."""
    by_people: bool = False
    """Of ``labelled``: fakes of a person or target are drawn as often as the root of their number, authentic
    collections for blends as the root of their number of people; else each fake, and each collection, is as likely."""
    cutout: float = 0.0
    """Of ``labelled``: share of pairs that parts are cut out of, see `unmask.augment.cutout`."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Subtracted from RGB in 0..1; ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Then divided by; ImageNet's."""
    label_smoothing: float = 0.01
    """Labels are clipped to this and 1 minus this."""

    def __post_init__(self) -> None:
        _check(self.fold >= 0, f"fold {self.fold} is below 0")
        _check(32 <= self.size_px <= 2048, f"size_px {self.size_px} is not in 32..2048")
        _check(0 <= self.label_smoothing < 0.5, f"label_smoothing {self.label_smoothing} is not in 0..0.5")
        _check(1 <= self.clip_step <= self.clip_frames, f"clip_step {self.clip_step} is not in 1..{self.clip_frames}")
        _check(0 <= self.mixup <= 1, f"mixup {self.mixup} is not in 0..1")
        _check(0 <= self.least_strength <= 1, f"least_strength {self.least_strength} is not in 0..1")
        _check(0 <= self.cutout <= 1, f"cutout {self.cutout} is not in 0..1")
        _check(
            self.blends.keys() <= BLEND_KINDS.keys(),
            f"blends are {', '.join(BLEND_KINDS)}, not {', '.join(self.blends)}",
        )

    @property
    def from_authentic_alone(self) -> bool:
        """Whether the fakes are made from authentic faces."""
        return self.kind in ("selfblend", "blended_clips")

    @property
    def item_samples(self) -> int:
        """Samples of an item: 2 where it is a pair of real and fake."""
        return 2 if self.from_authentic_alone or self.kind == "labelled" else 1


@dataclass(frozen=True, slots=True)
class LossRecipe:
    """What is minimised."""

    __pydantic_config__ = _STRICT

    classes: Literal["apart", "together"] = "apart"
    """``apart``: the mean of the mean over fakes and the mean over reals, as the winner did."""
    ohem_samples: int | None = None
    """Only so many of the hardest samples of each class count."""
    only_changed_frames: bool = False
    """Fakes whose difference mask is nearly empty do not count: `unmask prepare` labels what plainly was not changed
    real, but what was blacked out or framed out of a crop shows in the mask alone."""
    mask_weight: float = 0.0
    """Weight of the mask head's loss."""
    positive_weight: float | None = None
    """With ``together``: twice this weighs fakes, twice the rest reals. RobustForensics: 0.1."""


@dataclass(frozen=True, slots=True)
class OptimizerRecipe:
    """How it is minimised."""

    __pydantic_config__ = _STRICT

    name: Literal["sgd", "adamw", "sam", "sam_adamw"] = "sgd"
    """``sam`` is sharpness-aware minimisation around SGD (Foret et al. 2021), ``sam_adamw`` around AdamW."""
    learning_rate: float = 0.01
    momentum: float = 0.9
    """Of SGD."""
    nesterov: bool = True
    """Of SGD."""
    weight_decay: float = 1e-4
    sam_radius: float = 0.05
    """Of SAM."""
    clip_norm: float | None = 1.0
    """Greatest L2 norm of all gradients together."""
    ema_decay: float | None = None
    """Decay of the moving average of the weights; None for none."""

    def __post_init__(self) -> None:
        _check(self.learning_rate > 0, f"learning_rate {self.learning_rate} must be above 0")

    @property
    def sharpness_aware(self) -> bool:
        """Whether each step takes its gradients at the sharpest point nearby."""
        return self.name.startswith("sam")


@dataclass(frozen=True, slots=True)
class ScheduleRecipe:
    """The learning rate by iteration."""

    __pydantic_config__ = _STRICT

    name: Literal["poly", "cosine", "steps", "constant", "late_linear"] = "poly"
    """``late_linear`` is constant for three quarters, then falls to zero (self-blended images)."""
    iterations: int | None = None
    """Length of the schedule; None for that of the training."""
    power: float = 0.9
    """Of ``poly``."""
    warmup_iterations: int = 0
    """Rises linearly from ``warmup_from`` to the learning rate."""
    warmup_from: float = 0.0
    """Learning rate at the start of the warm-up."""
    steps: tuple[int, ...] = ()
    """Of ``steps``: iterations at which ``factor`` is applied once more."""
    factor: float = 0.5
    """Of ``steps``."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run."""

    __pydantic_config__ = _STRICT

    name: str
    """Name of the model that comes out."""
    purpose: str
    """What it is for, in a sentence."""
    network: NetworkRecipe
    crop: CropSpec
    """The crop rule that goes into the model's card; the published one where ``published`` names a kind."""
    epochs: int
    published: str | None = None
    """Kind of published checkpoints, of ``unmask models import --as``, that is trained again: the card says crop rule,
    fusion, precision and limitations as theirs do, so that the system's preset takes the model."""
    batches_per_epoch: int | None = None
    """None for as many as there are samples."""
    batch_size: int = 12
    """For each process."""
    accumulate: int = 1
    """Batches whose gradients are summed before a step."""
    seed: int = 777
    freeze_epochs: int = 0
    """Epochs in which the encoder stays as it is."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Of the forward pass where the device computes in it."""
    sync_batchnorm: bool = True
    """With several processes: statistics over all of them."""
    validate_every: int = 1
    """Epochs between validations."""
    data: DataRecipe = field(default_factory=DataRecipe)
    loss: LossRecipe = field(default_factory=LossRecipe)
    optimizer: OptimizerRecipe = field(default_factory=OptimizerRecipe)
    schedule: ScheduleRecipe = field(default_factory=ScheduleRecipe)

    def __post_init__(self) -> None:
        _check(self.epochs >= 1, f"epochs {self.epochs} is below 1")
        _check(self.batch_size >= 1 and self.accumulate >= 1, "batch_size and accumulate are at least 1")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


_RECIPE: TypeAdapter[Recipe] = TypeAdapter(Recipe)


def load_recipe(path: Path, changes: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe.

    Args:
        path: The TOML file.
        changes: Dotted key -> value that replaces the file's, e.g. ``{"data.fold": 1}``.

    Raises:
        UsageError: The file is missing, no TOML, or has a missing, unknown or impossible key, which is named.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        _take_published_crop(content, path)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the recipe {path}: {error}") from error
    for key, value in (changes or {}).items():
        place = content
        *tables, last = key.split(".")
        for table in tables:
            place = place.setdefault(table, {})
        place[last] = value
    try:
        return _RECIPE.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(f"recipe {path}: {where}: {first['msg']}") from error


def _take_published_crop(content: dict[str, Any], path: Path) -> None:
    """Fill in the crop rule of the published checkpoints that a recipe names."""
    if "published" not in content:
        return
    if "crop" in content:
        raise UsageError(f"recipe {path}: crop follows from published; leave one of them out")
    kind = look_up("kind of checkpoint", CHECKPOINT_KINDS, str(content["published"]))
    content["crop"] = asdict(kind.card.crop)


def recipe_kind(path: Path) -> str | None:
    """Return the ``kind`` of a recipe that trains no judge: ``cascade`` or ``embedder``; None for all other files."""
    try:
        kind = tomllib.loads(path.read_text(encoding="utf-8")).get("kind")
    except (OSError, ValueError):
        return None
    return kind if isinstance(kind, str) else None


def load_other_recipe(path: Path, kind: TypeAdapter[OtherRecipe], changes: dict[str, Any] | None) -> OtherRecipe:
    """Read a recipe of such a kind; ``changes`` replace its values.

    Raises:
        UsageError: It is missing, no TOML, or has a missing, unknown or impossible key, which is named.
    """
    try:
        return kind.validate_python(tomllib.loads(path.read_text(encoding="utf-8")) | (changes or {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"recipe {path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read the recipe {path}: {error}") from error
