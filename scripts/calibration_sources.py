"""List what a model may be calibrated on: clips and crops of people and targets that no training saw.

    python scripts/calibration_sources.py DATA --out sources.csv

DATA is laid out as ``scripts/pack_faces.py`` reads it. Taken are the third of the people of ``videos/`` and the eighth
of the targets of ``train/`` that it leaves out, and all clips of ``devset/`` and ``devset2/``. Of each target one
authentic crop and one of each method is taken, up to a number.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

HELD_OUT_PEOPLE, HELD_OUT_TARGETS = 3, 8
MAX_CROPS = {"real": 89, "dfdc": 60}
MAX_OTHERS, MAX_DFDC_REAL = 24, 80
CROP_PX = 224

Row = tuple[str, str, str, str, float]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows = [*videos(given.data), *devset(given.data), *devset2(given.data), *ffpp(given.data), *dfdc(given.data)]
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with given.out.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "source", "method", "scale"))
        table.writerows(rows)
    print(Counter(row[1] for row in rows))


def videos(data: Path) -> Iterator[Row]:
    """Authentic clips of people that no training saw."""
    for path in sorted((data / "videos").iterdir()):
        person = re.sub(r"^(grid)_.*|_[0-9a-f]{6}$", r"\1", path.stem)
        if digest(person) % HELD_OUT_PEOPLE == 0:
            yield str(path), "real", f"videos:{person}", "real", 1.0


def devset(data: Path) -> Iterator[Row]:
    """FaceForensics++ clips."""
    for row in table(data / "devset/labels_videos.csv"):
        path = data / "devset" / row["file"]
        target, actor = re.fullmatch(r"\w+?_(\d{3})_\d{3}", path.stem), re.match(r"(\d\d)__", path.stem)
        source = target[1] if target else f"actor {actor[1]}" if actor else path.stem
        yield str(path), row["label"], f"ffpp:{source}", row["method"], 1.0


def devset2(data: Path) -> Iterator[Row]:
    """Swaps, lip-sync, talking heads and authentic clips."""
    for row in table(data / "devset2/labels_videos.csv"):
        yield str(data / "devset2" / row["file"]), row["label"], f"devset2:{row['person']}", row["method"], 1.0


def ffpp(data: Path) -> Iterator[Row]:
    """FaceForensics++ crops of targets that no training saw."""
    taken: Counter[tuple[str, str]] = Counter()
    for row in shuffled(data / "train/ffpp_crops.csv"):
        method = row["method"] if row["label"] == "fake" else "real"
        target, most = row["target_group"], MAX_CROPS.get(method, MAX_OTHERS)
        done = sum(count for (name, _), count in taken.items() if name == method)
        if digest(target) % HELD_OUT_TARGETS or taken[method, target] or done >= most:
            continue
        taken[method, target] += 1
        yield f"{data}/train/ffpp_crops.tar::{Path(row['file']).name}", row["label"], f"ffpp:{target}", method, 1.0


def dfdc(data: Path) -> Iterator[Row]:
    """DFDC faces of originals that no training saw, in the size that they had."""
    taken: Counter[str] = Counter()
    seen = set()
    for row in shuffled(data / "train/dfdc_faces224.csv"):
        original = Path(row["original"] or row["file"]).stem
        most = MAX_CROPS["dfdc"] if row["label"] == "fake" else MAX_DFDC_REAL
        if digest(original) % HELD_OUT_TARGETS or taken[row["label"]] >= most or (row["label"], original) in seen:
            continue
        taken[row["label"]] += 1
        seen.add((row["label"], original))
        path, scale = f"{data}/train/dfdc_faces224.tar::{Path(row['file']).name}", float(row["face_px_w"]) / CROP_PX
        yield path, row["label"], f"dfdc:{original}", "dfdc" if row["label"] == "fake" else "real", min(1.0, scale)


def digest(text: str) -> int:
    """Return the number by which `scripts/pack_faces.py` holds out."""
    return int(hashlib.sha256(text.encode()).hexdigest(), 16)


def table(path: Path) -> list[dict[str, str]]:
    """Read a CSV."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def shuffled(path: Path) -> list[dict[str, str]]:
    """Read a CSV in an order that depends on the names alone."""
    return sorted(table(path), key=lambda row: hashlib.sha256(row["file"].encode()).digest())


if __name__ == "__main__":
    main()
