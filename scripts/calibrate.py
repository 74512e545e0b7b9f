"""Fit a model's temperature, offset and two thresholds on labelled clips, and write them into its card.

    python scripts/calibrate.py MODEL_FOLDER --authentic REAL_FOLDER ... --fake FAKE_FOLDER ... --work CACHE [--write]

Authentic clips are scored as they are and re-encoded with x264 at each ``--crf``. Clips of one source (the same
person, or the same target video under several manipulations) form a group; each group weighs the same, and every
rate printed as "held out" was measured on groups that its own fit did not see. Copies and raw
scores are kept in ``--work``.

* temperature and offset minimise the class-balanced log loss of whole videos;
* ``fake_above`` is the least threshold at which at most ``--rate`` of the authentic clips are called fake, in each
  encoding by itself; ``real_below`` is the greatest at which at most ``--rate`` of the fakes are called real.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from unmask import Scanner, Verdict
from unmask.metrics import log_loss, roc_auc
from unmask.models import fuse, load_card
from unmask.models.card import CARD_FILE, Calibration
from unmask.models.fusion import Fusion
from unmask.scan.inputs import list_inputs

MAX_FRAMES = 300
"""A re-encoded copy holds at most this many frames."""


@dataclass(frozen=True)
class Clip:
    """One scored clip."""

    name: str
    group: str
    encoding: str
    label: int
    people: tuple[NDArray[np.float64], ...]
    """Uncalibrated logits of each person's frames."""

    def fake_probability(self, calibration: Calibration, fusion: Fusion) -> float:
        """As `unmask.scan.decide` computes it: the most suspicious person seen in enough frames."""
        steady = [person for person in self.people if len(person) >= fusion.min_frames] or self.people
        return max(
            fuse(1 / (1 + np.exp((calibration.offset - p) / calibration.temperature)), fusion.frames) for p in steady
        )


def group_of(path: Path) -> str:
    """Name the source of a clip: what its encodings and manipulations have in common."""
    stem = re.sub(r"_[0-9a-f]{6}$", "", path.stem)
    if match := re.fullmatch(r"[A-Za-z0-9]+_(\d{3})_\d{3}", stem):  # FaceForensics++: method_target_source
        return match[1]
    return re.sub(r"^(grid)_.*|^(\d\d)__.*", lambda m: m[1] or f"actor {m[2]}", stem)


def reencode(source: Path, target: Path, crf: int) -> None:
    """Write the first frames of a clip again with x264."""
    unfinished = target.with_suffix(".part.mp4")
    with av.open(str(source)) as original, av.open(str(unfinished), "w") as copy:
        track = original.streams.video[0]
        rate = track.average_rate or Fraction(25)
        out = copy.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
        out.width, out.height, out.pix_fmt = track.width // 2 * 2, track.height // 2 * 2, "yuv420p"
        for i, frame in enumerate(original.decode(track)):
            if i == MAX_FRAMES:
                break
            fitted = frame.reformat(out.width, out.height, "yuv420p")
            fitted.pts, fitted.pict_type = i, 0
            fitted.time_base = 1 / rate
            copy.mux(out.encode(fitted))
        copy.mux(out.encode())
    unfinished.rename(target)


def score_clips(scanner: Scanner, paths: Sequence[Path], label: int, crfs: Sequence[int], work: Path) -> list[Clip]:
    """Scan each clip as it is and re-encoded; scores of an earlier call are read from ``work``."""
    card, clips = scanner.cards[0], []
    key = hashlib.sha256(
        f"{scanner.models}{scanner.options.frames}{scanner.networks[0].precision}{card.crop}".encode()
    ).hexdigest()[:12]
    for path in paths:
        for crf in (None, *crfs):
            encoding = "as it is" if crf is None else f"crf {crf}"
            cache = work / f"{path.stem}-{label}-{crf}-{key}.json"
            if not cache.exists():
                video = path if crf is None else work / f"{path.stem}-{crf}.mp4"
                if crf is not None and not video.exists():
                    reencode(path, video, crf)
                cache.write_text(json.dumps(_raw_logits(scanner.scan(video), card.calibration)))
            people = tuple(np.asarray(person) for person in json.loads(cache.read_text()))
            clips.append(Clip(path.stem, group_of(path), encoding, label, people))
            print(f"{path.stem[:40]:40} {encoding:10} {len(people)} people", flush=True)
    return clips


