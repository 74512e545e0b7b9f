"""The values that say how a clip and its original differ: what `unmask compare` writes, and its page shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

from unmask._version import __version__
from unmask.errors import UsageError
from unmask.facts import MediaFacts, check
from unmask.runtime.jsonable import from_jsonable, jsonable, portable, reading
from unmask.runtime.libraries import library_versions
from unmask.types import Label


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


Outcome = Literal["changed", "unchanged", "inconclusive", "not_the_same_footage"]
"""``changed``: a face of the suspect differs by more than encodings do; ``unchanged``: none does; ``inconclusive``: no
face can be compared, or too few frames; ``not_the_same_footage``: the suspect was not made of this original."""
Side = Literal["suspect", "original"]

COMPARISON_VERSION = 1
"""Version of the schema of `Comparison.to_dict`."""
COMPARISON_TIMING = ("elapsed_seconds", "compared_at")
"""Fields of a comparison that differ from run to run."""


@dataclass(frozen=True, slots=True)
class AlignedBy:
    """When and where the suspect's frames lie in the original."""

    offset_seconds: float
    """When the original shows what the suspect begins with; below 0 where the suspect begins earlier."""
    rate: float
    """Seconds of the original for one of the suspect: 1 at the same speed, above it where the suspect runs faster."""
    mirrored: bool
    """Whether the suspect shows the original mirrored."""
    scale_x: float
    """Pixels of the original for one of the suspect, across; above 0."""
    scale_y: float
    """The same, down."""
    xyxy_px: tuple[float, float, float, float]
    """Left, top, right, bottom of the suspect's frame in pixels of the original, mirrored if ``mirrored`` says so; past
    the original's border where the suspect has bars."""
    start_seconds: float
    """First second of the suspect in which both show the same."""
    end_seconds: float
    """Last second of the suspect in which both show the same."""
    likeness: float
    """How alike both change over time in that stretch, -1 to 1; 1 is the same film."""
    points: int
    """Points that agree with the placement, in the pair of frames that shows most of them."""

    def __post_init__(self) -> None:
        check(min(self.rate, self.scale_x, self.scale_y) > 0, f"rate {self.rate} and scales must be above 0")
        check(self.end_seconds >= self.start_seconds, "the stretch ends before it begins")


@dataclass(frozen=True, slots=True)
class PairScore:
    """One face in one pair of frames."""

    time_seconds: float
    """Time in the suspect."""
    original_seconds: float
    """Time in the original."""
    xyxy_px: tuple[float, float, float, float]
    """Box of the face in pixels of the suspect's upright frame."""
    difference: float
    """Mean of 1 - SSIM over the face, 0 alike to 1; see `unmask.comparison.differences`."""
    background_difference: float
    """The same of the frame beside the faces: what encodings alone do."""
    suspect_probability: float
    """Fake probability of the face in the suspect, 0 real to 1 fake."""
    original_probability: float
    """Fake probability of the face in the original."""


@dataclass(frozen=True, slots=True)
class PairPicture:
    """One face in one pair of frames, as a page shows it."""

    time_seconds: float
    """Time in the suspect."""
    original_seconds: float
    """Time in the original."""
    difference: float
    """Mean of 1 - SSIM over the face."""
    suspect_jpeg: bytes = field(repr=False)
    """The face in the suspect, square, as JPEG."""
    original_jpeg: bytes = field(repr=False)
    """The same part of the scene in the original, as JPEG of the same size."""
    map_png: bytes = field(repr=False)
    """Where both differ, as gray PNG of the same part: 0 alike to 255, an SSIM of 0 or less."""


@dataclass(frozen=True, slots=True)
class ScenePair:
    """A pair of frames in small, and where the face that differs most is in it."""

    time_seconds: float
    """Time in the suspect."""
    original_seconds: float
    """Time in the original."""
    width_px: int
    """Width of both small frames."""
    height_px: int
    """Height of both small frames."""
    xyxy_px: tuple[float, float, float, float]
    """Box of the face in pixels of the small frames."""
    suspect_jpeg: bytes = field(repr=False)
    """The suspect's frame, as JPEG."""
    original_jpeg: bytes = field(repr=False)
    """The same part of the scene in the original, as JPEG."""
    map_png: bytes = field(repr=False)
    """Where both differ, as gray PNG of the same part."""

    def __post_init__(self) -> None:
        check(self.width_px > 0 and self.height_px > 0, f"a scene of {self.width_px}x{self.height_px} is empty")


