"""Install unmask under several Pythons and package versions, and compare verdicts and frames of ten clips.

python scripts/try_pythons.py 3.11 3.12 3.13 3.14

Needs uv (pip install uv), which finds the Pythons of this machine. Each gets two base installs: with the lowest
versions that pyproject.toml allows for what unmask names itself (lowest-direct), and with the highest. Ends with 1
where a verdict is more than 0.001 from that of the first install, or a frame has other bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CODECS = {"libx264": "mp4", "libx265": "mp4", "libvpx-vp9": "webm", "mpeg4": "avi", "mjpeg": "mov"}
"""Codec -> suffix of its clips; there are two of each, an authentic and a blended one."""
RESOLUTIONS = ("lowest-direct", "highest")
SHOWN = ("numpy", "av", "opencv-python-headless", "openvino", "pydantic", "typer")
FRAMES = 24
MAX_CHANGE = 1e-3


def write_clips(folder: Path) -> None:
    """Film the portrait of the examples as it is and blended, with each codec."""
    sys.path[:0] = [str(ROOT), str(ROOT / "examples")]
    from tests.media_factory import write_video

    from make_clips import PORTRAIT, blend_portrait
    from unmask.datasets.synthetic import film, read_portrait

    portrait = read_portrait(PORTRAIT)
    for name, picture in {"authentic": portrait, "blended": blend_portrait(portrait)}.items():
        images = [view for view, _ in film(picture, FRAMES)]
        for codec, suffix in CODECS.items():
            options = {"x265-params": "log-level=none"} if codec == "libx265" else {"b": "4M"}
            form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            path = folder / f"{name}_{codec}.{suffix}"
            write_video(path, images, rate=25, codec=codec, options=options, pixel_format=form)


def probe(folder: Path) -> dict[str, Any]:
    """Return the verdict of each clip, and the sha256 of its frames."""
    import unmask

    scanner, found = unmask.Scanner(frames=16), {}
    for clip in sorted(folder.iterdir()):
        frames = hashlib.sha256()
        for frame in unmask.sample_frames(clip, FRAMES):
            frames.update(frame.image_HW3.tobytes())
        verdict = scanner.scan(clip)
        found[clip.name] = {"label": verdict.label, "p": verdict.fake_probability, "frames": frames.hexdigest()}
    return found


def install(uv: str, python: str, resolution: str, place: Path) -> Path:
    """Make an environment with the base install; return its interpreter."""
    environment = place / f"{python}-{resolution}"
    subprocess.run([uv, "venv", "--quiet", "--python", python, environment], check=True)
    interpreter = environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    command = [uv, "pip", "install", "--quiet", "--python", interpreter, "--resolution", resolution, ROOT]
    subprocess.run(command, check=True)
    return interpreter


def versions(uv: str, interpreter: Path) -> str:
    command = [uv, "pip", "list", "--quiet", "--format", "json", "--python", interpreter]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return ", ".join(f"{package['name']} {package['version']}" for package in listed if package["name"] in SHOWN)


def differences(first: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Say in what the clips of two installs differ."""
    found = []
    for name, wanted in first.items():
        got = other[name]
        if got["label"] != wanted["label"] or abs(got["p"] - wanted["p"]) > MAX_CHANGE:
            found.append(f"{name}: {got['label']} {got['p']:.4f} instead of {wanted['label']} {wanted['p']:.4f}")
        if got["frames"] != wanted["frames"]:
            found.append(f"{name}: other frames")
    return found


def try_all(uv: str, pythons: list[str]) -> int:
    """Try each Python with each resolution; return the exit code."""
    first: dict[str, Any] | None = None
    code = 0
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (clips := place / "clips").mkdir()
        write_clips(clips)
        for python in pythons:
            if subprocess.run([uv, "python", "find", "--no-python-downloads", python], capture_output=True).returncode:
                print(f"{python}: not on this machine", flush=True)
                continue
            for resolution in RESOLUTIONS:
                interpreter = install(uv, python, resolution, place)
                done = subprocess.run([interpreter, __file__, "--probe", clips], capture_output=True, text=True)
                if done.returncode:
                    told = [f"it fails: {(done.stderr.strip().splitlines() or ['without a word'])[-1]}"]
                else:
                    found = json.loads(done.stdout)
                    first = first or found
                    told = differences(first, found)
                code |= bool(told)
                print(f"{python} {resolution}: {versions(uv, interpreter)}: {len(told)} differences", flush=True)
                for line in told:
                    print(f"    {line}", flush=True)
                shutil.rmtree(interpreter.parents[1])
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pythons", nargs="*", default=["3.11", "3.12", "3.13", "3.14"], metavar="VERSION")
    parser.add_argument("--uv", default="uv", help="the program")
    parser.add_argument("--probe", type=Path, metavar="CLIPS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        print(json.dumps(probe(arguments.probe)))
    else:
        sys.exit(try_all(arguments.uv, arguments.pythons))