def _raw_logits(verdict: Verdict, calibration: Calibration) -> list[list[float]]:
    """Take the card's present calibration out of the frame scores again."""
    if verdict.status != "ok":
        raise SystemExit(f"{verdict.path}: {verdict.status}: {verdict.reasons[0]}")
    people: dict[int, list[float]] = {}
    for frame in verdict.frames:
        p = min(max(frame.fake_probability, 1e-12), 1 - 1e-12)
        logit = float(np.log(p / (1 - p))) * calibration.temperature + calibration.offset
        people.setdefault(frame.person, []).append(logit)
    return list(people.values())


GRID = [
    Calibration(round(float(temperature), 3), round(float(offset), 3))
    for temperature in np.geomspace(0.3, 20, 43)
    for offset in np.linspace(-2, 4, 61)
]


def score_table(clips: Sequence[Clip], fusion: Fusion) -> NDArray[np.float64]:
    """Fake probability (G, M) of M clips under each calibration of the grid."""
    return np.array([[clip.fake_probability(calibration, fusion) for clip in clips] for calibration in GRID])


def fit_calibration(clips: Sequence[Clip], table_GM: NDArray[np.float64]) -> int:
    """Return the grid point of least log loss; real and fake weigh the same, and so do groups."""
    labels = np.array([clip.label for clip in clips])
    p = np.clip(table_GM, 1e-6, 1 - 1e-6)
    return int((-np.where(labels == 1, np.log(p), np.log1p(-p)) @ _weights(clips)).argmin())


def _weights(clips: Sequence[Clip]) -> NDArray[np.float64]:
    keys = [(clip.label, clip.group) for clip in clips]
    weights = np.array([1 / keys.count(key) for key in keys])
    for label in (0, 1):
        of_label = np.array([clip.label == label for clip in clips])
        weights[of_label] /= 2 * weights[of_label].sum()
    return weights


def fit_thresholds(clips: Sequence[Clip], scores: NDArray[np.float64], rate: float) -> tuple[float, float]:
    """Return (real_below, fake_above), rounded to the safe side."""
    labels = np.array([clip.label for clip in clips])
    encodings = np.array([clip.encoding for clip in clips])
    authentic = [scores[(labels == 0) & (encodings == encoding)] for encoding in np.unique(encodings[labels == 0])]
    fake_above = float(np.ceil(max(_upper(part, rate) for part in authentic) * 1000) / 1000)
    real_below = float(np.floor((1 - _upper(1 - scores[labels == 1], rate)) * 1000) / 1000)
    return min(real_below, fake_above), fake_above


def _upper(scores: NDArray[np.float64], rate: float) -> float:
    """The least value that at most ``rate`` of the scores reach."""
    allowed = int(rate * len(scores))
    return float(np.sort(scores)[::-1][allowed]) + 1e-3


def rates(clips: Sequence[Clip], scores: NDArray[np.float64], real_below: Any, fake_above: Any) -> dict[str, float]:
    """Shares of authentic and fake clips by the word they get."""
    fake = np.array([clip.label == 1 for clip in clips])
    called_fake, called_real = scores >= fake_above, scores <= real_below
    return {
        "authentic_called_fake": round(float(called_fake[~fake].mean()), 4),
        "authentic_called_real": round(float(called_real[~fake].mean()), 4),
        "fake_called_fake": round(float(called_fake[fake].mean()), 4),
        "fake_called_real": round(float(called_real[fake].mean()), 4),
    }


