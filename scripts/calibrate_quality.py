"""Fit a model's calibration to how well faces can be seen, with thresholds, floor and passages, and write its card.

    python scripts/calibration_sources.py DATA --out sources.csv
    python scripts/calibrate_quality.py MODEL --sources sources.csv --work FOLDER --data "what the clips are" [--write]

``sources.csv`` has the columns path,label,source,method,scale: a video, an image, or ``ARCHIVE.tar::MEMBER``; ``real``
or ``fake``; what the clip shares with others (the person, or the target of several manipulations); how it was made; and
for an image what it is to be resized by to have the size that it had in its clip.

1. Each source gives an excerpt of a few runs of frames around its face; an image is filmed with a camera that moves a
   little. Excerpts are kept in ``--work``.
2. The excerpt is copied in sixteen ways (`unmask.augment.copies.COPIES`), and the model scores the faces of each copy.
   Scores are kept by model: a call that was interrupted goes on.
3. `unmask.evaluation.quality_fit` fits, and measures on sources that the fit did not see. The result is printed as
   JSON and, with ``--write``, written into the card.
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
    IMAGE_RUNS,
    Run,
    copies_key,
    excerpt_of_image,
    excerpt_of_video,
    load_runs,
    load_scores,
    save_runs,
    save_scores,
    score_copies,
)
from unmask.evaluation.quality_fit import FALSE_ALARMS, LabelledCopies, QualityFit, fit_quality
from unmask.faces import Detector, load_detector
from unmask.models import Card, load_card, load_network, model_folder
from unmask.models.card import ONNX_FILE, write_card
from unmask.models.passages import PassageRule

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


def score_sources(sources: Sequence[Source], folder: Path, work: Path) -> list[LabelledCopies]:
    """Score the copies of each source, or read what an earlier call kept."""
    card, network = load_card(folder), load_network(folder, "fp32", "cpu")
    detector = load_detector(card.crop.detection)
    kept = work / f"scores-{card.files[ONNX_FILE].sha256[:12]}-{copies_key()}"
    for each in (work / "excerpts", kept):
        each.mkdir(parents=True, exist_ok=True)
    found = []
    for number, source in enumerate(sources, 1):
        runs_file, scores_file = work / "excerpts" / f"{source.key}.npz", kept / f"{source.key}.npz"
        if not scores_file.exists():
            if not runs_file.exists():
                save_runs(excerpt(source, detector), runs_file)
            runs = load_runs(runs_file)[: IMAGE_RUNS if source.is_image else None]
            if not runs:
                print(f"left out, no face of enough size: {source.path}", file=sys.stderr)
                continue
            save_scores(score_copies(runs, network), scores_file)
            print(f"{number} of {len(sources)}: {source.path}", file=sys.stderr, flush=True)
        found.append(LabelledCopies(load_scores(scores_file), source.label == "fake", source.source, source.method))
    return found


def with_fit(card: Card, fit: QualityFit, data: str, seed: int) -> Card:
    """Return a card with a fit, and with what the fit is worth."""
    facts = asdict(fit)
    for name in ("calibration", "thresholds", "floor", "tail"):
        del facts[name]
    said = {"script": "scripts/calibrate_quality.py", "data": data, "seed": seed} | facts
    passages = PassageRule(fit.tail, card.fusion.min_frames)
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
    print(json.dumps(asdict(fit), indent=1))
    if given.write:
        write_card(folder, with_fit(card, fit, given.data, given.seed))


if __name__ == "__main__":
    main()
