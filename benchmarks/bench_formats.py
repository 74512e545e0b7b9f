"""Number formats of an ensemble: what `--precision fastest` takes (N5), and memory of seven networks (N6).

    python benchmarks/bench_formats.py --clips CLIPS --out benchmarks/results/formats.json

Seven EfficientNet-B7 at 380 pixels with random weights, made in ``--work`` at the first call with their int8 networks
(which takes long), or those that ``--model`` names. N5: ``fastest`` is asked for once a round, as on a machine that
never saw the network, and all formats score 16 crops, in turns, on all cores; the value is the time of what it took
over that of the faster of bf16 and int8. N6: the peak of a fresh process, from its start until a clip was scanned with
all networks. ``--small`` and ``--quick`` take two B0 at 224 pixels.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from common import Goal, clips_of, interleave, measure, median, parser, row, status_mb, write
from unmask import Scanner
from unmask.models import Network, load_card
from unmask.models.card import INT8_FILES
from unmask.models.fastest import candidates
from unmask.runtime.openvino import computes_in_bf16

CROPS = 16
CALIBRATING = 32
CHILD = "child"
MUST_MB, STRETCH_MB = 4000, 2500


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--model", type=Path, nargs="+", help="model folders, instead of random weights")
    options.add_argument("--work", type=Path, default=Path("bench_models"), help="where random models are kept")
    options.add_argument("--small", action="store_true", help="two small networks")
    options.set_defaults(rounds=4)
    arguments = options.parse_args()
    arguments.small |= arguments.quick
    models = [path.absolute() for path in arguments.model or made(arguments.work, arguments.small)]
    clip = clips_of(arguments)[0]
    goals, rows = [], dict[str, Any]()
    if len(names := formats(models[0])) > 1:
        rows["seconds"] = times(models[0], names, arguments.rounds)
        goals.append(fastest(rows["seconds"]))
    for name in ["fp32", *names]:
        command = [sys.executable, __file__, CHILD, name, str(clip.path), *map(str, models)]
        told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=1800).stdout
        rows[f"memory_{name}"] = json.loads(told)
        row(name, rows[f"memory_{name}"])
        what = f"peak memory of {len(models)} networks in one process, MB, {name}"
        peak = rows[f"memory_{name}"]["peak_mb"]
        limits = (MUST_MB, STRETCH_MB)
        goals.append(
            Goal.watched("N6", what, peak) if arguments.small else Goal.single("N6", what, peak, *limits, True)
        )
    write(arguments, goals, rows, models=[load_card(model).architecture for model in models])


def made(work: Path, small: bool) -> list[Path]:
    """Return models with random weights, with int8 networks where NNCF is installed."""
    from random_models import random_models  # not at the top: it needs torch

    encoder, size_px, count = (
        ("tf_efficientnet_b0.ns_jft_in1k", 224, 2) if small else ("tf_efficientnet_b7.ns_jft_in1k", 380, 7)
    )
    models = random_models(work, encoder, size_px, count)
    missing = [model for model in models if INT8_FILES[0] not in load_card(model).files]
    if missing and find_spec("nncf") is not None:
        from unmask.models.quantise import quantise_model

        crops = np.random.default_rng(0).integers(0, 256, (CALIBRATING, size_px, size_px, 3), np.uint8)
        for model in missing:  # what it scores does not matter here
            print(f"quantising {model.name}", flush=True)
            quantise_model(model, crops[:8] if small else crops, crops[:4], None, data="noise", max_change=1.0)
    return models


def formats(model: Path) -> list[str]:
    """Return the formats that are compared."""
    has_int8 = INT8_FILES[0] in load_card(model).files
    return ["bf16"] * computes_in_bf16() + ["int8"] * has_int8


def times(model: Path, names: Sequence[str], rounds: int) -> dict[str, Any]:
    """Return the median seconds of each format, and of ``fastest``."""
    side_px = load_card(model).crop.size_px
    crops = np.random.default_rng(0).integers(0, 256, (CROPS, side_px, side_px, 3), np.uint8)
    seconds: dict[str, list[float]] = {name: [] for name in [*names, "fastest"]}
    chosen = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as empty:
            os.environ["UNMASK_HOME"] = empty
            networks = {name: Network(model, name) for name in [*names, "fastest"]}
        chosen.append(networks["fastest"].precision)
        runs = interleave(2, *(partial(measure, partial(network.score, crops)) for network in networks.values()))
        for name, costs in zip(networks, runs, strict=True):
            seconds[name] += [cost.wall_seconds for cost, _ in costs]
    row(model.name, {name: median(each) for name, each in seconds.items()})
    return {name: median(each) for name, each in seconds.items()} | {
        "chosen": chosen,
        "candidates": candidates(load_card(model)),
    }


def fastest(seconds: dict[str, Any]) -> Goal:
    """Judge what was taken, by the median time of that format: ``fastest`` is one of them."""
    each = {name: value for name, value in seconds.items() if isinstance(value, float) and name != "fastest"}
    worst = max(each[name] for name in seconds["chosen"]) / min(each.values())
    what = "time of the format that fastest takes / of the faster of bf16 and int8, worst of all loads"
    return Goal.single("N5", what, worst, 1.03, None, at_most=True)


def child(precision: str, clip: str, models: Sequence[str]) -> None:
    """Load all models, scan a clip, and print memory."""
    scanner = Scanner(models, precision=precision, sampling="reference", device="cpu")
    loaded = {"loaded_mb": status_mb("VmRSS"), "loading_peak_mb": status_mb("VmHWM")}
    cost, verdict = measure(partial(scanner.scan, clip))
    assert verdict.status == "ok", verdict.reasons
    scanned = {"peak_mb": status_mb("VmHWM"), "scan_cpu_seconds": cost.cpu_seconds, "crops": len(verdict.frames)}
    print(json.dumps(loaded | scanned))


if __name__ == "__main__":
    if sys.argv[1:2] == [CHILD]:
        child(sys.argv[2], sys.argv[3], sys.argv[4:])
    else:
        main()
