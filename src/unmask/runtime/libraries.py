"""Which versions of the libraries that decode and compute are in use."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = {"PyAV": "av", "OpenVINO": "openvino", "OpenCV": "opencv-python-headless"}


def library_versions() -> dict[str, str]:
    """Return name -> version of PyAV, FFmpeg, OpenVINO and OpenCV; ``unknown`` where a package has no metadata."""
    return dict(_versions())


@cache
def _versions() -> dict[str, str]:
    import av  # a tenth of a second that only verdicts need

    found = {name: _version(package) for name, package in _PACKAGES.items()}
    return {"PyAV": found["PyAV"], "FFmpeg": av.ffmpeg_version_info, **found}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
