"""Train several networks on one stream of pictures, see `unmask.training.together`.

    python scripts/train_together.py RECIPE --data PACKS --out OUT --seconds 480 --device cuda --workers 14
        [--also NAME KEY=VALUE ...] ...

The first network is the recipe's, under its name; each ``--also`` adds one whose recipe differs in the given keys, e.g.
``--also no_dfdc data.leave_out='["dfdc"]' every=4``. Values are JSON, or else words.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import torch

from unmask.training.recipe import load_recipe
from unmask.training.together import Part, Together


def arguments() -> argparse.Namespace:
    """Read the command line."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("recipe", type=Path)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--seconds", type=float, help="how long; else --steps")
    options.add_argument("--steps", type=int)
    options.add_argument(
        "--until", type=float, help="time of day, in seconds since 1970, at which --seconds ends early"
    )
    options.add_argument("--device", default="cpu")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--judge-every", type=float, default=60)
    options.add_argument("--also", action="append", nargs="+", default=[], metavar="NAME KEY=VALUE")
    options.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for all recipes")
    options.add_argument(
        "--keep", type=Path, help="folder that the first network's weights are copied to, while it learns"
    )
    options.add_argument("--late", type=Path, help="table of a pack that may appear while training, outside the folder")
    return options.parse_args()


def main() -> None:
    given = arguments()
    torch.backends.cudnn.benchmark, torch.backends.cudnn.benchmark_limit = True, 3
    torch.set_float32_matmul_precision("high")
    common = dict(parsed(word) for word in given.set)
    main_recipe = load_recipe(given.recipe, dict(common))
    parts = [Part(main_recipe.name, main_recipe)]
    for name, *words in given.also:
        changes = common | dict(parsed(word) for word in words)
        every = int(changes.pop("every", 1))
        parts.append(Part(name, load_recipe(given.recipe, changes), every=every))
    run = Together(parts, given.data, given.out, device=given.device, workers=given.workers, late=given.late)
    print("ready", flush=True)
    seconds = given.seconds
    if given.until is not None:
        seconds = min(seconds or given.until, given.until - time.time())
    with (given.out / "log.jsonl").open("a") as log:
        for event in run.run(seconds=seconds, steps=given.steps, judge_every=given.judge_every):
            line = json.dumps(event)
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
            if event["event"] == "judged":
                path = run.save(run.learners[0])
                if given.keep is not None:
                    shutil.copy(path, given.keep / f"{path.stem}_so_far.safetensors")
    for learner in run.learners:
        print(run.save(learner), flush=True)


def parsed(word: str) -> tuple[str, Any]:
    """Split ``key=value``."""
    key, _, value = word.partition("=")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value


if __name__ == "__main__":
    main()
