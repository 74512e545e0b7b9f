"""Preparing a dataset: `unmask prepare` against the challenge winner's five scripts (P11), and a second run (P12).

    python benchmarks/bench_prepare.py --clips CLIPS --out benchmarks/results/prepare.json --reference-python PYTHON

Each family is a benchmark clip as the real video and ``--fakes`` copies of it with blended faces, encoded anew at
x264's default settings (crf 23). The challenge has 5.2 fakes a real; detection in the real video dominates, so fewer
fakes favour whoever detects faster. A round of four families takes some ten minutes, nearly all of it the reference's.

P11 is CPU seconds of all threads and processes, as each family lies alone in a dataset of DFDC's form. The start of
both programs is left out, since it is paid once for a whole dataset: of the reference's, its imports (the winner pays
them five times); of ours, a run that finds everything done. A dataset of all families in one run is the same
comparison with our start in it. P12 is a second run over that dataset with ``--resume``, start included, over the
first.

Agreement is measured step by step on equal input. Boxes: both from the videos. Crops: the reference's from our boxes.
Landmarks and differences: the reference's from our crops.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench_decode import decode_all
from clips import ClipSpec, encode
from common import (
    Clip,
    Goal,
    Measure,
    clips_of,
    interleave,
    load_clips,
    mean_ratio,
    measure,
    median,
    parser,
    row,
    write,
)
from unmask.faces import Detector, load_detector
from unmask.media import open_video, read_frames
from unmask.prepare.layout import encode_image, read_image
from unmask.types import DetectorSpec, ImageHW3

FAMILIES = (
    "480p-wide-30fps-2faces-gop30",
    "720p-wide-30fps-1face-gop250",
    "1080p-wide-30fps-2faces-gop250",
    "1080p-tall-30fps-1face-gop250",
)
STEPS = "boxes,crops,landmarks,diffs,folds"
EVERY = 10
PART = "dfdc_train_part_0"


def main() -> None:
    options = parser(__doc__, reference=True)
    options.add_argument("--families", nargs="+", default=FAMILIES, help="names of the clips to use")
    options.add_argument("--fakes", type=int, default=5, help="fakes of each")
    options.add_argument("--work", type=Path, help="folder for datasets and results, kept; without, a temporary one")
    options.set_defaults(rounds=1)
    arguments = options.parse_args()
    known = {clip.name: clip for clip in load_clips(arguments.clips)}
    chosen = clips_of(arguments) if arguments.quick else [known[name] for name in arguments.families]
    if arguments.reference_python is None and not arguments.quick:
        raise SystemExit("name the interpreter of the reference with --reference-python, or leave it out with --quick")
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or Path(temporary)
        roots = [make_family(clip, work, arguments.fakes) for clip in chosen]
        if arguments.quick:
            whole = run_twice(roots[0], 1)
            cpu = whole["first_cpu_s"] / (1 + arguments.fakes)
            watched = [Goal.watched("P11", "CPU seconds of preparing a clip of a family", cpu)]
            write(arguments, [*watched, *second_run(whole)], {}, whole=whole, fakes=arguments.fakes)
            return
        clips: dict[str, dict[str, Any]] = {}
        for clip, root in zip(chosen, roots, strict=True):
            clips[clip.name] = compare(root, arguments) | agreement(root, arguments) | {"floor_cpu_s": least(root)}
            row(clip.name, {name: value for name, value in clips[clip.name].items() if isinstance(value, (int, float))})
        whole = run_twice(join(roots, work / "all"), arguments.rounds)
        row("all", whole)
    write(
        arguments,
        goals(clips, whole, arguments.seed),
        clips,
        whole=whole,
        fakes=arguments.fakes,
        reference_environment=environment_of(arguments.reference_python),
    )


def goals(clips: dict[str, dict[str, Any]], whole: dict[str, float], seed: int) -> list[Goal]:
    """Judge the costs of all families, and their agreement counted together."""

    def total(key: str) -> Any:
        return sum(clip[key] for clip in clips.values())

    def share(what: str, part: str, everything: str) -> Goal:
        return Goal.single("P11", what, total(part) / total(everything), 0.995, None, at_most=False)

    ratios = [(clip["ours_cpu_s"] - clip["ours_start_cpu_s"]) / clip["reference_cpu_s"] for clip in clips.values()]
    at_once = whole["first_cpu_s"] / total("reference_cpu_s")
    floors = [clip["floor_cpu_s"] / clip["reference_cpu_s"] for clip in clips.values()]
    lowest = mean_ratio(floors, seed, at_most=True)[0]
    boxes = f"share of the reference's {total('boxes')} boxes at IoU"
    worst = max(clip["diff_worst_levels"] for clip in clips.values())
    pixels = f"equal crops: share of the differences' pixels within 2 levels (worst {worst})"
    return [
        Goal.of_clips("P11", "CPU of preparing / the winner's scripts'", ratios, seed, 1 / 5, 1 / 7, at_most=True),
        Goal.single(
            "P11", "the same, all families in one run, our start included", at_once, 1 / 5, 1 / 7, at_most=True
        ),
        Goal.of_clips("N11", "CPU of preparing / the winner's scripts'", ratios, seed, 1 / 7, 1 / 10, at_most=True),
        Goal.watched(
            "N11", "floor: decoding what frames refer to and writing the same pictures / the winner's scripts'", lowest
        ),
        share(f"{boxes} 0.9", "boxes_iou_90", "boxes"),
        share(f"{boxes} 0.8", "boxes_iou_80", "boxes"),
        share(f"equal boxes: share of {total('crops')} crops that are identical", "crops_same", "crops"),
        share(f"equal crops: share of {total('landmarks')} faces within 1 pixel", "landmarks_same", "landmarks"),
        share(pixels, "diff_pixels_same", "diff_pixels"),
        *second_run(whole),
    ]


def second_run(whole: dict[str, float]) -> list[Goal]:
    """Judge a run that finds everything done."""
    cpu, wall = (whole[f"second_{kind}_s"] / whole[f"first_{kind}_s"] for kind in ("cpu", "wall"))
    return [
        Goal.single("P12", "CPU of a second run with everything done / the first", cpu, 0.02, None, at_most=True),
        Goal.single("P12", "wall time of the same", wall, 0.02, None, at_most=True),
    ]


def make_family(clip: Clip, work: Path, fakes: int) -> Path:
    """Make a dataset of one real clip and its fakes, of DFDC's form, unless it is there."""
    root = work / f"{clip.name}-{fakes}fakes"
    part = root / PART
    metadata = part / "metadata.json"
    if metadata.exists():
        return root
    part.mkdir(parents=True, exist_ok=True)
    real = f"{clip.name}.mp4"
    shutil.copy(clip.path, part / real)
    entries: dict[str, dict[str, str]] = {real: {"label": "REAL", "split": "train"}}
    boxes = face_boxes(clip.path, load_detector(DetectorSpec(scale=0.5)))
    for fake in range(fakes):
        name = f"{clip.name}-fake{fake}.mp4"
        print(f"making {name}", flush=True)
        make_fake(clip.path, part / name, boxes, np.random.default_rng(fake))
        entries[name] = {"label": "FAKE", "split": "train", "original": real}
    metadata.write_text(json.dumps(entries))
    return root


