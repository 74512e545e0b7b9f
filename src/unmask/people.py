"""The values that say how well, how long and when people were seen, and show them; `unmask.types` has them as well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from unmask.facts import check

WhyUnjudged = Literal["brief", "small", "blurred", "still"]


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How well one face can be seen in one frame."""

    side_px: float
    """Longer side of its box in pixels of the upright frame, above 0."""
    sharpness: float
    """Fine detail beside contrast, from 0; about 0.1 in a sharp photograph. See `unmask.faces.quality`."""
    confidence: float
    """How sure the detector is, 0 to 1."""
    motion: float | None = None
    """Speed of the face in its own sides a second since the person's last sampled frame; None for the first one."""
    quantiser: float | None = None
    """Mean quantiser of the frame as a share of the codec's range, 0 finest to 1; None where the decoder is silent."""

    def __post_init__(self) -> None:
        check(self.side_px > 0 and self.sharpness >= 0, f"side {self.side_px} or sharpness {self.sharpness}")
        check(self.quantiser is None or 0 <= self.quantiser <= 1, f"quantiser {self.quantiser} is not in 0..1")


@dataclass(frozen=True, slots=True)
class Passage:
    """The stretch of a person's frames that speaks loudest for manipulation."""

    start_seconds: float
    """Time of its first sampled frame."""
    end_seconds: float
    """Time of its last sampled frame."""
    frames: int
    """Number of its sampled frames, above 0."""
    fake_probability: float
    """Mean over its frames, 0 real to 1 fake, before the discount for having searched."""

    def __post_init__(self) -> None:
        check(self.frames > 0 and self.end_seconds >= self.start_seconds, f"a passage of {self.frames} frames")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the video in which a person is seen, within one shot."""

    start_seconds: float
    """Time of its first sampled frame that shows the person."""
    end_seconds: float
    """Time of its last one."""
    frames: int
    """Number of sampled frames in it that show the person, above 0."""

    def __post_init__(self) -> None:
        check(self.frames > 0 and self.end_seconds >= self.start_seconds, f"a span of {self.frames} frames")


@dataclass(frozen=True, slots=True)
class UnjudgedPerson:
    """A person who was seen and cannot be judged."""

    person: int
    """Number of the person, from 1."""
    why: WhyUnjudged
    """``brief``: seen in too few frames; ``small``: below the model's least face; ``blurred``: below its least
    sharpness; ``still``: nothing moves, as in a photograph, so the person may be called fake but not real."""
    start_seconds: float
    """First sampled frame that shows the person."""
    end_seconds: float
    """Last sampled frame that shows the person."""
    frames: int
    """Number of sampled frames that show the person."""
    side_px: float
    """Side of the largest of the person's faces in pixels."""
    matters: bool
    """Whether the clip is not called real on account of the person; see `unmask.scan.unjudged`."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One face in one frame, as a report shows it."""

    time_seconds: float
    """Time since the first frame."""
    fake_probability: float
    """Calibrated, mean over the models, 0 real to 1 fake."""
    crop_jpeg: bytes = field(repr=False)
    """The crop that the first model saw, as JPEG, square."""
    map_png: bytes | None = field(default=None, repr=False)
    """Where in the crop the first model sees manipulation, as gray PNG, 0 nowhere to 255 certainly; None where it
    gives no map."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A frame in small, and where one person is in it."""

    time_seconds: float
    """Time since the first frame."""
    width_px: int
    """Width of the small frame, above 0."""
    height_px: int
    """Height of the small frame, above 0."""
    xyxy_px: tuple[float, float, float, float]
    """Box of the person in pixels of the small frame; may reach past its border."""
    jpeg: bytes = field(repr=False)
    """The small frame, upright, as JPEG."""

    def __post_init__(self) -> None:
        check(self.width_px > 0 and self.height_px > 0, f"a scene of {self.width_px}x{self.height_px} is empty")


@dataclass(frozen=True, slots=True)
class PersonPictures:
    """What a report shows of one person."""

    person: int
    """Number of the person, from 1."""
    strip: tuple[Sighting, ...]
    """The highest score of each sixth of the person's frames, in order of time: at most six."""
    scene: Scene | None
    """Of the frames that were kept, one a second, that in which the person can be seen best; None where none shows
    them."""
