"""Fit a model's calibration to how well faces can be seen, with thresholds, floor and passages, and write its card.

    python scripts/calibration_sources.py DATA --out sources.csv
    python scripts/calibrate_quality.py MODEL --sources sources.csv --work FOLDER --data "what the clips are" [--write]

``sources.csv`` has the columns path,label,source,method,scale: a video, an image, or ``ARCHIVE.tar::MEMBER``; ``real``
or ``fake``; what the clip shares with others (the person, or the target of several manipulations); how it was made; and
for an image what it is to be resized by to have the size that it had in its clip.

1. Each source gives an excerpt of a few runs of frames around its face; an image is filmed with a camera that moves a
   little.
2. The excerpt is copied in sixteen ways (`unmask.augment.copies.COPIES`), and the faces of each copy are cut.
3. The model scores them.
4. `unmask.evaluation.quality_fit` fits, and measures on sources that the fit did not see. False alarms by kind of copy
   and size of the face are printed as a table; ``--write`` writes the fit into the card.

``--work`` keeps excerpts and crops (some 4 GB for 400 sources) for other models with the same crop rule, and scores and
``fit.json`` by model: a call that was interrupted goes on, and another model costs its network's time alone. The card
is not read but for the crop rule and the network's hash, so a fit can be made again with other ``--false-alarms``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from unmask.evaluation.excerpts import (
    CutCopies,
    Run,
    copies_key,
    cut_copies,
    excerpt_of_image,
    excerpt_of_video,
    excerpts_key,
    load_cut,
    load_runs,
    load_scores,
    save_cut,
    save_runs,
    save_scores,
    score_copies,
)
from unmask.evaluation.quality_fit import FALSE_ALARMS, LabelledCopies, QualityFit, fit_quality
from unmask.faces import Detector, load_detector
from unmask.models import Card, load_card, load_network, model_folder
from unmask.models.card import INT8_FILES, ONNX_FILE, write_card
from unmask.models.passages import PassageRule
from unmask.runtime.parallel import Failure, cores, map_items
from unmask.storage.atomic import write_file
from unmask.types import CropSpec

os.environ.setdefault("SVT_LOG", "1")  # the encoder of AV1 prints its settings otherwise
IMAGES = (".jpg", ".jpeg", ".png", ".webp")


@dataclass(frozen=True)
class Source:
    """One row of the table."""

    path: str
    label: str
    source: str
    method: str
    scale: float

    @property
    def is_image(self) -> bool:
        """Whether it is a still."""
        return self.path.lower().endswith(IMAGES)

    @property
    def key(self) -> str:
        """Name of its kept files."""
        return hashlib.sha256(f"{self.path} {self.scale}".encode()).hexdigest()[:16]


def read_sources(path: Path) -> list[Source]:
    """Read the table."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Source(row["path"], row["label"], row["source"], row["method"], float(row.get("scale") or 1))
            for row in csv.DictReader(file)
        ]


def excerpt(source: Source, detector: Detector) -> list[Run]:
    """Cut an excerpt of a video, or film an image."""
    if not source.is_image:
        return excerpt_of_video(Path(source.path), detector)
    archive, _, member = source.path.partition("::")
    content = members(archive)[member] if member else Path(archive).read_bytes()
    image_HW3 = cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    if source.scale < 1:
        size = [max(16, round(side * source.scale)) for side in image_HW3.shape[1::-1]]
        image_HW3 = cv2.resize(image_HW3, size, interpolation=cv2.INTER_AREA)
    return excerpt_of_image(image_HW3, detector, seed=int(source.key[:8], 16))


