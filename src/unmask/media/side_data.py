"""Read the side data of decoded frames, also beside kinds that PyAV does not know."""

from __future__ import annotations

from typing import Any

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


def _unknown_type(cls: type[Type], value: object) -> Type:
    """Return a nameless member for a number that FFmpeg has and PyAV does not."""
    member: Any = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member


# PyAV 18 lists all side data of a frame to give one of them, and its enum refuses new kinds, such as EXIF and the views
# of MV-HEVC (PyAV issue 2392). Python asks this method before it refuses a value.
Type._missing_ = classmethod(_unknown_type)  # type: ignore[method-assign, assignment]


def side_data_of(frame: VideoFrame, name: str) -> bytes | None:
    """Return the side data of a frame by its name in `av.sidedata.sidedata.Type`, None where it has none."""
    found: Any = frame.side_data.get(name)
    return None if found is None else memoryview(found).tobytes()
