"""Whether the presets of the winner give the reference's numbers: a checkpoint of the published layout, imported.

    python benchmarks/bench_exact.py --clips CLIPS --out benchmarks/results/exact.json --reference-python PYTHON

An EfficientNet-B7 with random weights is written as the winner's files are (half precision, ``module.`` in front of
names, the old format), imported by ``unmask models import --as winner-b7``, and scans all clips under ``winner`` and
``winner-exact`` in fp32. The reference gets the same weights. Nothing is timed. ``--small`` takes a B3 and one clip.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from common import Goal, Reference, load_clips, parser, row, write
from random_models import random_network, timm_weights
from unmask import open_preset
from unmask.models import load_card, model_folder
from unmask.models.checkpoints import CHECKPOINT_KINDS, import_checkpoint
from unmask.runtime.parallel import cores

PRESETS = ("winner-exact", "winner")
FILE = "final_111_DeepFakeClassifier_tf_efficientnet_b7_ns_0_36"
MOST = 1e-3
"""How far a video's fake probability may be from the reference's."""


def main() -> None:
    options = parser(__doc__, reference=True)
    options.add_argument("--work", type=Path, default=Path("bench_models"), help="where checkpoint and model are kept")
    options.add_argument("--small", action="store_true", help="a small network, one clip")
    arguments = options.parse_args()
    kind = "winner-b3" if arguments.small else "winner-b7"
    model = installed(kind, arguments.work.absolute(), arguments.seed)
    clips = load_clips(arguments.clips)[: 1 if arguments.small else None]
    scanners = {name: open_preset(name, [model], precision="fp32", device="cpu") for name in PRESETS}
    card = load_card(model)
    assert card.network is not None
    told = ["--network", card.network.parameters["encoder"], "--size", card.crop.size_px, "--threads", cores()]
    rows: dict[str, dict[str, Any]] = {}
    weights = timm_weights([model], arguments.work)
    with Reference(arguments.reference_python, *map(str, told), "--weights", *map(str, weights)) as reference:
        for clip in clips:
            answer = reference.ask(op="scan", path=str(clip.path))
            rows[clip.name] = {"reference": answer["fake_probability"], "reference_faces": answer["crops"]}
            for name, scanner in scanners.items():
                verdict = scanner.scan(clip.path)
                if verdict.fake_probability is None:
                    raise SystemExit(f"{clip.name}: {verdict.reasons[0]}; take another clip")
                rows[clip.name] |= {name: verdict.fake_probability, f"{name}_faces": len(verdict.frames)}
            row(clip.name, rows[clip.name])
        goals = []
        for name in PRESETS:
            worst = max(abs(clip[name] - clip["reference"]) for clip in rows.values())
            goals.append(Goal.single(name, "largest difference from the reference", worst, MOST, None, at_most=True))
        write(arguments, goals, rows, reference, model=card.training["checkpoint"] | {"kind": kind})


def installed(kind: str, work: Path, seed: int) -> Path:
    """Return the folder of the imported model; checkpoint and model of an earlier call are used again."""
    os.environ["UNMASK_HOME"] = str(work / f"{kind}-{seed}")
    file = work / f"{kind}-{seed}" / FILE
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        encoder, size_px = CHECKPOINT_KINDS[kind].parameters["encoder"], CHECKPOINT_KINDS[kind].card.crop.size_px
        state = random_network(encoder, size_px, seed).state_dict()
        halves = {
            f"module.{name}": value.half() if value.is_floating_point() else value for name, value in state.items()
        }
        torch.save({"epoch": 37, "state_dict": halves, "bce_best": 0.1}, file, _use_new_zipfile_serialization=False)
        import_checkpoint(file, kind, name="random")
    return model_folder("random")


if __name__ == "__main__":
    main()
