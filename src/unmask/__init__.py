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
    from unmask.errors import InputError, ModelError, UnmaskError, UsageError
    from unmask.media import probe, sample_frames
    from unmask.scan.scanner import Scanner
    from unmask.systems.presets import open_preset
    from unmask.types import CropSpec, Face, Frame, FrameScore, MediaFacts, PersonVerdict, Verdict

_HOMES = {
    "unmask.errors": ("InputError", "ModelError", "UnmaskError", "UsageError"),
    "unmask.media": ("probe", "sample_frames"),
    "unmask.systems.presets": ("open_preset",),
    "unmask.scan.scanner": ("Scanner",),
    "unmask.types": ("CropSpec", "Face", "PersonVerdict", "Frame", "FrameScore", "MediaFacts", "Verdict"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CropSpec",
    "Face",
    "Frame",
    "FrameScore",
    "InputError",
    "MediaFacts",
    "ModelError",
    "PersonVerdict",
    "Scanner",
    "UnmaskError",
    "UsageError",
    "Verdict",
    "__version__",
    "open_preset",
    "probe",
    "sample_frames",
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
