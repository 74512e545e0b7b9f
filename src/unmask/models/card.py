"""The card of a model: all that is needed to use its weights rightly, and what they are worth."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from unmask.errors import ModelError, UsageError
from unmask.models.fusion import Fusion
from unmask.models.quality import QualityTerm, at_quality, in_plain_sight
from unmask.storage.atomic import atomic_file
from unmask.storage.home import models_home
from unmask.storage.plain import open_plain
from unmask.types import CropSpec, FaceQuality, Label

CARD_FILE = "card.json"
ONNX_FILE = "model.onnx"
WEIGHTS_FILE = "model.safetensors"
INT8_FILES = ("model.int8.xml", "model.int8.bin")
"""The int8 network as OpenVINO writes it: its layers, and its weights."""
MODEL_FILES = (CARD_FILE, ONNX_FILE, WEIGHTS_FILE, *INT8_FILES)
"""All that a model's folder may hold."""
_MAX_CARD_BYTES = 1 << 20
AnyCard = TypeVar("AnyCard")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One file of a model folder."""

    sha256: str
    """64 hex digits."""
    bytes: int
    """Length."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Maps the logits of a network to logits whose sigmoid can be read as a probability."""

    temperature: float = 1.0
    """Above 0; larger is less sure."""
    offset: float = 0.0
    """Logit at which real and fake are equally likely."""
    quality: tuple[QualityTerm, ...] = ()
    """What a face's lack of quality does to its score; empty where all faces count alike."""

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and math.isfinite(self.temperature) and math.isfinite(self.offset)):
            raise ValueError(f"temperature {self.temperature} must be above 0, and offset {self.offset} finite")

    def apply(self, logits: ArrayLike) -> NDArray[np.float64]:
        """Return calibrated logits, of the shape of the network's own: (logit - offset) / temperature."""
        return (np.asarray(logits, np.float64) - self.offset) / self.temperature

    def undo(self, calibrated_logits: ArrayLike) -> NDArray[np.float64]:
        """Return the network's own logits, given calibrated ones: the inverse of `apply`."""
        return np.asarray(calibrated_logits, np.float64) * self.temperature + self.offset

    def at_quality(self, calibrated_logits_n: ArrayLike, qualities: Sequence[FaceQuality]) -> NDArray[np.float64]:
        """Return what the calibrated logits of n faces say, given how well each can be seen; see `QualityTerm`."""
        return at_quality(np.asarray(calibrated_logits_n, np.float64), qualities, self.quality)

    def undo_quality(self, logits_n: ArrayLike, qualities: Sequence[FaceQuality]) -> NDArray[np.float64]:
        """Return the calibrated logits of n faces, given those of `at_quality`: the inverse of it."""
        return in_plain_sight(np.asarray(logits_n, np.float64), qualities, self.quality)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where a probability becomes a word. Between the two the answer is ``inconclusive``."""

    real_below: float = 0.2
    """At most this: ``real``."""
    fake_above: float = 0.8
    """At least this: ``fake``."""

    def __post_init__(self) -> None:
        if not 0 <= self.real_below <= self.fake_above <= 1:
            raise ValueError(f"thresholds {self.real_below} and {self.fake_above} must rise within 0..1")

    def label(self, fake_probability: float) -> Label:
        """Return the word for a probability."""
        if fake_probability >= self.fake_above:
            return "fake"
        return "real" if fake_probability <= self.real_below else "inconclusive"


@dataclass(frozen=True, slots=True)
class QualityFloor:
    """What a person must show at least to be judged; below it the answer is ``inconclusive``."""

    sharpness: float = 0.0
    """Least median sharpness of a person's faces, see `unmask.types.FaceQuality`; 0 for none."""

    def __post_init__(self) -> None:
        if not 0 <= self.sharpness < math.inf:
            raise ValueError(f"the floor of sharpness {self.sharpness} must be 0 or more")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """How torch builds the network that ``model.safetensors`` holds the weights of."""

    name: str
    """In ``unmask.models.networks.NETWORKS``."""
    parameters: dict[str, Any] = field(default_factory=dict)
    """Its keyword arguments."""
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    """Mean of RGB in 0..1, subtracted before the network; by default ImageNet's."""
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    """Standard deviation of RGB in 0..1, divided by after that; by default ImageNet's."""


@dataclass(frozen=True, slots=True)
class Card:
    """All that ``card.json`` holds."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str
    """Short name, as reports show it."""
    version: str
    """Version of the weights."""
    purpose: str
    """What the model is for, in a sentence."""
    architecture: str
    """The network, in words."""
    licence: str
    """Terms of the weights."""
    crop: CropSpec
    """The crop rule it was trained with."""
    files: dict[str, FileFacts]
    """Name -> facts of each file beside the card; ``model.onnx`` is one of them."""
    network: NetworkSpec | None = None
    """How torch builds the network on a GPU; None when the folder has no ``model.safetensors``."""
    precision: Literal["auto", "fp32", "int8"] = "auto"
    """What ``auto`` takes where bf16 would change the scores: ``fp32``, or on the CPU the network in ``int8`` that the
    folder has, whose scores are the same on every processor."""
    fusion: Fusion = field(default_factory=Fusion)
    calibration: Calibration = field(default_factory=Calibration)
    thresholds: Thresholds = field(default_factory=Thresholds)
    floor: QualityFloor = field(default_factory=QualityFloor)
    training: dict[str, Any] = field(default_factory=dict)
    """Data, its licence, method and optimiser."""
    evaluation: dict[str, Any] = field(default_factory=dict)
    """Numbers on held-out data, with the script, data and seed that gave them."""
    limitations: tuple[str, ...] = ()
    """Where it fails, in sentences."""
    kind: Literal["judge", "detector"] = "judge"
    """What it does: a judge scores crops, a detector finds faces in frames and scores nothing."""

    @property
    def weights_hashes(self) -> frozenset[str]:
        """The sha256 of its networks' files, one of which each score names."""
        return frozenset(self.files[name].sha256 for name in (ONNX_FILE, INT8_FILES[1]) if name in self.files)


