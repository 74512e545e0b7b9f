"""Adaptive scans (P4): what they save, and what that costs in log loss.

    python benchmarks/bench_adaptive.py --clips DATASET --source WORDS --out benchmarks/results/adaptive.json

Scans labelled clips fully and adaptively, interleaved, with the same models. Log loss is over the clips that both
answered; its change has a 95 % interval by bootstrap over clips. The saving is the ratio of CPU seconds, full over
adaptive, with its one-sided 95 % bound, beside the shares of frames decoded and of crops judged. Its floor is a scan
that decodes the frames that others refer to, and looks at none. Against the reference pipeline the ratio is that of P1
or P2 times this one.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench_decode import decode_all
from common import Goal, Options, interleave, mean_ratio, measure, median, row, spread, write
from unmask import Limits, Scanner, Verdict, open_preset
from unmask.datasets import read_index
from unmask.metrics import log_loss, roc_auc
from unmask.scan.base import BaseScanner
from unmask.scan.stop import Adaptive

RESAMPLES = 1000
QUICK_CLIPS = 4


def main() -> None:
    arguments = _arguments()
    rule = Adaptive(arguments.first_frames, arguments.spread, arguments.sigmas, arguments.max_loss)
    load = partial(open_preset, arguments.preset) if arguments.preset else Scanner
    models = arguments.model or ([] if arguments.preset else ["bundled"])
    how: Any = {"workers": 1, "limits": Limits(isolate=False)}  # decoded in this process, whose CPU time is measured
    full, adaptive = load(models, **how), load(models, **how, adaptive=rule)
    index = read_index(arguments.clips)
    labelled = [clip for clip in index.clips if clip.label is not None]
    clips: dict[str, Any] = {}
    for clip in spread(labelled, QUICK_CLIPS if arguments.quick else arguments.most):
        result = compare(index.path_of(clip), full, adaptive, arguments.rounds)
        if result is not None:
            clips[clip.id] = {"fake": clip.label == "fake"} | result
            row(clip.id, {k: v for k, v in clips[clip.id].items() if not isinstance(v, bool)})
    if len({clip["fake"] for clip in clips.values()}) < 2:
        raise SystemExit("the clips that could be judged must hold real and fake ones")
    quality = compare_quality(list(clips.values()), arguments.seed)
    print(*quality.items(), sep="\n")
    ratios = [clip["full_cpu_seconds"] / clip["adaptive_cpu_seconds"] for clip in clips.values()]
    value, bound = mean_ratio(ratios, arguments.seed, at_most=False)
    print(f"CPU of a full scan / of an adaptive one: {value:.3g}, bound {bound:.3g}")
    change = quality["log_loss_change"]
    goal = Goal("P4", "change of log loss", change, quality["log_loss_change_95"][1], 0.01, None, at_most=True)
    saved = {"value": value, "bound": bound}
    ratio = Goal("N8", "CPU of a full scan / of an adaptive one", value, bound, 4, 8, at_most=False)
    ratios = [clip["full_cpu_seconds"] / clip["decoding_cpu_seconds"] for clip in clips.values()]
    what = "floor: CPU of a full scan / of decoding the frames that others refer to"
    floor = Goal.watched("N8", what, mean_ratio(ratios, arguments.seed, at_most=False)[0], at_most=False)
    write(
        arguments,
        [ratio, floor, goal],
        clips,
        quality=quality,
        full_over_adaptive=saved,
        rule=asdict(rule),
        models=[Path(m).name for m in models],
    )


def compare(path: Path, full: BaseScanner, adaptive: BaseScanner, rounds: int) -> dict[str, Any] | None:
    """Scan a clip in both ways; None where there is no verdict."""
    verdicts: dict[str, Verdict] = {}

    def run(name: str, scanner: BaseScanner) -> Any:
        cost, verdicts[name] = measure(lambda: scanner.scan(path))
        return cost

    ways = {"full": full, "adaptive": adaptive}
    costs = interleave(rounds, *(partial(run, name, scanner) for name, scanner in ways.items()))
    if any(verdict.fake_probability is None for verdict in verdicts.values()):
        print(f"{path}: {verdicts['full'].status}, left out")
        return None
    decoding = measure(partial(decode_all, path, "NONREF"))[0].cpu_seconds
    result: dict[str, Any] = {"decoding_cpu_seconds": decoding}
    for name, runs in zip(ways, costs, strict=True):
        verdict = verdicts[name]
        result[f"{name}_cpu_seconds"] = median(run.cpu_seconds for run in runs)
        result[f"{name}_probability"] = verdict.fake_probability
        result[f"{name}_frames"] = verdict.frames_asked
        result[f"{name}_members"] = len(verdict.models)
    result["same_label"] = verdicts["full"].label == verdicts["adaptive"].label
    return result


def compare_quality(clips: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    """Return log loss and AUC of both ways, the change and its interval, and how many labels changed."""
    labels = np.array([clip["fake"] for clip in clips], np.int64)
    full, adaptive = (np.array([clip[f"{way}_probability"] for clip in clips]) for way in ("full", "adaptive"))
    losses = [log_loss(labels, scores, eps=0.01) for scores in (full, adaptive)]
    rng, changes = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(labels), len(labels))
        changes.append(
            log_loss(labels[drawn], adaptive[drawn], eps=0.01) - log_loss(labels[drawn], full[drawn], eps=0.01)
        )
    return {
        "clips": len(clips),
        "log_loss_full": losses[0],
        "log_loss_adaptive": losses[1],
        "log_loss_change": losses[1] - losses[0],
        "log_loss_change_95": np.quantile(changes, [0.025, 0.975]).tolist(),
        "auc_full": roc_auc(labels, full),
        "auc_adaptive": roc_auc(labels, adaptive),
        "changed_labels": sum(not clip["same_label"] for clip in clips),
        "share_of_frames": float(np.mean([clip["adaptive_frames"] / clip["full_frames"] for clip in clips])),
        "share_of_crops": float(
            np.mean(
                [
                    clip["adaptive_frames"] * clip["adaptive_members"] / clip["full_frames"] / clip["full_members"]
                    for clip in clips
                ]
            )
        ),
    }


def _arguments() -> argparse.Namespace:
    options = Options(__doc__)
    options.add_argument("--clips", type=Path, required=True, help="a labelled dataset that unmask explore reads")
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--source", required=True, help="what the clips are, in words, for the results")
    options.add_argument("--preset", help="see unmask scan --preset; default: the bundled model")
    options.add_argument("--model", action="append", help="name or folder; repeat for an ensemble")
    options.add_argument("--most", type=int, help="clips to scan; default: all")
    options.add_argument("--rounds", type=int, default=2, help="runs of each way; the median counts")
    options.add_argument("--seed", type=int, default=0, help="of the bootstrap")
    rule = Adaptive()
    options.add_argument("--first-frames", type=int, default=rule.first_frames)
    options.add_argument("--spread", type=float, default=rule.spread)
    options.add_argument("--sigmas", type=float, default=rule.sigmas)
    options.add_argument("--max-loss", type=float, default=rule.max_loss)
    arguments: argparse.Namespace = options.parse_args()
    return arguments


if __name__ == "__main__":
    main()