def held_out(
    clips: Sequence[Clip], table_GM: NDArray[np.float64], rate: float
) -> tuple[NDArray[np.float64], dict[str, float]]:
    """Leave one group out at a time: its scores and words come from a fit to all other groups."""
    scores, low, high = np.zeros(len(clips)), np.zeros(len(clips)), np.zeros(len(clips))
    groups = np.array([clip.group for clip in clips])
    for group in np.unique(groups):
        rest, own = np.flatnonzero(groups != group), groups == group
        others = [clips[i] for i in rest]
        best = fit_calibration(others, table_GM[:, rest])
        low[own], high[own] = fit_thresholds(others, table_GM[best, rest], rate)
        scores[own] = table_GM[best, own]
    return scores, rates(clips, scores, low, high)


def bootstrap_auc(clips: Sequence[Clip], scores: NDArray[np.float64], seed: int) -> list[float]:
    """95 % interval of the AUC over resampled groups."""
    rng, groups = np.random.default_rng(seed), sorted({clip.group for clip in clips})
    members = [np.array([i for i, clip in enumerate(clips) if clip.group == group]) for group in groups]
    labels, values = np.array([clip.label for clip in clips]), []
    for _ in range(2000):
        drawn = np.concatenate([members[i] for i in rng.integers(0, len(groups), len(groups))])
        if 0 < labels[drawn].sum() < len(drawn):
            values.append(roc_auc(labels[drawn], scores[drawn]))
    return [round(float(value), 3) for value in np.quantile(values, (0.025, 0.975))]


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--authentic", type=Path, nargs="+", required=True)
    parser.add_argument("--fake", type=Path, nargs="+", required=True)
    parser.add_argument("--crf", type=int, nargs="*", default=[23, 28, 34, 40])
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="", help="what the clips are, for the card")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="write the fit into the card")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    card = load_card(args.model)
    scanner = Scanner(args.model)
    paths = {0: args.authentic, 1: args.fake}
    clips = [
        clip
        for label, folders in paths.items()
        for clip in score_clips(
            scanner,
            [Path(item.path) for item in list_inputs(folders)],
            label,
            args.crf if label == 0 else (),
            args.work,
        )
    ]
    table_GM = score_table(clips, card.fusion)
    best = fit_calibration(clips, table_GM)
    calibration, scores = GRID[best], table_GM[best]
    real_below, fake_above = fit_thresholds(clips, scores, args.rate)
    out_scores, out_rates = held_out(clips, table_GM, args.rate)
    plain = np.array([clip.encoding == "as it is" for clip in clips])
    labels = np.array([clip.label for clip in clips])
    kept = [clip for clip, is_plain in zip(clips, plain, strict=True) if is_plain]
    evaluation = {
        "script": "scripts/calibrate.py",
        "data": args.data,
        "seed": args.seed,
        "clips": {
            "authentic": int((labels[plain] == 0).sum()),
            "authentic_reencoded": int((~plain).sum()),
            "fake": int(labels.sum()),
            "groups": len({clip.group for clip in clips}),
        },
        "crf": args.crf,
        "fitted_on_these_clips": rates(clips, scores, real_below, fake_above),
        "held_out_by_group": out_rates
        | {
            "auc_unencoded": round(roc_auc(labels[plain], out_scores[plain]), 3),
            "auc_unencoded_95": bootstrap_auc(kept, out_scores[plain], args.seed),
            "log_loss_unencoded": round(log_loss(labels[plain], out_scores[plain]), 4),
        },
        "authentic_called_fake_by_encoding": {
            encoding: round(float((scores[chosen] >= fake_above).mean()), 4)
            for encoding in ("as it is", *(f"crf {crf}" for crf in args.crf))
            if (chosen := np.array([c.encoding == encoding and c.label == 0 for c in clips])).any()
        },
    }
    print(
        json.dumps(
            {"calibration": [calibration.temperature, calibration.offset], "thresholds": [real_below, fake_above]}
        )
    )
    print(json.dumps(evaluation, indent=1))
    if args.write:
        path = args.model / CARD_FILE
        raw = json.loads(path.read_text())
        raw["calibration"] = {"temperature": calibration.temperature, "offset": calibration.offset}
        raw["thresholds"] = {"real_below": real_below, "fake_above": fake_above}
        raw["evaluation"]["thresholds"] = evaluation
        path.write_text(json.dumps(raw, indent=1) + "\n")


if __name__ == "__main__":
    main()