_CARD: TypeAdapter[Card] = TypeAdapter(Card)


def bundled_folder() -> Path:
    """Return the folder of the model that ships with the package."""
    return Path(__file__).parent / "bundled"


def model_names() -> list[str]:
    """Return the names that `model_folder` knows: ``bundled`` and the folders in `models_home`."""
    home = models_home()
    own = sorted(folder.parent.name for folder in home.glob(f"*/{CARD_FILE}")) if home.is_dir() else []
    return ["bundled", *own]


def model_folder(model: str | os.PathLike[str]) -> Path:
    """Return the folder of a model.

    Args:
        model: A name, which means the same wherever the command runs: ``bundled``, or a folder in `models_home`. Or a
            path: a `pathlib.Path`, or text with a separator, such as ``./mine``.

    Raises:
        ModelError: There is no such model.
    """
    if model == "bundled":
        return bundled_folder()
    is_name = isinstance(model, str) and not any(separator in model for separator in ("/", os.sep, os.altsep or "/"))
    if is_name and model in model_names():
        return models_home() / model
    if not is_name and (Path(model) / CARD_FILE).is_file():
        return Path(model)
    here = f"; for the folder beside you, write ./{model}" if is_name and (Path(model) / CARD_FILE).is_file() else ""
    raise ModelError(
        f"no model at {os.fspath(model)!r}: name a folder that holds {CARD_FILE} by its path, or one of "
        f"{', '.join(model_names())}{here}"
    )


def new_folder(name: str) -> Path:
    """Return where a new model of the user's goes.

    Raises:
        UsageError: The name cannot be a model's, or is taken.
    """
    target = models_home() / name
    if Path(name).name != name or name.startswith(".") or name == "bundled":
        raise UsageError(f"{name!r} cannot be a model's name; choose one with --name, of letters, digits, - and _")
    if target.exists():
        raise UsageError(
            f"there is a model {name!r} already, in {target}; remove that folder, or choose another --name"
        )
    return target


def load_card(folder: Path) -> Card:
    """Read and check a card.

    Raises:
        ModelError: It is missing, too large, no JSON, or has missing, unknown or impossible fields.
    """
    path = folder / CARD_FILE
    card = parse_card(path, _CARD)
    if ONNX_FILE not in card.files or any(Path(name).name != name for name in card.files):
        raise ModelError(f"{path}: files must name {ONNX_FILE} and nothing outside the folder")
    if card.precision == "int8" and INT8_FILES[0] not in card.files:
        raise ModelError(f"{path}: precision is int8, but files does not name {INT8_FILES[0]}; say fp32")
    return card


def parse_card(path: Path, kind: TypeAdapter[AnyCard]) -> AnyCard:
    """Read a card of any kind.

    Raises:
        ModelError: It is missing, too large, no JSON, or has missing, unknown or impossible fields.
    """
    text = read_up_to(path, _MAX_CARD_BYTES + 1)
    if len(text) > _MAX_CARD_BYTES:
        raise ModelError(f"{path} is larger than a card can be ({_MAX_CARD_BYTES} bytes)")
    try:
        return kind.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ModelError(f"{path}: {where}: {first['msg']}") from error


def read_up_to(path: Path, max_bytes: int) -> bytes:
    """Return the first bytes of a file, all of it where it has no more.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        with open_plain(path) as file:  # memory is reserved for what is there, not for what a card claims
            return file.read(min(max_bytes, os.fstat(file.fileno()).st_size + 1))
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error


def write_card(folder: Path, card: Card) -> None:
    """Write a card, whole or not at all."""
    with atomic_file(folder / CARD_FILE) as file:
        file.write(json.dumps(asdict(card), indent=1, ensure_ascii=False).encode() + b"\n")


def file_facts(content: bytes) -> FileFacts:
    """Return the facts of a file, for a card."""
    return FileFacts(hashlib.sha256(content).hexdigest(), len(content))


def verify_folder(folder: Path) -> Card:
    """Load the card and compare every file it names with its length and sha256.

    Raises:
        ModelError: A file is missing or is not the one that the card names.
    """
    card = load_card(folder)
    for name in card.files:
        read_verified(folder, card, name)
    return card


class HasFiles(Protocol):
    """Any card: it knows the files beside it."""

    @property
    def files(self) -> dict[str, FileFacts]:
        """Name -> facts."""
        ...


def read_verified(folder: Path, card: HasFiles, name: str) -> bytes:
    """Return the bytes of a model file after checking them against the card.

    Raises:
        ModelError: It is missing or is not the one that the card names.
    """
    expected, path = card.files[name], folder / name
    content = read_up_to(path, expected.bytes + 1)
    if len(content) != expected.bytes or hashlib.sha256(content).hexdigest() != expected.sha256:
        raise ModelError(f"{path} is damaged or was replaced: its sha256 is not the card's; install the model again")
    return content
