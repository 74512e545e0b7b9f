"""Compare models on labelled clips and labelled pictures, with the measures of ``unmask evaluate``.

    python scripts/devset.py MODEL ... --clips labels_videos.csv --pictures FOLDER --labels labels.csv --out RESULTS
        [--write "what these are"]

For each model RESULTS/NAME.json gets both reports; a table in Markdown goes to stdout: AUC over whole clips with its
interval over source videos, AUC by method and by group of pictures, and the mean probability of authentic clips. A
model's NAME is the name of its folder. ``--write`` puts the AUCs with their intervals into the models' cards.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
from score_pictures import score_pictures

from unmask import Scanner
from unmask.datasets import read_index
from unmask.evaluation import Evaluation, Labels, Prediction, evaluate, scan_index, truth_of_index
from unmask.evaluation.labels import Truth
from unmask.evaluation.levels import Level
from unmask.models import load_card, model_folder
from unmask.models.card import write_card
from unmask.report import write_json


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="+")
    options.add_argument("--clips", type=Path, required=True)
    options.add_argument("--pictures", type=Path, required=True)
    options.add_argument("--labels", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--write", metavar="DATA", help="write into the cards, with these words for the data")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    index, truth = read_index(given.clips), picture_labels(given.labels)
    for number, model in enumerate(given.models):
        predictions = list(scan_index(Scanner(model, precision="fp32"), index))
        clips = evaluate(predictions, truth_of_index(index))
        reals = [p.fake_probability for p, label in answered(predictions, truth_of_index(index)) if label == "real"]
        scores = [Prediction(name, score) for name, score in score_pictures(model, given.pictures)]
        pictures = evaluate(scores, truth)
        name = Path(model).name
        write_json({"clips": clips.to_dict(), "pictures": pictures.to_dict()}, given.out / f"{name}.json")
        row = {"model": name, "clips": auc(clips)} | by_trait(clips, "method") | by_trait(pictures, "group")
        row["authentic clips, mean p"] = f"{np.mean(reals):.2f}"
        if given.write:
            folder = model_folder(model)
            card = load_card(folder)
            facts = {"script": "scripts/devset.py", "data": given.write, "seed": clips.seed} | numbers(clips, pictures)
            write_card(folder, replace(card, evaluation=card.evaluation | {"devset": facts}))
        if not number:
            print("| " + " | ".join(row) + " |\n|" + " --- |" * len(row))
        print("| " + " | ".join(row.values()) + " |", flush=True)


def picture_labels(path: Path) -> Labels:
    """Read ``member`` (or ``filename``) and ``label``; the first folder is the group."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row.get("member") or row["filename"], row["label"]) for row in csv.DictReader(file)]
    return Labels(tuple(Truth(name, label, name, {"group": name.split("/")[0]}) for name, label in rows))


def answered(predictions: list[Prediction], truth: Labels) -> list[tuple[Prediction, str | None]]:
    """Pair predictions that have a probability with their labels, by file name."""
    labels = {Path(clip.name).name: clip.label for clip in truth.clips}
    return [(p, labels[Path(p.name).name]) for p in predictions if p.fake_probability is not None]


def numbers(clips: Evaluation, pictures: Evaluation) -> dict[str, object]:
    """Return the AUCs with their 95 % intervals: of whole clips, by method, and by group of pictures."""

    def found(report: Evaluation, trait: str) -> dict[str, list[float]]:
        parts = [part for part in report.slices if part.trait == trait]
        return {part.value: rounded(part.level) for part in parts if part.level.scores["auc"].value is not None}

    whole = {"auc_clips": rounded(clips.answered)} | {"clips": [clips.answered.reals, clips.answered.fakes]}
    return whole | {"auc_by_method": found(clips, "method"), "auc_by_pictures": found(pictures, "group")}


def rounded(level: Level) -> list[float]:
    """Return AUC, lower and upper end."""
    score = level.scores["auc"]
    return [round(value, 3) for value in (score.value, score.low, score.high) if value is not None]


def auc(report: Evaluation) -> str:
    score = report.answered.scores["auc"]
    return f"{score.value:.3f} ({score.low:.2f} to {score.high:.2f})"


def by_trait(report: Evaluation, trait: str) -> dict[str, str]:
    scores = {part.value: part.level.scores["auc"].value for part in report.slices if part.trait == trait}
    return {name: f"{value:.3f}" for name, value in scores.items() if value is not None}


if __name__ == "__main__":
    main()
