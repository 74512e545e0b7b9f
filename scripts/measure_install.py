"""Install the wheel as a user does, from the registry into an empty environment, and say what that is and costs.

python scripts/measure_install.py [--python python3.13] [--out benchmarks/results/install.json]

Prints seconds from `pip install` to the first verdict about a clip, packages, megabytes, and the licences that the
packages name; ends with 1 where a package is missing from THIRD_PARTY.md, or names a licence that is not there.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ASK = """
import json
from importlib.metadata import distributions

def licence(facts):
    named = facts.get("License-Expression")
    words = [line.rpartition(" :: ")[2] for line in facts.get_all("Classifier") or () if line.startswith("License ::")]
    return named or "; ".join(words) or (facts.get("License") or "").split("\\n")[0]

found = {d.metadata["Name"]: [d.version, licence(d.metadata)] for d in distributions()}
print(json.dumps({name: facts for name, facts in found.items() if name not in ("pip", "setuptools", "unmask")}))
"""


def install(python: str, folder: Path, clip: Path) -> dict[str, Any]:
    """Return what one installation costs and holds."""
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)], cwd=ROOT, check=True)
    (wheel,) = folder.glob("*.whl")
    place = folder / "environment"
    started = time.perf_counter()
    subprocess.run([python, "-m", "venv", str(place)], check=True)
    pip, quiet = str(place / "bin" / "pip"), ["--quiet", "--no-cache-dir", "--disable-pip-version-check", str(wheel)]
    fetched = folder / "fetched"
    subprocess.run([pip, "download", "-d", str(fetched), *quiet], check=True)
    subprocess.run([pip, "install", "--no-index", "--find-links", str(fetched), *quiet], check=True)
    installed = time.perf_counter() - started
    done = subprocess.run(
        [str(place / "bin" / "unmask"), "scan", str(clip)], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - started
    packages = json.loads(
        subprocess.run([str(place / "bin" / "python"), "-c", ASK], check=True, capture_output=True, text=True).stdout
    )
    site = next((place / "lib").glob("python*/site-packages"))
    own = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and "/pip" not in str(path))
    return {
        "install_seconds": round(installed, 1),
        "first_verdict_seconds": round(seconds, 1),
        "first_verdict": done.stdout.split()[:2],
        "megabytes_fetched": round(sum(path.stat().st_size for path in fetched.iterdir()) / 1e6),
        "megabytes_on_disk": round(own / 1e6),
        "packages": packages,
    }


def unlisted(packages: dict[str, list[str]]) -> list[str]:
    """Return the packages that THIRD_PARTY.md does not name, or whose licence is another there."""
    rows = [row.split("|") for row in (ROOT / "THIRD_PARTY.md").read_text().splitlines() if row.startswith("| ")]
    listed = {name.strip().lower().replace("_", "-"): row[2] for row in rows for name in row[1].split(",")}
    wrong = []
    for name, (_, licence) in packages.items():
        said = listed.get(name.lower().replace("_", "-"))
        if said is None:
            wrong.append(f"{name}: not in THIRD_PARTY.md")
        elif licence and _kinds(licence) and not _kinds(licence) & _kinds(said):
            wrong.append(f"{name}: {licence!r} here, {said.strip()!r} in THIRD_PARTY.md")
    return wrong


def _kinds(text: str) -> set[str]:
    """Return the families of licences that a text names, whose spellings differ from package to package."""
    families = ("MIT", "BSD", "Apache", "ISC", "PSF", "MPL", "GPL", "Zlib")
    text = text.replace("Python Software Foundation", "PSF").replace("HPND", "MIT-CMU")
    return {family for family in families if re.search(rf"\b{family}", text, re.IGNORECASE)}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--python", default=sys.executable)
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    sys.path[:0] = [str(ROOT), str(ROOT / "examples")]
    from tests.media_factory import write_film

    from make_clips import PORTRAIT
    from unmask.datasets.synthetic import read_portrait

    with tempfile.TemporaryDirectory() as folder:
        clip = write_film(read_portrait(PORTRAIT), Path(folder) / "clip.mp4", 250)
        found = install(given.python, Path(folder), clip)
    wrong = unlisted(found["packages"])
    names = found["packages"]
    print(
        f"{found['first_verdict_seconds']} s to the first verdict ({found['install_seconds']} s to install), ", end=""
    )
    print(
        f"{len(names)} packages beside unmask, "
        f"{found['megabytes_fetched']} MB fetched, {found['megabytes_on_disk']} MB on disk"
    )
    for name, (version, licence) in sorted(names.items(), key=lambda item: item[0].lower()):
        print(f"  {name} {version}: {licence}")
    for line in wrong:
        print(line, file=sys.stderr)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