def face_boxes(path: Path, detector: Detector) -> list[list[tuple[float, ...]]]:
    """Return the boxes of each frame; they stay for ten frames."""
    boxes: list[list[tuple[float, ...]]] = []
    here: list[tuple[float, ...]] = []
    for index, image in images(path):
        if index % EVERY == 0:
            here = [face.xyxy_px for face in detector.detect(image)]
        boxes.append(here)
    return boxes


def images(path: Path) -> Iterator[tuple[int, ImageHW3]]:
    """Yield all frames of a video."""
    with open_video(path) as video:
        for frame in read_frames(video, np.arange(video.facts.frames)):
            yield frame.index, frame.image_HW3


def make_fake(source: Path, path: Path, boxes: list[list[tuple[float, ...]]], rng: np.random.Generator) -> None:
    """Encode a video anew, each face replaced within an ellipse by a blurred one of another colour."""
    blur, shift = rng.uniform(0.01, 0.04), rng.normal(0, 12, 3)
    with open_video(source) as video:
        facts = video.facts
    spec = ClipSpec(path.stem, facts.width, facts.height, round(facts.frame_rate or 30), 0)

    def faked() -> Iterator[ImageHW3]:
        for index, image in images(source):
            picture = image.copy()
            for box in boxes[index]:
                blend(picture, box, blur, shift)
            yield picture

    encode(faked(), spec, path)


