"""Whether the presets of the winner give the reference's numbers: a checkpoint of the published layout, imported.

    python benchmarks/bench_exact.py --clips CLIPS --out benchmarks/results/exact.json --reference-python PYTHON

An EfficientNet-B7 with random weights is written as the winner's files are (half precision, ``module.`` in front of
names, the old format), imported by ``unmask models import --as winner-b7``, and scans all clips under ``winner`` and
``winner-exact`` in fp32. The reference gets the same weights. Nothing is timed. ``--small`` takes a B3, ``--most`` so
many clips.

With ``--older-python`` a second reference runs beside the first: an environment with OpenCV 4.12 or older, which
ignores the matrix that a file names, as when the winner trained; OpenCV 4.13 and later heed it. Then copies of the
clips, tagged BT.709 and the same to the last sample, are judged as well. Of the first reference only clips without a
tag count.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import torch

from common import Clip, Goal, Reference, clips_of, parser, row, write
from random_models import random_network, timm_weights
from unmask import open_preset
from unmask.models import load_card, model_folder
from unmask.models.checkpoints import CHECKPOINT_KINDS, import_checkpoint
from unmask.runtime.parallel import cores

PRESETS = ("winner-exact", "winner")
FILE = "final_111_DeepFakeClassifier_tf_efficientnet_b7_ns_0_36"
TAG = "-bt709"
"""What the names of tagged clips end with."""
MOST = 1e-3
"""How far a video's fake probability may be from the reference's."""


def main() -> None:
    options = parser(__doc__, reference=True)
    options.add_argument("--work", type=Path, default=Path("bench_models"), help="where checkpoint and model are kept")
    options.add_argument("--small", action="store_true", help="a small network")
    options.add_argument("--most", type=int, help="how many clips at most")
    options.add_argument("--older-python", help="interpreter of a reference with OpenCV 4.12 or older")
    arguments = options.parse_args()
    arguments.small |= arguments.quick
    kind = "winner-b3" if arguments.small else "winner-b7"
    model = installed(kind, arguments.work.absolute(), arguments.seed)
    clips = clips_of(arguments)[: arguments.most]
    if arguments.older_python is not None:
        clips += [tagged(clip, arguments.work) for clip in clips]
    scanners = {name: open_preset(name, [model], precision="fp32", device="cpu") for name in PRESETS}
    card = load_card(model)
    assert card.network is not None
    told = ["--network", card.network.parameters["encoder"], "--size", card.crop.size_px, "--threads", cores()]
    told += ["--weights", *timm_weights([model], arguments.work)]
    rows: dict[str, dict[str, Any]] = {clip.name: {} for clip in clips}
    for name, scanner in scanners.items():
        for clip in clips:
            verdict = scanner.scan(clip.path)
            if verdict.fake_probability is None:
                raise SystemExit(f"{clip.name}: {verdict.reasons[0]}; take another clip")
            rows[clip.name] |= {name: verdict.fake_probability, f"{name}_faces": len(verdict.frames)}
    if arguments.reference_python is None and arguments.quick:
        apart = max(abs(values["winner"] - values["winner-exact"]) for values in rows.values())
        goals = [Goal.single("winner", "largest difference from winner-exact", apart, 2 * MOST, None, at_most=True)]
        write(arguments, goals, rows)
        return
    first = judge(arguments.reference_python, told, clips, rows, "reference")
    untagged = {name: values for name, values in rows.items() if not name.endswith(TAG)}
    goals = [goal(preset, "reference", first, untagged) for preset in PRESETS]
    more: dict[str, Any] = {"model": card.training["checkpoint"] | {"kind": kind}}
    if arguments.older_python is not None:
        older = judge(arguments.older_python, told, clips, rows, "older_reference")
        goals += [goal(preset, "older_reference", older, rows) for preset in PRESETS]
        more["older_reference"] = older.environment
        apart = {
            name: abs(values["reference"] - values["older_reference"])
            for name, values in rows.items()
            if name.endswith(TAG)
        }
        more["references_apart_on_tagged_clips"] = max(apart.values())
    for name, values in rows.items():
        row(name, values)
    write(arguments, goals, rows, first, **more)


def judge(
    python: str, told: Sequence[Any], clips: Sequence[Clip], rows: dict[str, dict[str, Any]], name: str
) -> Reference:
    """Let a reference judge the clips, add what it says to their rows, and return it."""
    with Reference(python, *map(str, told)) as reference:
        for clip in clips:
            answer = reference.ask(op="scan", path=str(clip.path))
            rows[clip.name] |= {name: answer["fake_probability"], f"{name}_faces": answer["crops"]}
    return reference


def goal(preset: str, name: str, reference: Reference, rows: dict[str, dict[str, Any]]) -> Goal:
    """Compare a preset with a reference."""
    worst = max(abs(values[preset] - values[name]) for values in rows.values())
    opencv = reference.environment["opencv-python-headless"]
    clips = f"{len(rows)} clips, {sum(clip.endswith(TAG) for clip in rows)} tagged BT.709"
    return Goal.single(
        preset, f"largest difference from the reference, OpenCV {opencv}, {clips}", worst, MOST, None, True
    )


def tagged(clip: Clip, work: Path) -> Clip:
    """Return a copy of an H.264 clip whose header names BT.709: the same samples, not encoded again."""
    copy = work.absolute() / "tagged" / f"{clip.name}{TAG}.mp4"
    copy.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(clip.path)) as source, av.open(str(copy), "w") as target:
        track = source.streams.video[0]
        out = target.add_stream_from_template(track)
        mark = av.BitStreamFilterContext("h264_metadata=matrix_coefficients=1", track, out)
        for packet in source.demux(track):
            for marked in mark.filter(packet if packet.dts is not None else None):
                marked.stream = out
                target.mux(marked)
    return Clip(f"{clip.name}{TAG}", copy, clip.spec)


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
