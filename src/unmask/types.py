"""The values that travel from stage to stage.

All are frozen, slotted and checked. Each field has shape, unit and range on the line after it; ``repr``
prints shapes, never pixels. Array axes: H height, W width, 3 RGB, K landmarks; x grows to the right, y down.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from unmask._version import __version__
from unmask.errors import UsageError
from unmask.facts import AudioFacts as AudioFacts
from unmask.facts import DeclaredLabel as DeclaredLabel
from unmask.facts import MediaFacts as MediaFacts
from unmask.facts import Trace as Trace
from unmask.facts import check
from unmask.people import FaceQuality as FaceQuality
from unmask.people import Passage as Passage
from unmask.people import PersonPictures as PersonPictures
from unmask.people import Scene as Scene
from unmask.people import Sighting as Sighting
from unmask.people import Span as Span
from unmask.people import UnjudgedPerson as UnjudgedPerson
from unmask.people import WhyUnjudged as WhyUnjudged
from unmask.runtime.jsonable import from_jsonable, jsonable, portable, reading
from unmask.runtime.libraries import library_versions
from unmask.sentences import codes_of, with_codes

ImageHW3 = NDArray[np.uint8]
"""Upright RGB image, (H, W, 3) uint8 in [0, 255]."""

Status = Literal[
    "ok", "ok_partial", "no_face", "no_video", "unreadable", "unsupported",
    "rejected_limit", "timeout", "crashed", "internal_error",
]  # fmt: skip
Label = Literal["fake", "real", "inconclusive"]
Colours = Literal["tagged", "bt601"]
"""How stored colours become RGB. ``tagged``: by the matrix that the file names, BT.601 where it names none. ``bt601``:
by BT.601 whatever the file says, as OpenCV 4.5 to 4.12 decoded."""

SCHEMA_VERSION = 3
TIMING = ("elapsed_seconds", "scanned_at")
"""Fields of a verdict that differ from scan to scan."""

THUMBNAIL_PX = 96
"""Side of the portrait of a person in a verdict, in pixels."""


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_probability(value: float | None) -> bool:
    return value is None or 0.0 <= value <= 1.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One decoded image of a video."""

    image_HW3: ImageHW3
    """Upright RGB image, (H, W, 3) uint8."""
    time_seconds: float
    """Time since the first frame of the video."""
    index: int
    """Position among the frames that exist, in order of display, from 0."""
    quantiser: float | None = None
    """Mean quantiser as a share of the codec's range, 0 finest to 1; None where the decoder does not tell."""

    def __post_init__(self) -> None:
        check(
            self.image_HW3.ndim == 3 and self.image_HW3.shape[2] == 3 and self.image_HW3.dtype == np.uint8,
            f"a frame is (H, W, 3) uint8, not {self.image_HW3.shape} {self.image_HW3.dtype}",
        )

    def __repr__(self) -> str:
        height, width = self.image_HW3.shape[:2]
        return f"Frame({width}x{height}, index={self.index}, time_seconds={self.time_seconds:.3f})"


@dataclass(frozen=True, slots=True)
class Face:
    """One detected face."""

    xyxy_px: tuple[float, float, float, float]
    """Left, top, right, bottom in pixels of the upright frame; may reach past its border."""
    confidence: float
    """How sure the detector is, 0 to 1."""
    landmarks_px: NDArray[np.float32] | None = None
    """(5, 2) x, y of left eye, right eye, nose, left and right mouth corner (left in the image).

    None where the detector gives boxes only: the face is judged all the same, but no region of it is named.
    """

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.xyxy_px
        check(x2 > x1 and y2 > y1, f"box {self.xyxy_px} is empty")
        if self.landmarks_px is not None:
            check(self.landmarks_px.shape == (5, 2), f"landmarks are (5, 2), not {self.landmarks_px.shape}")

    @property
    def side_px(self) -> float:
        """The longer side of the box in pixels."""
        x1, y1, x2, y2 = self.xyxy_px
        return max(x2 - x1, y2 - y1)

    def __repr__(self) -> str:
        box = ", ".join(f"{value:.1f}" for value in self.xyxy_px)
        return f"Face(({box}), confidence={self.confidence:.3f})"


