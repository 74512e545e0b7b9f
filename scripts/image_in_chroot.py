"""Build an image without a builder: run the steps of a Dockerfile in bare Debian systems, and say how large it is.

    python scripts/image_in_chroot.py deploy/docker/Dockerfile /var/tmp/image --try clip.mp4

For root on Debian with `debootstrap`. A stage is a folder; `FROM debian:SUITE-slim` is Debian's minimal system without
manuals, as that image is. Understood are FROM, RUN, COPY, ARG, ENV, WORKDIR, USER, ENTRYPOINT and CMD, as our files use
them. With ``--try`` the image then scans a clip as its user, on a file system that is read-only but for /tmp. The
folders stay, so that a stage whose steps have not changed is not made again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

CERTIFICATES = os.environ.get("SSL_CERT_FILE")
"""Certificates of this machine's way to the registries, if it has its own; lent to the steps, not kept."""
MANUALS = ("usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


@dataclass(slots=True)
class Stage:
    """One stage of a build."""

    root: Path
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    environment: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"}
    )
    folder: str = "/"
    user: str = "0:0"
    command: list[str] = field(default_factory=list)


def read_stages(dockerfile: Path, out: Path) -> dict[str, Stage]:
    """Return the stages of a Dockerfile by name, in order; the last one is the image."""
    text = re.sub(r"^#.*\n", "", dockerfile.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, Stage] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = stages[name or "image"] = Stage(out / (name or "image"), base)
        else:
            stage.steps.append((word, rest.strip()))
    return stages


def make_base(stage: Stage) -> None:
    """Make the system that a stage begins with."""
    found = re.fullmatch(r"debian:(\w+)-slim", stage.base)
    if found is None:
        sys.exit(f"{stage.base} cannot be made here; the base must be debian:SUITE-slim")
    base = stage.root.parent / f"{found[1]}-slim"
    if not (base / "complete").exists():
        shutil.rmtree(base, ignore_errors=True)
        subprocess.run(["debootstrap", "--variant=minbase", found[1], str(base)], check=True, timeout=1200)
        for folder in MANUALS:
            shutil.rmtree(base / folder, ignore_errors=True)
            (base / folder).mkdir(parents=True)
        (base / "complete").touch()
    shutil.rmtree(stage.root, ignore_errors=True)
    subprocess.run(["cp", "-a", str(base), str(stage.root)], check=True, timeout=600)
    (stage.root / "complete").unlink()


def do_step(stage: Stage, word: str, rest: str, stages: dict[str, Stage], context: Path) -> None:
    """Do one step."""
    if word == "RUN":
        run(stage, ["sh", "-ec", rest])
    elif word == "COPY":
        copy(stage, shlex.split(rest), stages, context)
    elif word in ("ARG", "ENV"):
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            stage.environment[name] = Template(value).safe_substitute(stage.environment)
    elif word == "WORKDIR":
        stage.folder = rest
        (stage.root / rest.lstrip("/")).mkdir(parents=True, exist_ok=True)
    elif word == "USER":
        stage.user = rest
    elif word in ("ENTRYPOINT", "CMD"):
        stage.command += json.loads(rest)
    else:
        sys.exit(f"{word} is no step that is understood here")


def copy(stage: Stage, words: list[str], stages: dict[str, Stage], context: Path) -> None:
    """Copy files of the context or of another stage."""
    source = context
    if words[0].startswith("--from="):
        source = stages[words.pop(0).partition("=")[2]].root
    *names, target = words
    to = stage.root / os.path.normpath(os.path.join(stage.folder, target)).lstrip("/")  # noqa: PTH118 - paths inside
    for name in names:
        path = source / name.lstrip("/")
        into = to / path.name if target.endswith("/") else to
        into.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, into)


