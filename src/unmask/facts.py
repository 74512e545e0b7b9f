"""The values that say what a media file is; `unmask.types` has them as well."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

Scheme = Literal["c2pa", "digital_source_type", "aigc", "program"]
"""By what a file declares itself: a C2PA manifest, IPTC's digital source type, China's AIGC key (GB 45438-2025), or
the name of a known program."""
Says = Literal["generated", "perhaps_generated", "composite", "edited", "captured", "unclear", "unreadable"]
"""What a label says: synthetic as a whole, perhaps so, in part; changed; recorded; nothing of that kind; or damaged."""
Signature = Literal["trusted", "unknown_signer", "mismatch", "invalid", "not_checked"]
"""What is known of the signature of a manifest: valid, and its signer is on the trust list; valid, and its signer is
not; it does not match the film or the manifest, which were changed; not valid for another reason, such as a certificate
that had expired; or nothing but that it is there."""

TraceKind = Literal[
    "written_by", "encoder_settings", "key_frames", "hidden_frames", "time_gaps", "joined", "sound", "dates",
    "second_encoding",
]  # fmt: skip
"""What a trace is about: the writing program; settings of the encoder; the rhythm of key frames; frames that an edit
list hides; gaps between time stamps; parts that were encoded one by one; sound beside picture; dates of the tracks;
signs that the film was encoded before."""

MAX_LABEL_TEXT = 600
"""Characters of a text of a label."""

HighRange = Literal["PQ", "HLG"]
"""Curves by which light of high dynamic range is stored (ITU-R BT.2100)."""


def check(condition: bool, message: str) -> None:
    """Raise ValueError with this message unless the condition holds."""
    if not condition:
        raise ValueError(message)


def _check_numbers(values: tuple[float | None, ...]) -> None:
    """Raise ValueError for what no header of a file says: such a number would run through all that is counted of it."""
    check(all(value is None or math.isfinite(value) for value in values), f"{values} are not all finite numbers")


@dataclass(frozen=True, slots=True)
class AudioFacts:
    """The soundtrack, as its header tells it. None where the header is silent."""

    codec: str
    """Codec name, e.g. ``aac``."""
    channels: int | None
    """Number of channels."""
    sample_rate_hz: int | None
    """Samples a second."""
    frames: int | None
    """Number of packets that the header claims."""
    bit_rate: int | None
    """Bits a second."""
    duration_seconds: float | None
    """Length of the track."""
    start_seconds: float | None
    """Time stamp of its first sample."""

    def __post_init__(self) -> None:
        _check_numbers((self.duration_seconds, self.start_seconds))


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a video file is: container, images and sound, measured where possible."""

    size_bytes: int
    """Length of the file."""
    sha256: str
    """Hash of the file's bytes, 64 hex digits."""
    container: str
    """Long name of the container format, e.g. ``QuickTime / MOV``."""
    codec: str
    """Codec of the images, e.g. ``h264``."""
    pixel_format: str
    """Pixel format as FFmpeg names it, e.g. ``yuv420p``."""
    width: int
    """Width of an upright frame in pixels, after rotation."""
    height: int
    """Height of an upright frame in pixels, after rotation."""
    rotation_degrees: int
    """Counter-clockwise turn from the stored to the upright frame: 0, 90, 180 or 270."""
    mirrored: bool
    """Whether the file asks for a mirrored display."""
    sample_aspect_ratio: float
    """Width of a stored pixel over its height; 1.0 when square or unknown."""
    frames: int
    """Frames whose packets are in the file."""
    frames_claimed: int | None
    """Frames that the header claims; a rumour."""
    cut_short: bool
    """Whether the file ends before the data that its header lists."""
    frame_rate: float | None
    """Average frames a second, None when the header does not say."""
    duration_seconds: float
    """Time from the first frame to the end of the last."""
    start_seconds: float | None
    """Time stamp of the first frame."""
    bit_rate: int | None
    """Bits a second of the video track; measured where the header does not say."""
    encoder: str | None
    """Program that wrote the file, as it names itself."""
    audio: AudioFacts | None
    """The first soundtrack, None when silent."""
    interlaced: bool = False
    """Whether frames hold two moments, one in each half of their rows; frames that are combed are made of one."""
    high_range: HighRange | None = None
    """Curve of footage of high dynamic range, which is brought to ordinary brightness; None for ordinary footage."""
    is_followed: bool = False
    """Whether another recording follows in the file, which is not read."""
    film: int = 1
    """Number of the film that all this is about, from 1; most files hold one."""
    films: int = 1
    """Picture tracks that are films: cameras, programmes, views."""
    other_pictures: int = 0
    """Other moving picture tracks, which are not looked at: previews, and codecs that are not read."""
    is_picture: bool = False
    """Whether it is one picture, not a film."""
    pieces: int = 1
    """Files that hold it, in order; more than one for a recording in pieces."""
    missing_pieces: int = 0
    """How many of these could not be read, and are left out."""

    def __post_init__(self) -> None:
        check(len(self.sha256) == 64, f"sha256 has {len(self.sha256)} digits, 64 are needed")
        check(self.width > 0 and self.height > 0, f"frame size {self.width}x{self.height} is empty")
        check(1 <= self.film <= self.films, f"film {self.film} is not one of {self.films}")
        check(self.rotation_degrees in (0, 90, 180, 270), f"rotation {self.rotation_degrees} is no right angle")
        _check_numbers((self.sample_aspect_ratio, self.frame_rate, self.duration_seconds, self.start_seconds))


@dataclass(frozen=True, slots=True)
class DeclaredLabel:
    """One thing that a file declares of where it is from: anybody can write it, or take it away."""

    scheme: Scheme
    """By what it is declared."""
    says: Says
    """What it says."""
    where: str
    """Where it stands in the file, in words."""
    reason: str
    """All of it as a sentence."""
    values: dict[str, str] = field(default_factory=dict)
    """What stands there, by name: claim generator, actions, producer, program, signer, and so on."""
    signature: Signature | None = None
    """Of a C2PA manifest; None of what has none."""

    def __post_init__(self) -> None:
        texts = (self.where, self.reason, *self.values, *self.values.values())
        check(
            all(text.isprintable() and len(text) <= MAX_LABEL_TEXT for text in texts),
            f"texts of a label are printable, of at most {MAX_LABEL_TEXT} characters",
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """One fact of how a file was written; alone, it speaks neither for nor against its film."""

    kind: TraceKind
    """What it is about."""
    reason: str
    """The fact as a sentence."""
    values: dict[str, str] = field(default_factory=dict)
    """Its numbers and names, as text."""

    def __post_init__(self) -> None:
        texts = (self.reason, *self.values, *self.values.values())
        check(
            all(text.isprintable() and len(text) <= MAX_LABEL_TEXT for text in texts),
            f"texts of a trace are printable, of at most {MAX_LABEL_TEXT} characters",
        )
