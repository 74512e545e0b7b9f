"""A scan with the default model against an earlier version of unmask, in CPU seconds, and where they go (N1, N2, N3).

    git worktree add before 7e3142a
    python benchmarks/bench_before.py --clips CLIPS --before before --out benchmarks/results/before.json

Both run in processes of their own with the same libraries and the weights of today's bundled model: the earlier version
knows fp32 alone, so that today's is measured in fp32, the same network, and in int8, as it ships. CPU seconds are those
of the process and of its decoders. What the network takes is measured beside it, for the crops of the scan, in batches
as a scan has them: no scan can take less. The other floors are decoding without looking at any frame: all of them,
those that others refer to (no reader can skip these), and key frames alone. Beside the goals stands what both floors
together take, and allow on two cores.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from bench_decode import decode_all
from common import Goal, LineProcess, clips_of, interleave, load_clips, mean_ratio, measure, median, parser, row, write

REPOSITORY = Path(__file__).parents[1]
SIZES = ("480p", "720p", "1080p", "4k")
KEYS = ("cpu", "wall", "decoder", "detect", "network", "rest")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--before", type=Path, help="checkout of the earlier version; --quick needs none")
    arguments = options.parse_args()
    if arguments.before is None and not arguments.quick:
        raise SystemExit("name a checkout of the earlier version with --before, or leave it out with --quick")
    large = [] if arguments.quick else [c for c in load_clips(arguments.clips, "memory") if c.name.startswith("4k")]
    files = list({clip.path: clip for clip in [*clips_of(arguments), *large]}.values())
    clips: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours = str(REPOSITORY / "src")
        started = {"now": (ours, "bundled", "")}
        if arguments.before is not None:
            model = str(model_before(arguments.before, Path(folder) / "now"))
            started |= {"before": (str(arguments.before / "src"), model, ""), "fp32": (ours, "bundled", "fp32")}
        script = str(Path(__file__).with_name("scan_worker.py"))
        workers = {
            name: stack.enter_context(LineProcess(sys.executable, script, *options))
            for name, options in started.items()
        }
        for clip in [clip for clip in files if clip.path.exists()]:
            clips[clip.name] = compare(clip.path, workers, arguments.rounds)
            row(clip.name, {key: value for key, value in clips[clip.name].items() if isinstance(value, float)})
    floors = {
        name: {"network": costs["now_network_seconds"]}
        | {f"{kind}_decode": costs[f"{kind}_cpu_seconds"] for kind in ("null", "referred", "key")}
        for name, costs in clips.items()
    }
    write(arguments, list(goals_of(clips, arguments.seed)), clips, floors=floors)


def compare(clip: Path, workers: dict[str, LineProcess], rounds: int) -> dict[str, Any]:
    """Return the medians of what each version takes for a clip."""

    def ask(worker: LineProcess, **request: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(worker.ask_line(json.dumps(request | {"path": str(clip)})))
        return answer

    contestants: dict[str, Callable[[], dict[str, Any]]] = {
        **{name: partial(ask, worker) for name, worker in workers.items()},
        "keyframes": partial(ask, workers["now"], sampling="keyframes"),
        **{
            name: lambda skip=skip: {"cpu": measure(partial(decode_all, clip, skip))[0].cpu_seconds}
            for name, skip in (("null", "DEFAULT"), ("referred", "NONREF"), ("key", "NONKEY"))
        },
    }
    interleave(1, *contestants.values())  # warm up: kernels are compiled for each new size
    runs = dict(zip(contestants, interleave(rounds, *contestants.values()), strict=True))
    costs: dict[str, Any] = {
        f"{name}_{key}_seconds": median(run[key] for run in each)
        for name, each in runs.items()
        for key in KEYS
        if key in each[0]
    }
    last = runs["now"][-1]
    told = {f"{name}_fake_probability": runs[name][-1]["fake_probability"] for name in workers}
    return (
        costs | told | {"clip_seconds": last["seconds"]} | {key: last[key] for key in ("searched", "frames", "faces")}
    )


def goals_of(clips: dict[str, dict[str, Any]], seed: int) -> Iterator[Goal]:
    """Yield the goals beside what was measured."""
    cpu = median(costs["now_cpu_seconds"] for costs in clips.values())
    yield Goal.watched("N1", "CPU seconds of a scan with the default model", cpu)
    is_compared = all("before_cpu_seconds" in costs for costs in clips.values())
    for size in SIZES if is_compared else ():
        chosen = [costs for name, costs in clips.items() if name.startswith(size)]
        if chosen:
            ratios = [costs["fp32_cpu_seconds"] / costs["before_cpu_seconds"] for costs in chosen]
            what = f"CPU of a scan / before, same network, {size}"
            yield Goal.of_clips("N1", what, ratios, seed, 0.5, 0.35, at_most=True)
            ratios = [costs["now_cpu_seconds"] / costs["before_cpu_seconds"] for costs in chosen]
            what = f"the same as it ships, in int8, {size}"
            yield Goal.of_clips("N1", what, ratios, seed, 0.5, 0.35, at_most=True)
            floors = [costs["referred_cpu_seconds"] + costs["fp32_network_seconds"] for costs in chosen]
            ratios = [floor / costs["before_cpu_seconds"] for floor, costs in zip(floors, chosen, strict=True)]
            what = f"floor: frames that others refer to, and the network alone / before, {size}"
            yield Goal.watched("N1", what, mean_ratio(ratios, seed, at_most=True)[0])
            ratios = [without_network(costs, "fp32") / without_network(costs, "before") for costs in chosen]
            what = f"the same but for what the network takes, {size}"
            yield Goal.of_clips("N1", what, ratios, seed, 0.5, 0.35, at_most=True)
    large = [costs for name, costs in clips.items() if name.startswith("1080p")]
    for goal, key, decode, least, stretch in (("N2", "now", "referred", 15, 25), ("N3", "keyframes", "key", 40, 80)):
        if large:
            speeds = [costs["clip_seconds"] / costs[f"{key}_wall_seconds"] for costs in large]
            what = f"1080p clip seconds / seconds of its scan, {key}"
            yield Goal.of_clips(goal, what, speeds, seed, least, stretch, at_most=False)
            speeds = [
                costs["clip_seconds"] / on_two_cores(costs[f"{decode}_cpu_seconds"], costs[f"{key}_network_seconds"])
                for costs in large
            ]
            what = f"floor: what decoding and the network alone allow on two cores, {key}"
            yield Goal.watched(goal, what, mean_ratio(speeds, seed, at_most=False)[0], at_most=False)


def on_two_cores(decoding: float, network: float) -> float:
    """Return the seconds that decoding on one thread and a network on any take at least."""
    return max(decoding, (decoding + network) / 2)


def without_network(costs: dict[str, Any], name: str) -> float:
    """Return the CPU seconds of a scan beside those of its network."""
    return float(costs[f"{name}_cpu_seconds"] - costs[f"{name}_network_seconds"])


def model_before(checkout: Path, folder: Path) -> Path:
    """Write today's bundled network with a card as the earlier version knows it; return the folder."""
    bundled = "src/unmask/models/bundled"
    old, new = (json.loads((root / bundled / "card.json").read_text()) for root in (checkout, REPOSITORY))
    folder.mkdir()
    shutil.copy(REPOSITORY / bundled / "model.onnx", folder)
    content = (folder / "model.onnx").read_bytes()
    old["crop"] |= {key: new["crop"][key] for key in ("size_px", "margin")}
    old["calibration"] = {key: new["calibration"][key] for key in ("temperature", "offset")}
    old |= {"name": "now", "precision": "fp32", "network": new["network"], "thresholds": new["thresholds"]}
    old["files"] = {"model.onnx": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    (folder / "card.json").write_text(json.dumps(old))
    return folder


if __name__ == "__main__":
    main()