@dataclass(frozen=True, slots=True)
class FaceComparison:
    """One person of the suspect, beside the same place in the original."""

    person: int
    """Number of the person in order of appearance in the suspect, from 1."""
    changed: bool | None
    """Whether the face differs by more than encodings do; None where it was seen in too few pairs of frames."""
    start_seconds: float
    """First pair of frames that shows the person, in seconds of the suspect."""
    end_seconds: float
    """Last pair of frames that shows the person."""
    frames: int
    """Pairs of frames that show the person."""
    difference: float
    """Mean of 1 - SSIM over the face and the pairs, 0 alike to 1."""
    background_difference: float
    """The same of the frames beside the faces."""
    excess: float
    """What decides: how much more the face differs than such an encoding explains; above 0 is changed."""
    suspect_probability: float
    """Fake probability of the person in the suspect, over these frames."""
    suspect_label: Label
    """What the model's thresholds make of it."""
    original_probability: float
    """Fake probability of the same place in the original, over the same moments."""
    original_label: Label
    """What the model's thresholds make of it."""
    score_difference: float
    """Suspect minus original: mean difference of the calibrated logits over the pairs of frames."""
    higher: Side | None
    """Which of both scores higher by more than authentic copies differ; None where neither does."""
    scores: tuple[PairScore, ...]
    """One entry for each pair of frames, in order of time."""
    pictures: tuple[PairPicture, ...] = ()
    """The largest difference of each sixth of the pairs, in order of time: at most six."""
    scene: ScenePair | None = None
    """The pair of frames in which the face differs most; None where pictures were not kept."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a suspect differs from its original."""

    suspect: str
    """The suspect as named."""
    original: str
    """The original as named."""
    outcome: Outcome
    """The answer."""
    reasons: tuple[str, ...]
    """Why, in sentences, most important first."""
    warnings: tuple[str, ...] = ()
    """What limits the answer, in sentences."""
    alignment: AlignedBy | None = None
    """How the suspect lies in the original; None where it is not the same footage."""
    faces: tuple[FaceComparison, ...] = ()
    """One entry for each person, the most different first."""
    frames_compared: int = 0
    """Pairs of frames that were compared."""
    suspect_media: MediaFacts | None = None
    """What the suspect's file is."""
    original_media: MediaFacts | None = None
    """What the original's file is."""
    models: tuple[dict[str, str], ...] = ()
    """Name, version and sha256 of each model."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All that is needed to repeat the comparison."""
    elapsed_seconds: float = field(default=0.0, compare=False)
    """Wall time of this comparison."""
    compared_at: str = field(default_factory=_now, compare=False)
    """Date and time in UTC, e.g. ``2026-11-26T10:00:12Z``."""
    version: str = __version__
    """Version of unmask."""
    libraries: dict[str, str] = field(default_factory=library_versions)
    """Name -> version of the libraries that decode and compute."""

    def __post_init__(self) -> None:
        check(self.outcome in get_args(Outcome), f"outcome {self.outcome!r} is not one of {get_args(Outcome)}")
        check((self.alignment is None) == (self.outcome == "not_the_same_footage"), "an outcome without its alignment")

    @property
    def higher(self) -> Side | None:
        """In which of both the changed face that differs most scores higher; None where that cannot be told."""
        return next((face.higher for face in self.faces if face.changed), None)

    def to_dict(self, *, timing: bool = False, pictures: bool = False) -> dict[str, Any]:
        """Return the comparison as JSON-ready values.

        Args:
            timing: With ``elapsed_seconds`` and ``compared_at``.
            pictures: With the views, maps and frames that a page shows, some 100 KB a person.
        """
        bare = tuple(replace(face, pictures=(), scene=None) for face in self.faces)
        told = self if pictures else replace(self, faces=bare)
        data = {"schema_version": COMPARISON_VERSION, **jsonable(told)}
        data |= {"suspect": portable(self.suspect), "original": portable(self.original)}
        return data if timing else {key: value for key, value in data.items() if key not in COMPARISON_TIMING}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Comparison:
        """Return the comparison that `to_dict` made these values of.

        Raises:
            UsageError: They are no comparison, or one of another version of the schema.
        """
        with reading(data, COMPARISON_VERSION, "comparison", "compare again"):
            found: Comparison = from_jsonable(cls, {key: data[key] for key in data if key != "schema_version"})
        return found

    def save(self, path: str | Path) -> Path:
        """Write the comparison; the suffix of ``path`` picks the form, ``.json`` or ``.html``.

        Raises:
            UsageError: The suffix is neither.
        """
        target = Path(path)
        if target.suffix.lower() not in (".json", ".html"):
            raise UsageError(f"cannot save a comparison as {target.suffix!r}; use .json or .html")
        import_module("unmask.report.comparison").save_comparison(self, target)
        return target
