"""Calibrate a model on labelled clips and on degraded copies of them, and write the fit into its card.

    python scripts/calibrate.py MODEL --authentic REAL_FOLDER ... --fake FAKE_FOLDER ... --work FOLDER
        [--degrade "x264 23" "x265 34" "gblur 1.5" "scale 0.5" "sharpen 1" ...] [--false-alarms 0.05] [--write]

1. Each authentic clip (with ``--degrade-fakes`` also each fake) is written once more for every degradation:
   ``x264 CRF`` and ``x265 CRF`` encode it; ``gblur SIGMA_PX`` blurs it, ``scale FACTOR`` makes it smaller and
   ``sharpen AMOUNT`` sharpens it, each encoded by x264 at crf 18; ``messenger CRF`` encodes it at 320 pixels' width.
2. ``unmask scan`` scores all of them, once, with ``--resume``: an interrupted run goes on.
3. `unmask.evaluation.fit_calibration` fits temperature, offset and thresholds, see docs/evaluation.md; its numbers are
   printed as JSON and, with ``--write``, written into the card.

Clips of one source (the same person, or the same target video under several manipulations) are held out together.
Copies, ``labels.csv`` and ``scores.jsonl`` are kept in ``--work``.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.filter

from unmask.evaluation import fit_calibration, label_predictions, read_predictions, read_truth, write_calibration
from unmask.models import load_card, model_folder
from unmask.scan.inputs import list_inputs

MAX_FRAMES = 300
"""A degraded copy holds at most this many frames."""
DEGRADATIONS = ("x264 23", "x264 28", "x264 34", "x264 40")
FILTERS = {
    "gblur": "gblur=sigma={}",
    "scale": "scale=iw*{0}:ih*{0}",
    "sharpen": "unsharp=5:5:{}",
    "messenger": "scale=min(320,iw):-2",
}
"""Name of a degradation -> filter of FFmpeg."""
CODECS = {"x264": "libx264", "x265": "libx265", "messenger": "libx264"}
"""Name of a degradation whose amount is the crf -> encoder of FFmpeg."""
FILTERED_CRF = 18
"""Quality at which x264 encodes what a filter gave."""


@dataclass(frozen=True)
class LabelledClip:
    """One clip to scan."""

    path: Path
    """Where it lies."""
    label: str
    """``real`` or ``fake``."""
    original: str
    """Source, see `source_of`."""
    degradation: str = ""
    """How it was made from another clip; empty for a clip as it is."""


def source_of(path: Path) -> str:
    """Name the source of a clip: what its copies and manipulations have in common."""
    stem = re.sub(r"_[0-9a-f]{6}$", "", path.stem)
    if match := re.fullmatch(r"[A-Za-z0-9]+_(\d{3})_\d{3}", stem):  # FaceForensics++: method_target_source
        return match[1]
    return re.sub(r"^(grid)_.*|^(\d\d)__.*", lambda m: m[1] or f"actor {m[2]}", stem)


def degraded(clip: LabelledClip, degradation: str, work: Path) -> LabelledClip:
    """Write a degraded copy of a clip, if it is not there yet."""
    folder = work / clip.label / degradation.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{clip.path.stem}-{hashlib.sha256(str(clip.path).encode()).hexdigest()[:6]}.mp4"
    if not target.exists():
        unfinished = target.with_suffix(".part.mp4")
        reencode(clip.path, unfinished, degradation)
        unfinished.rename(target)
        print(target, file=sys.stderr)
    return LabelledClip(target, clip.label, clip.original, degradation)


def reencode(source: Path, target: Path, degradation: str) -> None:
    """Write the first frames of a clip again, changed as the degradation says."""
    name, amount = degradation.split()
    codec, crf = (CODECS[name], amount) if name in CODECS else ("libx264", str(FILTERED_CRF))
    with av.open(str(source)) as original, av.open(str(target), "w") as copy:
        track = original.streams.video[0]
        rate = track.average_rate or Fraction(25)
        graph = av.filter.Graph()
        steps = [FILTERS[name].format(float(amount))] if name in FILTERS else []
        chain = [step.split("=", 1) for step in (*steps, "scale=trunc(iw/2)*2:trunc(ih/2)*2", "format=yuv420p")]
        buffer = graph.add_buffer(template=track, time_base=1 / rate)
        graph.link_nodes(buffer, *(graph.add(*step) for step in chain), graph.add("buffersink")).configure()
        out = None
        for i, frame in enumerate(original.decode(track)):
            if i == MAX_FRAMES:
                break
            frame.pts, frame.time_base = i, 1 / rate
            graph.push(frame)
            changed = graph.pull()
            if out is None:
                out = copy.add_stream(codec, rate=rate, options={"crf": crf, "preset": "veryfast"})
                out.width, out.height, out.pix_fmt = changed.width, changed.height, "yuv420p"
            changed.pts, changed.time_base, changed.pict_type = i, 1 / rate, 0
            copy.mux(out.encode(changed))
        if out is not None:
            copy.mux(out.encode())


def scan(model: Path, clips: Sequence[LabelledClip], work: Path) -> None:
    """Write ``labels.csv`` and, by ``unmask scan``, ``scores.jsonl``."""
    with (work / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("path", "label", "original", "degradation"))
        table.writerows((clip.path, clip.label, clip.original, clip.degradation) for clip in clips)
    if (work / "scores.jsonl").exists():
        known = load_card(model).weights_hashes
        scored = {item.name for item in read_predictions(work / "scores.jsonl") if item.model_sha256 in known}
        if scored >= {str(clip.path) for clip in clips}:  # whatever calibration the card had then: it is undone
            return
    command = [sys.executable, "-m", "unmask", "scan", *(str(clip.path) for clip in clips), "--model", str(model)]
    done = subprocess.run([*command, "--json", str(work / "scores.jsonl"), "--resume"], stdout=sys.stderr, check=False)
    if done.returncode not in (0, 3):
        raise SystemExit(f"unmask scan failed with code {done.returncode}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="name or folder")
    parser.add_argument("--authentic", type=Path, nargs="+", required=True)
    parser.add_argument("--fake", type=Path, nargs="+", required=True)
    parser.add_argument("--degrade", nargs="*", default=DEGRADATIONS, metavar="'NAME AMOUNT'")
    parser.add_argument("--degrade-fakes", action="store_true", help="degrade the fakes, too")
    parser.add_argument("--false-alarms", type=float, default=0.05, help="share of authentic clips called fake")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", default="", help="what the clips are, for the card")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--write", action="store_true", help="write the fit into the card")
    return parser.parse_args()


def main() -> None:
    """Run from the command line."""
    given = arguments()
    model, work = model_folder(given.model), given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    clips = [
        LabelledClip(Path(item.path).resolve(), label, source_of(Path(item.path)))
        for label, folders in (("real", given.authentic), ("fake", given.fake))
        for item in list_inputs(folders)
    ]
    to_degrade = [clip for clip in clips if clip.label == "real" or given.degrade_fakes]
    clips += [degraded(clip, degradation, work) for degradation in given.degrade for clip in to_degrade]
    scan(model, clips, work)
    labelled, missing = label_predictions(read_predictions(work / "scores.jsonl"), read_truth(work / "labels.csv"))
    if missing:
        print(f"not calibrated on: {', '.join(missing.abstained + missing.unmatched_labels)}", file=sys.stderr)
    fit = fit_calibration(labelled, load_card(model), false_alarms=given.false_alarms, seed=given.seed)
    print(json.dumps(asdict(fit), indent=1))
    if given.write:
        write_calibration(fit, model, given.data, script="scripts/calibrate.py")


if __name__ == "__main__":
    main()