def blend(image: ImageHW3, xyxy_px: tuple[float, ...], blur: float, shift: NDArray[np.float64]) -> None:
    """Blur and tint an ellipse in place; ``blur`` is in box widths."""
    left, top, right, bottom = (max(round(edge), 0) for edge in xyxy_px)
    patch = image[top:bottom, left:right].astype(np.float32)
    height, width = patch.shape[:2]
    mask = np.zeros((height, width, 1), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (int(width * 0.4), int(height * 0.4)), 0, 0, 360, 1.0, -1)
    weight = cv2.GaussianBlur(mask, (0, 0), width / 30)[..., None]
    altered = cv2.GaussianBlur(patch, (0, 0), max(width * blur, 0.5)) + shift
    image[top:bottom, left:right] = np.clip(weight * altered + (1 - weight) * patch, 0, 255).astype(np.uint8)


def join(roots: list[Path], target: Path) -> Path:
    """Return a dataset of all families, one a part, linked to the same files."""
    shutil.rmtree(target, ignore_errors=True)
    for number, root in enumerate(roots):
        shutil.copytree(root / PART, target / f"dfdc_train_part_{number}", copy_function=_link)
    return target


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def run(*command: Any) -> tuple[Measure, str]:
    """Run a program; return what it and its children cost, and what it printed."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    printed = subprocess.run([*map(str, command)], check=True, stdout=subprocess.PIPE, text=True).stdout
    seconds, after = time.perf_counter() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Measure(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), printed


def prepare(data: Path, out: Path, resume: bool = False) -> Measure:
    """Run ours, from nothing unless told to resume."""
    if not resume:
        shutil.rmtree(out, ignore_errors=True)
    settings = ["--steps", STEPS, "--every", EVERY, "--detector-scale", 0.5, "--workers", 1]
    command = [sys.executable, "-m", "unmask", "prepare", data, "--out", out, *settings]
    return run(*command, *["--resume"] * resume)[0]


def reference(python: str, data: Path, out: Path, *more: Any) -> dict[str, Any]:
    """Run theirs from nothing and return what it reports."""
    shutil.rmtree(out, ignore_errors=True)
    _, printed = run(python, Path(__file__).with_name("reference_prepare.py"), data, out, *more)
    report: dict[str, Any] = json.loads(printed)
    return report


def environment_of(python: str) -> dict[str, str]:
    """Return the versions of the reference's parts."""
    with tempfile.TemporaryDirectory() as empty:
        environment: dict[str, str] = reference(python, Path(empty), Path(empty) / "out", "--steps", "folds")[
            "environment"
        ]
    return environment


def outputs(root: Path) -> list[Path]:
    """Return where ours, theirs, and theirs from our boxes and crops are written for a dataset."""
    return [root.with_name(f"{root.name}.{kind}") for kind in ("ours", "reference", "reference-from-ours")]


def compare(root: Path, arguments: Any) -> dict[str, Any]:
    """Return what both cost on one family."""
    ours, theirs, _ = outputs(root)
    contestants: list[Callable[[], Any]] = [
        partial(prepare, root, ours),
        partial(reference, arguments.reference_python, root, theirs),
    ]
    own, other = interleave(arguments.rounds, *contestants)
    start = prepare(root, ours, resume=True)
    steps = {
        step: {key: median(report["steps"][step][key] for report in other) for key in ("wall_seconds", "cpu_seconds")}
        for step in STEPS.split(",")
    }
    return {
        "ours_cpu_s": median(cost.cpu_seconds for cost in own),
        "ours_wall_s": median(cost.wall_seconds for cost in own),
        "ours_start_cpu_s": start.cpu_seconds,
        "reference_cpu_s": sum(cost["cpu_seconds"] for cost in steps.values()),
        "reference_wall_s": sum(cost["wall_seconds"] for cost in steps.values()),
        "reference_start_cpu_s": median(report["start_cpu_seconds"] for report in other),
        "reference_steps": steps,
    }


def least(root: Path) -> float:
    """Return CPU seconds of what cannot be left out: decoding what frames refer to, and writing the same pictures."""
    ours = outputs(root)[0]
    clips = sorted((root / PART).glob("*.mp4"))
    pictures = [read_image(path) for path in sorted(ours.glob("crops/*/*.png"))]
    pictures += [read_image(path)[..., 0].copy() for path in sorted(ours.glob("diffs/*/*.png"))]

    def do() -> None:
        for clip in clips:
            decode_all(clip, "NONREF")
        for picture in pictures:
            encode_image(picture, "png")

    return measure(do)[0].cpu_seconds


