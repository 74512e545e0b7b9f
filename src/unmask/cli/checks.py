"""What `unmask doctor` looks at: each check returns a line of facts, or raises with the cure."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distributions, version
from importlib.util import find_spec

from unmask.cli.console import EXTRAS

WITHOUT = {
    "session": "a signal from the terminal reaches decoders",
    "limits": "memory and time of a file are bounded by the clock alone: scan untrusted files in a virtual machine",
    "death signal": "a decoder may outlive unmask until it looks for its next order",
    "no new privileges": "the filter of system calls, which starts no program, takes its place",
    "empty network": "the filter of system calls, which makes no socket, takes its place",
    "no capabilities": "the filter of system calls takes its place; run unmask as a user without privileges",
    "no files": "the filter of system calls, which opens no file, takes its place",
    "system calls": "files, TCP and signals are held by the guard 'no files', the network by an empty one, but "
    "processes can be started: scan untrusted files in a virtual machine",
}
"""Guard of a decoder -> what holds where a kernel, or the profile of a container, does not have it."""


def _packages() -> str:
    names = ("numpy", "av", "opencv-python-headless", "openvino", "mtcnn", "pydantic", "typer")
    missing = []
    found = []
    for name in names:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise RuntimeError(f"missing: {', '.join(missing)}; run: pip install --force-reinstall unmask")
    return ", ".join(found)


def _extras() -> str:
    lines = []
    for extra, names in EXTRAS.items():
        missing = [name for name in names if find_spec(name) is None]
        lines.append(
            f"{extra} lacks {', '.join(missing)}: pip install 'unmask[{extra}]'" if missing else f"{extra} is there"
        )
    return "; ".join(lines)


def _opencv() -> str:
    wheels = {d.metadata["Name"].lower() for d in distributions() if d.metadata["Name"].lower().startswith("opencv-")}
    if len(wheels) > 1:
        raise RuntimeError(
            f"{', '.join(sorted(wheels))} write into the same folder and break each other; run: "
            f"pip uninstall -y {' '.join(sorted(wheels))} && pip install 'opencv-python-headless<5'"
        )
    import cv2

    return f"one wheel, version {cv2.__version__}"


def _media() -> str:
    import av

    major, minor, _ = av.library_versions["libavcodec"]
    decoders = [name for name in ("h264", "hevc", "vp9", "av1", "mpeg4") if name in av.codecs_available]
    return f"libavcodec {major}.{minor}, decodes {', '.join(decoders)}"


def _decoding() -> str:
    from unmask.isolation.confine import GUARDS
    from unmask.media import guards_in_force

    in_force = guards_in_force()
    if not in_force:
        return "within this process, since none can be forked here: scan untrusted files in a virtual machine"
    missing = [f"{guard} ({WITHOUT[guard]})" for guard in GUARDS if guard not in in_force]
    without = f"; this kernel lacks: {', '.join(missing)}" if missing else ""
    return f"in a process a file, confined by {', '.join(in_force)}{without}"


def _cpu() -> str:
    from unmask.models.cpu import resolve_precision
    from unmask.runtime.openvino import ov

    core = ov.Core()
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')}, precision auto = {resolve_precision('auto')}"


def _models() -> str:
    from unmask.models import model_folder, model_names, verify_folder

    names = model_names()
    for name in names:
        verify_folder(model_folder(name))
    return ", ".join(names)


def _detector() -> str:
    import numpy as np

    from unmask.faces import load_detector
    from unmask.types import DetectorSpec

    load_detector(DetectorSpec()).detect(np.zeros((64, 64, 3), np.uint8))
    return "MTCNN weights are whole and run"


CHECKS: dict[str, Callable[[], str]] = {
    "packages": _packages,
    "extras": _extras,
    "OpenCV": _opencv,
    "video": _media,
    "decoding": _decoding,
    "CPU": _cpu,
    "models": _models,
    "face detector": _detector,
}
"""Name -> function that returns a line of facts or raises with the cure."""