@dataclass(frozen=True, slots=True)
class DetectorSpec:
    """How faces are looked for. Part of a model's card."""

    detector: str = "mtcnn"
    """Name in ``unmask.faces.DETECTORS``."""
    scale: float | Literal["adaptive"] = "adaptive"
    """Frame scale before detection; ``adaptive`` picks 2, 1, 0.5 or 0.33 by the longer side."""
    thresholds: tuple[float, float, float] = (0.7, 0.8, 0.8)
    """Least confidence of the detector's three stages, 0 to 1."""
    min_face_px: int | float = 20
    """Smallest face to look for, in pixels of the scaled frame; at least 12."""
    shrink: Literal["area", "bicubic"] = "area"
    """How frames are made smaller: ``area`` is OpenCV's and the fastest, ``bicubic`` Pillow's."""
    search_seconds: float = 0.0
    """Longest time from one frame that is searched everywhere to the next; in those between, small faces are looked for
    around those of both. 0 searches each frame everywhere. See `unmask.scan.between`."""

    def __post_init__(self) -> None:
        check(self.scale == "adaptive" or 0 < float(self.scale) <= 4, f"scale {self.scale} is not in (0, 4]")
        check(all(0 < t < 1 for t in self.thresholds), f"thresholds {self.thresholds} are not in (0, 1)")
        check(self.min_face_px >= 12, f"min_face_px {self.min_face_px} is below the detector's 12 pixels")
        check(0 <= self.search_seconds <= 10, f"search_seconds {self.search_seconds} is not in 0..10")


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The one crop rule of a model: training, evaluation and scanning all cut faces by it."""

    size_px: int
    """Side of the square crop."""
    margin: float = 1 / 3
    """Share of the box side added on each side."""
    outline: Literal["box", "square"] = "box"
    """``box`` keeps the box's proportions and clips at the frame; ``square`` is as wide as the longer side."""
    enlarge: Literal["cubic", "linear"] = "cubic"
    """Filter where the face is smaller than the crop; shrinking always averages areas."""
    min_side_px: int = 0
    """Faces whose longer side is below this, in pixels of the upright frame, are not judged."""
    detection: DetectorSpec = field(default_factory=DetectorSpec)
    """How the faces are found."""
    colours: Colours = "tagged"
    """How the frames are decoded."""

    def __post_init__(self) -> None:
        check(16 <= self.size_px <= 2048, f"size_px {self.size_px} is not in 16..2048")
        check(0 <= self.margin <= 2, f"margin {self.margin} is not in 0..2")


@dataclass(frozen=True, slots=True)
class CropScore:
    """What a network says of one crop."""

    logit: float
    """Calibrated; its sigmoid is the fake probability."""
    map_hw: NDArray[np.float32] | None = field(repr=False)
    """(h, w) where it sees manipulation, 0 to 1; None when the network gives no map."""

    @property
    def fake_probability(self) -> float:
        """0 real to 1 fake."""
        return 0.5 + 0.5 * math.tanh(self.logit / 2)  # the sigmoid, without overflow


@dataclass(frozen=True, slots=True)
class ScoredFace:
    """One face in one frame, with what each model says of it."""

    person: int
    """Number of the person, from 1."""
    index: int
    """Frame index, see `unmask.types.Frame.index`."""
    time_seconds: float
    """Time since the first frame."""
    face: Face
    """Where it is."""
    scores: tuple[CropScore, ...]
    """One for each model."""
    portrait_SS3: ImageHW3
    """The crop that the first model saw, `THUMBNAIL_PX` wide: (S, S, 3) uint8 RGB."""
    quality: FaceQuality
    """How well it can be seen."""
    crop_jpeg: bytes | None = field(default=None, repr=False)
    """The crop that the first model saw, as a report shows it; None where none is wanted."""

    @property
    def fake_probability(self) -> float:
        """Mean over the models, 0 real to 1 fake."""
        return float(np.mean([score.fake_probability for score in self.scores]))

    @property
    def clarity(self) -> float:
        """How well the face can be seen: its side in pixels times the detector's confidence."""
        return self.face.side_px * self.face.confidence


