"""unmask: is the face in this video real?

    scanner = unmask.Scanner()
    verdict = scanner.scan("clip.mp4")
    verdict.label, verdict.fake_probability, verdict.reasons

Importing this package loads neither numpy nor any network or decoder: names are looked up on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unmask._version import __version__

if TYPE_CHECKING:
    from unmask.compared import AlignedBy, Comparison, FaceComparison, PairPicture, PairScore, ScenePair
    from unmask.comparison.compare import compare
    from unmask.errors import (
        CrashedError,
        DownloadError,
        InputError,
        LimitError,
        ModelError,
        NoVideoError,
        TimedOutError,
        UnmaskError,
        UnreadableError,
        UnsupportedError,
        UsageError,
    )
    from unmask.faces import Detector
    from unmask.media import FrameIndex, Limits, Video, open_video, probe, read_frames, sample_frames
    from unmask.media.shots import Shots
    from unmask.media.signature import SignatureLog
    from unmask.media.video import Decode
    from unmask.models import Fusion, Thresholds
    from unmask.models.passages import PassageRule
    from unmask.report.frame import to_pandas
    from unmask.scan.base import BaseScanner
    from unmask.scan.decide import Judgement
    from unmask.scan.options import ScanKeywords, ScanOptions
    from unmask.scan.sampler import Sampler
    from unmask.scan.scanner import Scanner
    from unmask.scan.stop import Adaptive, Progress, Step, StopRule
    from unmask.scan.timeline import Timeline
    from unmask.systems.presets import open_preset
    from unmask.types import (
        AudioFacts,
        CropSpec,
        DeclaredLabel,
        DetectorSpec,
        Face,
        FaceQuality,
        Frame,
        FrameScore,
        MediaFacts,
        Passage,
        PersonPictures,
        PersonVerdict,
        Scene,
        Sighting,
        Span,
        Trace,
        UnjudgedPerson,
        Verdict,
    )

_HOMES = {
    "unmask.compared": (
        "AlignedBy",
        "Comparison",
        "FaceComparison",
        "PairPicture",
        "PairScore",
        "ScenePair",
    ),
    "unmask.comparison.compare": ("compare",),
    "unmask.errors": (
        "CrashedError",
        "DownloadError",
        "InputError",
        "LimitError",
        "ModelError",
        "NoVideoError",
        "TimedOutError",
        "UnmaskError",
        "UnreadableError",
        "UnsupportedError",
        "UsageError",
    ),
    "unmask.faces": ("Detector",),
    "unmask.media": (
        "FrameIndex",
        "Limits",
        "Video",
        "open_video",
        "probe",
        "read_frames",
        "sample_frames",
    ),
    "unmask.media.shots": ("Shots",),
    "unmask.media.signature": ("SignatureLog",),
    "unmask.media.video": ("Decode",),
    "unmask.models": (
        "Fusion",
        "Thresholds",
    ),
    "unmask.models.passages": ("PassageRule",),
    "unmask.report.frame": ("to_pandas",),
    "unmask.scan.base": ("BaseScanner",),
    "unmask.scan.decide": ("Judgement",),
    "unmask.scan.options": (
        "ScanKeywords",
        "ScanOptions",
    ),
    "unmask.scan.sampler": ("Sampler",),
    "unmask.scan.scanner": ("Scanner",),
    "unmask.scan.stop": (
        "Adaptive",
        "Progress",
        "Step",
        "StopRule",
    ),
    "unmask.scan.timeline": ("Timeline",),
    "unmask.systems.presets": ("open_preset",),
    "unmask.types": (
        "AudioFacts",
        "CropSpec",
        "DeclaredLabel",
        "DetectorSpec",
        "Face",
        "FaceQuality",
        "Frame",
        "FrameScore",
        "MediaFacts",
        "Passage",
        "PersonPictures",
        "PersonVerdict",
        "Scene",
        "Sighting",
        "Span",
        "Trace",
        "UnjudgedPerson",
        "Verdict",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Adaptive",
    "AlignedBy",
    "AudioFacts",
    "BaseScanner",
    "Comparison",
    "CrashedError",
    "CropSpec",
    "DeclaredLabel",
    "Decode",
    "Detector",
    "DetectorSpec",
    "DownloadError",
    "Face",
    "FaceComparison",
    "FaceQuality",
    "Frame",
    "FrameIndex",
    "FrameScore",
    "Fusion",
    "InputError",
    "Judgement",
    "LimitError",
    "Limits",
    "MediaFacts",
    "ModelError",
    "NoVideoError",
    "PairPicture",
    "PairScore",
    "Passage",
    "PassageRule",
    "PersonPictures",
    "PersonVerdict",
    "Progress",
    "Sampler",
    "ScanKeywords",
    "ScanOptions",
    "Scanner",
    "Scene",
    "ScenePair",
    "Shots",
    "Sighting",
    "SignatureLog",
    "Span",
    "Step",
    "StopRule",
    "Thresholds",
    "TimedOutError",
    "Timeline",
    "Trace",
    "UnjudgedPerson",
    "UnmaskError",
    "UnreadableError",
    "UnsupportedError",
    "UsageError",
    "Verdict",
    "Video",
    "__version__",
    "compare",
    "open_preset",
    "open_video",
    "probe",
    "read_frames",
    "sample_frames",
    "to_pandas",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'unmask' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names without importing them."""
    return __all__