def run_twice(root: Path, rounds: int) -> dict[str, float]:
    """Return what a first run over a dataset costs, and a second one that finds everything done."""
    out = outputs(root)[0]
    pairs = [(prepare(root, out), prepare(root, out, resume=True)) for _ in range(rounds)]
    return {
        f"{name}_{short}": median(getattr(cost, field) for cost in costs)
        for name, costs in zip(("first", "second"), zip(*pairs, strict=True), strict=True)
        for short, field in (("cpu_s", "cpu_seconds"), ("wall_s", "wall_seconds"))
    }


def agreement(root: Path, arguments: Any) -> dict[str, int]:
    """Count what both have in common, step by step on equal input.

    Of each step: how many the reference has, how many we have, and how many of the reference's ours agree with.
    """
    ours, theirs, fed = outputs(root)
    given = "--steps", "crops,landmarks,diffs", "--boxes-from", ours, "--crops-from", ours
    reference(arguments.reference_python, root, fed, *given)
    overlaps = [overlap for path in sorted((theirs / "boxes").iterdir()) for overlap in best_overlaps(path, ours)]
    crops = list(pairs(fed, ours, "crops/*/*.png", read_png))
    points = list(pairs(fed, ours, "landmarks/*/*.npy", np.load))
    diffs = list(pairs(fed, ours, "diffs/*/*.png", read_png))
    apart = [distances(*pair) for pair in diffs]
    return {
        "boxes": len(overlaps),
        "boxes_ours": sum(
            len(found or []) for path in (ours / "boxes").iterdir() for found in read_json(path).values()
        ),
        "boxes_iou_90": sum(overlap >= 0.9 for overlap in overlaps),
        "boxes_iou_80": sum(overlap >= 0.8 for overlap in overlaps),
        "crops": len(crops),
        "crops_ours": len(list(ours.glob("crops/*/*.png"))),
        "crops_same": sum(np.array_equal(*pair) for pair in crops if pair[1] is not None),
        "landmarks": len(points),
        "landmarks_ours": len(list(ours.glob("landmarks/*/*.npy"))),
        "landmarks_same": sum(bool(distances(*pair).max() <= 1) for pair in points),
        "diffs": len(diffs),
        "diffs_ours": len(list(ours.glob("diffs/*/*.png"))),
        "diff_pixels": sum(levels.size for levels in apart),
        "diff_pixels_same": sum(int((levels <= 2).sum()) for levels in apart),
        "diff_worst_levels": max((int(levels.max()) for levels in apart), default=0),
    }


def best_overlaps(path: Path, ours: Path) -> Iterator[float]:
    """Yield the best IoU of ours with each of the reference's boxes in every tenth frame of a video."""
    own = read_json(ours / "boxes" / path.name)
    for index, boxes in read_json(path).items():
        for box in (boxes or []) if int(index) % EVERY == 0 else []:
            yield max((iou(box, other) for other in own.get(index) or []), default=0.0)


def iou(one: list[float], other: list[float]) -> float:
    """Return intersection over union."""
    both = np.array([one, other])
    inner = np.clip(both[:, 2:].min(0) - both[:, :2].max(0), 0, None).prod()
    return float(inner / ((both[:, 2:] - both[:, :2]).prod(1).sum() - inner))


def pairs(theirs: Path, ours: Path, pattern: str, read: Callable[[Path], Any]) -> Iterator[tuple[Any, Any]]:
    """Yield what is in each file of theirs and in ours of the same name, None where we have none."""
    for path in sorted(theirs.glob(pattern)):
        own = ours / path.relative_to(theirs)
        yield read(path), read(own) if own.exists() else None


def distances(theirs: NDArray[Any], ours: NDArray[Any] | None) -> NDArray[np.int64]:
    """Return how far apart the values are; far where ours are missing or of another shape."""
    if ours is None or ours.shape != theirs.shape:
        return np.full(theirs.shape, 255)
    return np.asarray(np.abs(theirs.astype(np.int64) - ours))


def read_png(path: Path) -> NDArray[np.uint8]:
    """Return the stored values, whatever the number of channels."""
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a file, an empty one where there is no file."""
    content: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return content


if __name__ == "__main__":
    main()
