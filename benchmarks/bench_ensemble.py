"""A scan with an ensemble of large networks against the reference: fp32 (P1), bf16 (P2), int8 (P3), workers (P10).

    python benchmarks/bench_ensemble.py --clips CLIPS --out benchmarks/results/ensemble.json --reference-python PYTHON

Seven EfficientNet-B7 at 380 pixels with random weights, made in ``--work`` at the first call, or those that ``--model``
names (of the kind ``classifier``). The reference gets the same weights, the same clips and all cores. It takes turns,
A B B A, with one precision after the other, each in a process of its own; P1 to P3 are the ratios of wall times, and
the peak memory of the ensemble is that of its process. P10 scans the clips in a process that may use one core, with one
worker, and in one that may use two, with two. ``--most N`` bounds the time: with B7 on two cores a clip takes minutes a
round. With ``--kept`` the reference scans a clip once on a kind of machine, and what it took is kept.
``--small`` proves that all of it runs, with two B0 at 224 pixels and one round.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from common import (
    Clip,
    Goal,
    LineProcess,
    Measure,
    Reference,
    clips_of,
    cores_and_processor,
    interleave,
    mean_ratio,
    measure,
    median,
    open_reference,
    parser,
    row,
    spread,
    status_mb,
    write,
)
from random_models import random_models, timm_weights
from unmask import Scanner
from unmask.faces import crop_face
from unmask.media import open_video, read_frames
from unmask.models import Network, load_card
from unmask.models.card import INT8_FILES
from unmask.models.cpu import resolve_precision
from unmask.models.quantise import quantise_model
from unmask.runtime.parallel import cores

GOALS = {"fp32": ("P1", 1.9, 2.4, 1e-3), "bf16": ("P2", 2.9, 4.0, 1e-2), "int8": ("P3", 4.5, 6.0, None)}
"""Precision -> goal, must, stretch, and how far a video's fake probability may be from the reference's."""
RAISED = {"fp32": (3.6, 4.0), "bf16": (6.0, 8.0)}
"""Precision -> must and stretch of N4."""
BACKBONES = {True: ("tf_efficientnet_b0.ns_jft_in1k", 224, 2), False: ("tf_efficientnet_b7.ns_jft_in1k", 380, 7)}
"""Whether small -> encoder, side of its crops, networks."""
CALIBRATING = 64
THROUGHPUT, ENSEMBLE = "--throughput-of", "--ensemble-of"
ALONE = "networks alone"


def main() -> None:
    options = parser(__doc__, reference=True)
    options.add_argument("--model", type=Path, nargs="+", help="model folders, instead of random weights")
    options.add_argument("--work", type=Path, default=Path("bench_models"), help="where random models are kept")
    options.add_argument("--most", type=int, help="only so many clips, spread over the list")
    options.add_argument("--kept", type=Path, help="file of the reference's scans, used again on the same machine")
    options.add_argument("--small", action="store_true", help="two small networks, one clip, one round")
    options.set_defaults(rounds=2)
    arguments = options.parse_args()
    arguments.small |= arguments.quick
    encoder, size_px, count = BACKBONES[arguments.small]
    models = arguments.model or random_models(arguments.work, encoder, size_px, count)
    spec = load_card(models[0]).network
    encoder = spec.parameters["encoder"] if spec is not None else encoder
    rounds = 1 if arguments.small else arguments.rounds
    clips = spread(clips_of(arguments), 1 if arguments.small else arguments.most)
    precisions = usable(models, clips)
    weights = timm_weights(models, arguments.work) if arguments.reference_python is not None else []
    told = ["--network", encoder, "--size", size_px, "--threads", cores(), "--weights", *weights]
    rows: dict[str, dict[str, Any]] = {clip.name: {} for clip in clips}
    memory_mb: dict[str, float] = {}
    with open_reference(arguments, *map(str, told)) as started:
        reference = started if started is None or arguments.kept is None else Kept(started, arguments.kept, encoder)
        for name in precisions:
            with Ensemble(name, models) as ensemble:
                ensemble.scan(clips[0])  # kernels are compiled
                for clip in clips:
                    answer = compare(clip, ensemble, reference, rounds)
                    row(f"{clip.name} {name}", answer)
                    rows[clip.name] |= {f"{name}_{what}": value for what, value in answer.items()}
                memory_mb[name] = ensemble.peak_mb
                crop_seconds = ensemble.crop_seconds()  # last, since it loads the networks once more
                for clip in clips:
                    rows[clip.name][f"{name}_networks_seconds_a_crop"] = crop_seconds
        goals = [goal for name in precisions for goal in judge(name, rows, arguments.seed)]
        goals += workers(models, clips, max(2, rounds), arguments.seed)
        print("peak memory in MB", memory_mb)
        more = {"memory_mb": memory_mb, "models": [load_card(model).architecture for model in models]}
        write(arguments, goals, rows, started, **more)


class Kept:
    """A reference whose scans are kept in a file: it takes minutes a clip, and is the same from year to year."""

    def __init__(self, reference: Reference, path: Path, network: str) -> None:
        """Use what the file has of this kind of machine, these versions and this network."""
        self._reference, self._path = reference, path
        self._known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self._place = json.dumps([cores_and_processor(), reference.environment, network])

    def ask(self, *, op: str, path: str) -> dict[str, Any]:
        """Scan a clip, unless it was."""
        clips = self._known.setdefault(self._place, {})
        name = f"{Path(path).name} {hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]}"
        if name not in clips:
            clips[name] = self._reference.ask(op=op, path=path)
            self._path.write_text(json.dumps(self._known, indent=1) + "\n")
        found: dict[str, Any] = clips[name]
        return found


def usable(models: Sequence[Path], clips: Sequence[Clip]) -> list[str]:
    """Return the precisions that can be measured here; int8 networks are made where they are missing."""
    names = ["fp32"]
    if resolve_precision("auto") == "bf16":
        names.append("bf16")
    else:
        print("no bf16: the CPU does not compute in it")
    missing = [model for model in models if INT8_FILES[0] not in load_card(model).files]
    if missing and find_spec("nncf") is None:
        print("no int8: NNCF is not installed")
        return names
    crops = some_crops(clips, models[0]) if missing else np.empty(0, np.uint8)
    for model in missing:
        print(f"quantising {model.name}", flush=True)
        quantise_model(model, crops, crops, None, data="clips of the benchmark", max_change=1.0)
    return [*names, "int8"]


def some_crops(clips: Sequence[Clip], model: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Cut faces out of the clips."""
    scanner, crops = Scanner(model, precision="fp32", sampling="reference", device="cpu"), []
    spec = scanner.cards[0].crop
    for clip in clips:
        with open_video(clip.path) as video:
            for frame in read_frames(video, scanner.sampler.pick(video)):
                crops += [crop_face(frame.image_HW3, face, spec) for face in scanner.detector.detect(frame.image_HW3)]
        if len(crops) >= CALIBRATING:
            break
    return np.stack(crops[:CALIBRATING])