def run(stage: Stage, command: list[str], *, read_only: bool = False) -> None:
    """Run a command inside a stage, in a mount namespace of its own, so that nothing stays mounted."""
    root, user = shlex.quote(str(stage.root)), stage.user if read_only else "0:0"
    mounts, environment = [], dict(stage.environment)
    if read_only:
        mounts += [
            f"mount --bind {root} {root}",
            f"mount -o remount,ro,bind {root}",
            f"mount -t tmpfs tmpfs {root}/tmp",
        ]
        mounts += [f"mount --bind {shlex.quote(str(Path(command[-1]).absolute().parent))} {root}/data"]
        command = [*command[:-1], f"/data/{Path(command[-1]).name}"]
    else:
        shutil.copy("/etc/resolv.conf", stage.root / "etc" / "resolv.conf")
        if CERTIFICATES:
            shutil.copy(CERTIFICATES, stage.root / "tmp" / "ca.crt")
            environment |= {"SSL_CERT_FILE": "/tmp/ca.crt", "PIP_CERT": "/tmp/ca.crt"}
        environment |= {"DEBIAN_FRONTEND": "noninteractive"}
    mounts += [f"mount -t proc proc {root}/proc", f"mount --bind /dev {root}/dev"]
    mounts += [f"mount -t sysfs -o ro sysfs {root}/sys"]
    inside = shlex.join(["env", "-i", *(f"{name}={value}" for name, value in environment.items()), *command])
    told = f"chroot --userspec={user} {root} sh -c {shlex.quote(f'cd {stage.folder} && exec {inside}')}"
    script = " && ".join([*mounts, told])
    subprocess.run(["unshare", "--mount", "--fork", "sh", "-ec", script], check=True, timeout=3600)
    if not read_only:
        (stage.root / "tmp" / "ca.crt").unlink(missing_ok=True)


def size_mb(path: Path) -> float:
    """Return what the files of a folder hold, each file once."""
    told = subprocess.run(["du", "-sxB1", "--apparent-size", str(path)], capture_output=True, check=True, timeout=600)
    return int(told.stdout.split()[0]) / 1e6


def packed_mb(path: Path) -> float:
    """Return how much a registry would hold and send."""
    script = f"tar c --one-file-system -C {shlex.quote(str(path))} . | gzip -6 | wc -c"
    told = subprocess.run(["sh", "-c", script], capture_output=True, check=True, timeout=1200)
    return int(told.stdout) / 1e6


def main() -> None:
    """Build, measure, try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dockerfile", type=Path)
    parser.add_argument("out", type=Path, help="folder of the stages, on a disk with some gigabytes")
    parser.add_argument("--try", dest="clip", type=Path, help="a clip that the image scans as its user, read-only")
    options = parser.parse_args()
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit("this needs root and debootstrap; run: apt-get install debootstrap")
    options.out.mkdir(parents=True, exist_ok=True)
    context, stages = Path(__file__).parents[1], read_stages(options.dockerfile, options.out.absolute())
    for name, stage in stages.items():
        stamp = options.out / f"{name}.steps"
        wanted = hashlib.sha256(repr((stage.base, stage.steps)).encode()).hexdigest()
        is_made = stamp.exists() and stamp.read_text() == wanted and name != list(stages)[-1]
        if not is_made:
            make_base(stage)
        for word, rest in stage.steps:
            if not (is_made and word in ("RUN", "COPY")):
                print(f"[{name}] {word} {rest[:100]}", flush=True)
                do_step(stage, word, rest, stages, context)
        stamp.write_text(wanted)
    image = list(stages.values())[-1]
    base = size_mb(next(options.out.glob("*-slim")))
    print(f"{base:.0f} MB are the base, {size_mb(image.root):.0f} MB the image, {packed_mb(image.root):.0f} MB packed")
    parts = sorted(
        ((size_mb(p), p.name) for p in image.root.glob("opt/unmask/lib/python3*/site-packages/*")), reverse=True
    )
    print("largest: " + ", ".join(f"{name} {size:.0f}" for size, name in parts[:12]))
    if options.clip is not None:
        run(image, ["unmask", "scan", str(options.clip)], read_only=True)


if __name__ == "__main__":
    main()