@cache
def members(archive: str) -> dict[str, bytes]:
    """Return the files of an archive by their base names."""
    with tarfile.open(archive) as tar:
        return {Path(m.name).name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def cut(source: Source, spec: CropSpec, detector: Detector, work: Path) -> CutCopies | None:
    """Cut the faces of the copies of a source, or read what was kept; None where it has no face of enough size."""
    excerpt_file = work / f"excerpts-{excerpts_key(spec.detection)}" / f"{source.key}.npz"
    crops_file = work / f"crops-{copies_key(spec)}" / f"{source.key}.npz"
    if crops_file.exists():
        return load_cut(crops_file)
    if not excerpt_file.exists():
        excerpt_file.parent.mkdir(parents=True, exist_ok=True)
        save_runs(excerpt(source, detector), excerpt_file)
    runs = load_runs(excerpt_file)
    if not runs:
        return None
    crops_file.parent.mkdir(parents=True, exist_ok=True)
    copies = cut_copies(runs, spec)
    save_cut(copies, crops_file)
    return copies


def score_sources(sources: Sequence[Source], folder: Path, work: Path) -> list[LabelledCopies]:
    """Score the copies of each source, or read what an earlier call kept. Copies are made while others are scored."""
    card = load_card(folder)
    network = load_network(folder, exact_precision(card), "cpu")
    detector = load_detector(card.crop.detection)
    kept = scores_folder(card, work)
    kept.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources if not (kept / f"{source.key}.npz").exists()]
    made = map_items(lambda source: cut(source, card.crop, detector, work), missing, workers=cores())
    for number, (source, copies) in enumerate(made, 1):
        if isinstance(copies, Failure):
            raise copies.error
        if copies is None:
            print(f"left out, no face of enough size: {source.path}", file=sys.stderr)
            continue
        save_scores(score_copies(copies, network), kept / f"{source.key}.npz")
        print(f"{number} of {len(missing)}: {source.path}", file=sys.stderr, flush=True)
    return [
        LabelledCopies(load_scores(file), source.label == "fake", source.source, source.method)
        for source in sources
        if (file := kept / f"{source.key}.npz").exists()
    ]


def scores_folder(card: Card, work: Path) -> Path:
    """Return where a model's scores are kept."""
    weights = INT8_FILES[1] if exact_precision(card) == "int8" else ONNX_FILE
    return work / f"scores-{card.files[weights].sha256[:12]}-{copies_key(card.crop)}"


def exact_precision(card: Card) -> str:
    """Return the precision that scans use, or fp32 where that depends on the processor."""
    return "fp32" if card.precision == "auto" else card.precision


def table(fit: QualityFit) -> str:
    """Lay out what the fit is worth on sources that it did not see."""
    heads = (("copy", -11), ("side px", 8), ("authentic", 10), ("fake %", 8), ("95 %", 14), ("decided %", 10),
             ("fakes", 7), ("fake %", 8))  # fmt: skip
    lines = ["".join(name.rjust(width) if width > 0 else name.ljust(-width) for name, width in heads)]
    for cell in fit.cells:
        low, high = (100 * value for value in cell.called_fake_95)
        found = "" if cell.fakes_called_fake is None else f"{100 * cell.fakes_called_fake:.1f}"
        lines.append(
            f"{cell.copy:<11}{cell.size:>8}{cell.authentic:>10}{100 * cell.called_fake / cell.authentic:>8.1f}"
            f"{f'{low:.1f} to {high:.1f}':>14}{100 * cell.decided:>10.1f}{cell.fakes:>7}{found:>8}"
        )
    chosen = [f"{name} {getattr(fit.thresholds, name)}, set by {why}" for name, why in fit.chosen_by.items()]
    sources = f"{fit.authentic_sources} authentic and {fit.fake_sources} fake sources"
    held_out = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in fit.held_out.items())
    return "\n".join([*lines, *chosen, f"floor of sharpness {fit.floor.sharpness}, tail {fit.tail}", sources, held_out])


def with_fit(card: Card, fit: QualityFit, data: str, seed: int) -> Card:
    """Return a card with a fit, and with what the fit is worth."""
    facts = asdict(fit)
    for name in ("calibration", "thresholds", "floor", "tail"):  # they have fields of their own
        del facts[name]
    said = {"script": "scripts/calibrate_quality.py", "data": data, "seed": seed} | facts
    known = card.fusion.passages
    passages = PassageRule(fit.tail, card.fusion.min_frames, known.own_tail if known else None)
    return replace(
        card,
        calibration=fit.calibration,
        thresholds=fit.thresholds,
        floor=fit.floor,
        fusion=replace(card.fusion, passages=passages),
        evaluation=card.evaluation | {"quality": said},
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name or folder")
    parser.add_argument("--sources", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--false-alarms", type=float, default=FALSE_ALARMS, help="share of each kind of copy")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="", help="what the clips are, for the card")
    parser.add_argument("--write", action="store_true", help="write the fit into the card")
    given = parser.parse_args()
    folder = model_folder(given.model)
    clips = score_sources(read_sources(given.sources), folder, given.work)
    card = load_card(folder)
    fit = fit_quality(clips, card.crop.min_side_px, false_alarms=given.false_alarms, seed=given.seed)
    write_file(scores_folder(card, given.work) / "fit.json", json.dumps(asdict(fit), indent=1).encode())
    print(table(fit))
    if given.write:
        write_card(folder, with_fit(card, fit, given.data, given.seed))


if __name__ == "__main__":
    main()
