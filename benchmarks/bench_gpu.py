"""Measure scanning on a GPU: crops a second of one EfficientNet-B7 at 380 pixels, clips a second of seven.

    python benchmarks/bench_gpu.py --out benchmarks/results/gpu.json [--clips CLIPS]

Random weights, bf16. Crops are random, and wait in memory: this is the network with its queue. Clips a second are
those of `Scanner.scan_many` with all that belongs to a scan, over the files of ``--clips``; without it, of 32 crops for
each of seven networks. Floors: the card's matrix rate and copy rate in bf16, and the network's arithmetic at that
matrix rate. ``--small`` runs a tiny network with the same code on a CPU, to prove that it works.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import Goal, Options, load_clips, median, processor, versions
from random_models import random_models
from unmask import Scanner
from unmask.models.cuda import TorchNetwork

B7_FLOP = 30.7e9
"""Of one crop of 380 pixels."""
MODELS, CLIP_CROPS = 7, 32


def main() -> None:
    options = Options(__doc__)
    options.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options.add_argument("--clips", type=Path, help="folder of clips.py, or any folder of videos")
    options.add_argument("--work", type=Path, default=Path("bench_models"), help="where random models are kept")
    options.add_argument("--rounds", type=int, default=5, help="runs of each; the median counts")
    options.add_argument("--crops", type=int, default=4096, help="of a run")
    options.add_argument("--device", default="cuda")
    options.add_argument("--precision", default="bf16")
    options.add_argument("--workers", type=int, default=2 * (os.cpu_count() or 1), help="videos under way")
    options.add_argument("--small", action="store_true", help="a tiny network on a CPU")
    arguments = options.parse_args()
    arguments.small |= arguments.quick
    if arguments.small:
        arguments.device, arguments.crops, arguments.rounds, arguments.workers = "cpu", 64, 2, 2
    encoder, size_px = ("test_efficientnet", 64) if arguments.small else ("tf_efficientnet_b7.ns_jft_in1k", 380)
    [model] = random_models(arguments.work, encoder, size_px, 1)

    def network() -> TorchNetwork:
        return TorchNetwork(model, arguments.precision, arguments.device)

    crops = np.random.default_rng(0).integers(0, 256, (min(arguments.crops, 512), size_px, size_px, 3), np.uint8)
    one = network()
    crops_a_second = rates(lambda: score([one], crops, arguments.crops), arguments.crops, arguments.rounds)
    if arguments.clips is not None:
        clips_a_second = scan_rates(model, arguments)
    else:
        seven = [one, *(network() for _ in range(MODELS - 1))]
        count = arguments.crops // MODELS // CLIP_CROPS or 1
        clips_a_second = rates(lambda: score(seven, crops, count * CLIP_CROPS), count, arguments.rounds)
    floors = measure_floors(torch.device(arguments.device), median(crops_a_second), arguments.small)
    report(arguments, crops_a_second, clips_a_second, floors)


def score(networks: Sequence[TorchNetwork], crops: np.ndarray[Any, Any], count: int) -> None:
    """Send ``count`` crops through each network, 64 at a time, as scans of several videos do."""
    futures = []
    for start in range(0, count, 64):
        batch = [crops[i % len(crops)] for i in range(start, min(start + 64, count))]
        for network in networks:
            futures += network.submit(batch)
    for future in futures:
        future.result()


def rates(run: Callable[[], None], count: int, rounds: int) -> list[float]:
    """Return how many a second, run by run, after one that records the graphs."""
    run()
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        found.append(count / (time.perf_counter() - started))
    return found


def scan_rates(model: Path, arguments: argparse.Namespace) -> list[float]:
    """Return clips a second of whole scans with seven networks."""
    small = arguments.small
    paths = [clip.path for clip in load_clips(arguments.clips)][: 1 if small else None]
    scanner = Scanner(
        [model] * (2 if small else MODELS),
        sampling="reference",
        precision="fp32" if small else arguments.precision,  # on a CPU a scan runs on OpenVINO
        device=arguments.device,
        workers=arguments.workers,
    )
    many = paths * max(1, 2 * arguments.workers // len(paths))  # enough for all workers

    def run() -> None:
        for verdict in scanner.scan_many(many):
            if verdict.fake_probability is None:
                raise SystemExit(f"{verdict.path}: {verdict.reasons[0]}; take another clip")

    return rates(run, len(many), arguments.rounds)


def measure_floors(device: torch.device, crops_a_second: float, small: bool) -> dict[str, float]:
    """Return what the card can do, and how much of it the network's arithmetic takes."""
    side, elements = (256, 1 << 16) if small else (8192, 1 << 30)
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16)
    source = torch.zeros(elements, device=device, dtype=torch.bfloat16)
    target = torch.empty_like(source)
    flops = 2 * side**3 / _seconds(lambda: torch.matmul(a, a), device)
    copied = 2 * source.nbytes / _seconds(lambda: target.copy_(source), device)
    floors = {"matmul_bf16_tflops": flops / 1e12, "copy_gb_per_second": copied / 1e9}
    if not small:
        floors |= {"crops_a_second_at_matmul_rate": flops / B7_FLOP, "share_of_it": crops_a_second * B7_FLOP / flops}
    return floors


def _seconds(run: Callable[[], object], device: torch.device) -> float:
    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    run()
    wait()
    started = time.perf_counter()
    for _ in range(20):
        run()
    wait()
    return (time.perf_counter() - started) / 20


def report(
    arguments: argparse.Namespace, crops: Sequence[float], clips: Sequence[float], floors: dict[str, float]
) -> None:
    """Print the goals and write the results."""
    whole = "seven-model clips a second, " + ("whole scans" if arguments.clips is not None else "networks alone")
    rows = (("B7@380 crops a second", crops, 2000, 3500), (whole, clips, 8, 14))
    if arguments.small:
        print(f"it works: {median(crops):.0f} crops and {median(clips):.2f} clips a second of a tiny network; no goals")
    goals = (
        [Goal.watched("GPU", "crops a second of a tiny network, on a CPU", median(crops), at_most=False)]
        if arguments.small
        else [
            Goal("GPU", f"{what}, {arguments.precision}", median(found), _low(found), must, stretch, at_most=False)
            for what, found, must, stretch in rows
        ]
    )
    environment = {"processor": processor(), "cores": os.cpu_count(), **versions("unmask", "torch", "timm", "numpy")}
    if arguments.device != "cpu":
        environment["card"] = torch.cuda.get_device_name(arguments.device)
    content: dict[str, Any] = {
        "goals": [goal.to_dict() for goal in goals],
        "crops_a_second": list(crops), "clips_a_second": list(clips), "floors": floors,
        "source": "random crops" if arguments.clips is None else str(arguments.clips.name),
        "small": arguments.small, "seed": 0, "rounds": arguments.rounds, "environment": environment,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1) + "\n")
    print("\n".join(map(str, goals)))


def _low(values: Sequence[float]) -> float:
    """The one-sided 95 % bound of the median."""
    draws = np.median(np.random.default_rng(0).choice(list(values), (2000, len(values))), axis=1)
    return float(np.quantile(draws, 0.05))


if __name__ == "__main__":
    main()