class Ensemble(LineProcess):
    """A process that scans with all models in one precision."""

    def __init__(self, precision: str, models: Sequence[Path]) -> None:
        super().__init__(sys.executable, __file__, ENSEMBLE, precision, *map(str, models))
        self.peak_mb, self.crops = 0.0, 0

    def crop_seconds(self) -> float:
        """Return how long all networks take for a crop, on all cores, if nothing else is done."""
        return float(self.ask_line(ALONE))

    def scan(self, clip: Clip) -> tuple[Measure, float]:
        """Return the cost of a scan, and the fake probability."""
        answer = json.loads(self.ask_line(str(clip.path)))
        if answer["fake_probability"] is None:
            raise SystemExit(f"{clip.name}: {answer['reason']}; take another clip")
        self.peak_mb, self.crops = answer["peak_mb"], answer["crops"]
        return Measure(answer["wall_seconds"], answer["cpu_seconds"]), answer["fake_probability"]


def serve_ensemble(precision: str, models: Sequence[str]) -> None:
    """Be such a process."""
    scanner = Scanner(models, precision=precision, sampling="reference", device="cpu")
    side_px = scanner.cards[0].crop.size_px
    noise = np.random.default_rng(0).integers(0, 256, (CALIBRATING // 4, side_px, side_px, 3), np.uint8)
    for line in map(str.strip, sys.stdin):
        if line == ALONE:
            alone = [measure(partial(Network(Path(model), precision).score, noise))[0] for model in models]
            print(sum(cost.wall_seconds for cost in alone) / len(noise), flush=True)
            continue
        cost, verdict = measure(partial(scanner.scan, line))
        crops = len(verdict.frames)
        said = {"fake_probability": verdict.fake_probability, "reason": verdict.reasons[0], "crops": crops}
        print(json.dumps(asdict(cost) | said | {"peak_mb": status_mb("VmHWM")}), flush=True)


def compare(clip: Clip, ensemble: Ensemble, reference: Reference | Kept | None, rounds: int) -> dict[str, float]:
    """Return median wall times of a clip, our score, and how far it is from the reference's."""
    theirs: list[float] = []
    ours: list[float] = []

    def ask() -> Measure:
        assert reference is not None
        answer = reference.ask(op="scan", path=str(clip.path))
        theirs.append(answer["fake_probability"])
        return Measure(answer["wall_seconds"], answer["cpu_seconds"])

    def scan() -> Measure:
        cost, probability = ensemble.scan(clip)
        ours.append(probability)
        return cost

    if reference is None:
        seconds = median(scan().wall_seconds for _ in range(rounds))
        return {"wall_seconds": seconds, "crops": ensemble.crops, "fake_probability": ours[-1]}
    theirs_wall, ours_wall = (median(cost.wall_seconds for cost in runs) for runs in interleave(rounds, ask, scan))
    return {
        "reference_wall_seconds": theirs_wall,
        "wall_seconds": ours_wall,
        "crops": ensemble.crops,
        "fake_probability": ours[-1],
        "difference": abs(ours[-1] - theirs[-1]),
    }


def judge(name: str, rows: dict[str, dict[str, Any]], seed: int) -> list[Goal]:
    """Return a precision's speed and, where it has a bound, its difference."""
    number, must, stretch, bound = GOALS[name]
    if not all(f"{name}_reference_wall_seconds" in clip for clip in rows.values()):
        seconds = median(clip[f"{name}_wall_seconds"] for clip in rows.values())
        return [Goal.watched(number, f"seconds of a scan in {name}", seconds)]
    ratios = [clip[f"{name}_reference_wall_seconds"] / clip[f"{name}_wall_seconds"] for clip in rows.values()]
    what = f"the reference's wall time of a scan / ours in {name}"
    goals = [Goal.of_clips(number, what, ratios, seed, must, stretch, at_most=False)]
    if name in RAISED:
        goals.append(Goal.of_clips("N4", f"{what}, {len(rows)} clips", ratios, seed, *RAISED[name], at_most=False))
        most = [
            clip[f"{name}_reference_wall_seconds"] / (clip[f"{name}_crops"] * clip[f"{name}_networks_seconds_a_crop"])
            for clip in rows.values()
        ]
        told = f"floor: the reference's wall time / that of our networks alone in {name}"
        goals.append(Goal.watched("N4", told, mean_ratio(most, seed, at_most=False)[0], at_most=False))
    if bound is not None:
        worst = max(clip[f"{name}_difference"] for clip in rows.values())
        told = f"largest difference of a video's fake probability, {name}"
        goals.append(Goal.single(number, told, worst, bound, None, at_most=True))
    return goals


class Throughput(LineProcess):
    """A process that scans the clips on so many cores with as many workers, whenever it is asked to."""

    def __init__(self, count: int, models: Sequence[Path], clips: Sequence[Clip]) -> None:
        names = json.dumps([str(model) for model in models])
        super().__init__(sys.executable, __file__, THROUGHPUT, str(count), names, *(str(clip.path) for clip in clips))

    def seconds(self) -> float:
        """Return how long all clips took."""
        return float(self.ask_line("go"))


def serve(count: int, models: Sequence[str], clips: Sequence[str]) -> None:
    """Be such a process."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])  # before any thread starts: they inherit it
    scanner = Scanner(models, precision="fp32", workers=count, device="cpu")
    for _ in sys.stdin:
        started = time.perf_counter()
        for _ in scanner.scan_many(clips):
            pass
        print(time.perf_counter() - started, flush=True)


def workers(models: Sequence[Path], clips: Sequence[Clip], rounds: int, seed: int) -> list[Goal]:
    """Return P10 and N7; each clip is scanned twice a run, so that two workers have something to share."""
    if not hasattr(os, "sched_setaffinity") or cores() < 2:
        print("no P10: it needs two cores, and a system that keeps a process on one")
        return []
    twice = [clip for clip in clips for _ in range(2)]
    with Throughput(1, models[:1], twice) as one, Throughput(2, models[:1], twice) as two:
        interleave(1, one.seconds, two.seconds)
        alone, both = interleave(rounds, one.seconds, two.seconds)
    ratios = [a / b for a, b in zip(alone, both, strict=True)]
    draws = np.median(np.random.default_rng(seed).choice(ratios, (2000, len(ratios))), axis=1)
    bound = float(np.quantile(draws, 0.05))
    what = "two workers on two cores / one on one, clips a second, one network"
    return [
        Goal(name, what, median(ratios), bound, must, 1.95, at_most=False)
        for name, must in (("P10", 1.85), ("N7", 1.9))
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == [THROUGHPUT]:
        serve(int(sys.argv[2]), json.loads(sys.argv[3]), sys.argv[4:])
    elif sys.argv[1:2] == [ENSEMBLE]:
        serve_ensemble(sys.argv[2], sys.argv[3:])
    else:
        main()