@dataclass(frozen=True, slots=True)
class FrameScore:
    """One face in one frame, judged."""

    person: int
    """Number of the person, from 1."""
    index: int
    """Frame index, see `Frame.index`."""
    time_seconds: float
    """Time since the first frame."""
    xyxy_px: tuple[float, float, float, float]
    """Box in pixels of the upright frame."""
    confidence: float
    """How sure the detector is, 0 to 1."""
    fake_probability: float
    """Calibrated, mean over the models, 0 real to 1 fake."""
    quality: FaceQuality | None = None
    """How well the face can be seen; ``fake_probability`` accounts for it. None where it was not measured."""

    def __post_init__(self) -> None:
        check(_is_probability(self.fake_probability), f"fake_probability {self.fake_probability} is not in 0..1")


@dataclass(frozen=True, slots=True)
class PersonVerdict:
    """One person in the video, judged over all their frames."""

    person: int
    """Number of the person in order of appearance, from 1."""
    label: Label
    """What the thresholds make of ``fake_probability``."""
    fake_probability: float
    """Fused over frames and models, 0 real to 1 fake."""
    start_seconds: float
    """First sampled frame that shows the person."""
    end_seconds: float
    """Last sampled frame that shows the person."""
    frames: int
    """Number of sampled frames that show the person."""
    models: dict[str, float]
    """fake_probability by model name, over all frames."""
    thumbnail_jpeg: bytes = field(repr=False)
    """The clearest crop as JPEG, 96 px."""
    region: str | None = None
    """Where the models see most manipulation: ``eyes``, ``nose``, ``mouth``, ``outline``; None when not fake."""
    quality: FaceQuality | None = None
    """How well the person can be seen: the median over the frames of each measure; None where it was not measured."""
    passage: Passage | None = None
    """Where the traces are; None where they fill all frames, or were not searched for."""
    spans: tuple[Span, ...] = ()
    """From when to when the person is seen, in order of time: one for each shot and return; empty where a system does
    not tell."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one input, whatever happened to it."""

    path: str
    """The input as named; bytes outside UTF-8 are kept as surrogate escapes."""
    status: Status
    """``ok``, or why there is no full answer."""
    label: Label | None
    """``fake``, ``real``, ``inconclusive``; None unless the status is ok or ok_partial."""
    fake_probability: float | None
    """0 real to 1 fake, by default of the most suspicious person; None unless the status is ok or ok_partial.

    An inconclusive verdict may be without one, too: the reasons say why.
    """
    reasons: tuple[str, ...] = ()
    """Why, in sentences, most important first."""
    warnings: tuple[str, ...] = ()
    """What limits the answer, in sentences."""
    faces: tuple[PersonVerdict, ...] = ()
    """One entry for each person, most suspicious first; those seen in too few frames come last."""
    unjudged: tuple[UnjudgedPerson, ...] = ()
    """People who were seen but cannot be judged, and why."""
    turned_degrees: int = 0
    """Counter-clockwise turn that the scan added because the file lost it: 0, 90, 180 or 270. Boxes are in the turned
    frames."""
    frames: tuple[FrameScore, ...] = ()
    """One entry for each judged face in each sampled frame, in order of time."""
    frames_asked: int = 0
    """Frames that should have been looked at."""
    frames_decoded: int = 0
    """Frames that could be decoded."""
    max_gap_seconds: float | None = None
    """Longest stretch of the video without a frame that was looked at; None where none was. A manipulation that is
    shorter may have been missed."""
    frames_with_faces: int = 0
    """Frames in which a face was judged."""
    models: tuple[dict[str, str], ...] = ()
    """Name, version and sha256 of each model."""
    sha256: str | None = None
    """Hash of the file's bytes, 64 hex digits; None when it could not be opened."""
    media: MediaFacts | None = None
    """What the file is, None when it could not be read."""
    declared: tuple[DeclaredLabel, ...] = ()
    """What the file declares of itself, what matters most first; it is no part of ``fake_probability``. Of a file that
    cannot be opened, nothing is known."""
    traces: tuple[Trace, ...] = ()
    """How the file was written: facts, which are no part of ``fake_probability`` either."""
    settings: dict[str, Any] = field(default_factory=dict)
    """All that is needed to repeat the scan."""
    pictures: tuple[PersonPictures, ...] = field(default=(), repr=False, compare=False)
    """What a report shows of each person, in the order of ``faces``; empty where that was not asked for."""
    elapsed_seconds: float = field(default=0.0, compare=False)
    """Wall time of this scan."""
    scanned_at: str = field(default_factory=_now, compare=False)
    """Date and time of this scan in UTC, e.g. ``2026-11-26T10:00:12Z``."""
    version: str = __version__
    """Version of unmask."""
    libraries: dict[str, str] = field(default_factory=library_versions)
    """Name -> version of the libraries that decode and compute: PyAV, FFmpeg, OpenVINO, OpenCV."""

    def __post_init__(self) -> None:
        check(self.status in get_args(Status), f"status {self.status!r} is not one of {get_args(Status)}")
        judged = self.status in ("ok", "ok_partial")
        numbered = self.fake_probability is not None
        check(
            (self.label == "inconclusive" or (self.label is not None and numbered))
            if judged
            else (self.label is None and not numbered),
            f"status {self.status} with label {self.label} and fake_probability {self.fake_probability}",
        )
        check(_is_probability(self.fake_probability), f"fake_probability {self.fake_probability} is not in 0..1")

    def to_dict(self, *, timing: bool = False, pictures: bool = False) -> dict[str, Any]:
        """Return the verdict as JSON-ready values: what the CLI, the report and a service share.

        Args:
            timing: With ``elapsed_seconds`` and ``scanned_at``. Without, scanning the same file with the same settings
                gives the same values.
            pictures: With the crops, maps and frames that a report shows, some 80 KB a person; without, ``pictures`` is
                empty.
        """
        verdict = self if pictures else replace(self, pictures=())
        said = {"path": portable(self.path), "reason_codes": jsonable(codes_of(self.reasons, self.status))}
        data = {"schema_version": SCHEMA_VERSION, **jsonable(verdict), **said}
        return data if timing else {key: value for key, value in data.items() if key not in TIMING}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Verdict:
        """Return the verdict that `to_dict` made these values of.

        Raises:
            UsageError: They are no verdict, or one of another version of the schema.
        """
        with reading(data, SCHEMA_VERSION, "verdict", "scan the file again"):
            own = {key: data[key] for key in data if key not in ("schema_version", "reason_codes")}
            verdict: Verdict = from_jsonable(cls, own | {"reasons": with_codes(own["reasons"], data["reason_codes"])})
        return verdict

    def __repr__(self) -> str:
        path = self.path if len(self.path) <= 120 else f"...{self.path[-117:]}"
        score = None if self.fake_probability is None else round(self.fake_probability, 4)
        return (
            f"Verdict({path!r}, status={self.status!r}, label={self.label!r}, fake_probability={score}, "
            f"people={len(self.faces)}, frames={self.frames_decoded})"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the words, and of each person the telling crops and the scores over time."""
        text: str = import_module("unmask.report.html").notebook(self)
        return text

    def save(self, path: str | Path) -> Path:
        """Write the verdict; the suffix of ``path`` picks the form, e.g. ``.json``, ``.html``, ``.csv``.

        Raises:
            UsageError: The suffix is not one of the known forms.
        """
        target = Path(path)
        module = _WRITERS.get(target.suffix.lower())
        if module is None:
            raise UsageError(f"cannot save a verdict as {target.suffix!r}; use one of {', '.join(_WRITERS)}")
        import_module(module).save_verdict(self, target)
        return target


_WRITERS = {".json": "unmask.report.json", ".csv": "unmask.report.csv", ".html": "unmask.report.html"}
"""Suffix -> module whose ``save_verdict`` writes one verdict; imported when it is used."""
