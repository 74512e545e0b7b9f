"""Turn a dataset into crops for training."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import typer

from unmask.cli.console import exit_code, interruptible, say, tally, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.outputs import PREPARED, check_output

EPILOG = (
    "Exit codes: 0 every clip was prepared; 3 some were not; 4 none was, or over half failed alike; 2 wrong use. "
    "What is missing and why is in skipped.csv."
)

SHOWN = 20
"""Lines about single clips that are printed; all are in skipped.csv."""


class ImageFormat(StrEnum):
    """Format of the crops."""

    PNG = "png"
    JPG = "jpg"
    WEBP = "webp"


class FoldBy(StrEnum):
    """How clips are dealt into folds."""

    AUTO = "auto"
    PART = "part"
    GROUP = "group"


def prepare(
    data: Annotated[Path, typer.Argument(help="A dataset's folder, a CSV, or an index.parquet.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to fill.", show_default=False)],
    steps: Annotated[
        str, typer.Option(help="Which steps, with commas; also: tubes.")
    ] = "boxes,crops,landmarks,diffs,folds",
    every: Annotated[int, typer.Option(min=1, help="Keep each frame whose number is a multiple of this.")] = 10,
    image_format: Annotated[
        ImageFormat, typer.Option(help="Of the crops; jpg and webp at quality 95.")
    ] = ImageFormat.PNG,
    detector_scale: Annotated[
        str, typer.Option(help="Factor by which frames are resized before faces are looked for; the winner's was 0.5.")
    ] = "adaptive",
    detector: Annotated[str, typer.Option(help="Which face detector: mtcnn, retinaface, haar, dlib.")] = "mtcnn",
    boxes_from: Annotated[
        Path | None,
        typer.Option(help="Take RetinaFace's text boxes from here instead of looking for faces.", show_default=False),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 16,
    fold_by: Annotated[
        FoldBy, typer.Option(help="part: runs of DFDC parts; group: nothing shared across folds; auto: part, if any.")
    ] = FoldBy.AUTO,
    dataset: Annotated[str, typer.Option(help="Layout of the dataset; auto finds out.")] = "auto",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take clips of the folder that are links.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Families under way at a time. Default: one per core.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Cut the faces out of a dataset's clips, with landmarks, difference masks and folds, as the DFDC winner did."""
    with wrong_use(), interruptible(f"--resume goes on with what is in {out}"):
        from unmask.datasets import read_index
        from unmask.faces import load_detector
        from unmask.prepare.clip_steps import Settings
        from unmask.prepare.preparation import Preparation
        from unmask.types import DetectorSpec

        check_output("--out", out, PREPARED, [data, *([] if boxes_from is None else [boxes_from])])
        index = read_index(data, dataset, follow_links=follow_links)
        for fault in index.faults:
            say(f"unmask: {fault}")
        # The winner's thresholds for his detector; RobustForensics' for theirs.
        thresholds = Settings().detection.thresholds if detector == "mtcnn" else DetectorSpec().thresholds
        detection = DetectorSpec(detector, _scale(detector_scale), thresholds)
        if boxes_from is None and detector != "mtcnn":
            load_detector(detection)  # what it needs is told before the work
        boxes = None if boxes_from is None else str(boxes_from)
        settings = Settings(every, image_format.value, detection, boxes, limits=parse_limits(limits or []))
        preparation = Preparation(
            index,
            out,
            steps=[step.strip() for step in steps.split(",")],
            settings=settings,
            folds=folds,
            fold_rule=fold_by.value,
            workers=workers,
            resume=resume,
        )
        with preparation:
            statuses = tally((clip.status for clip in preparation.run()), len(index.clips), "preparing", quiet)
            outcome = preparation.finish()
    statuses += Counter(ok=statuses.pop("no_face", 0))  # prepared all the same
    for name, what in outcome.skipped[:SHOWN]:
        say(f"unmask: {name}: {what}")
    if len(outcome.skipped) > SHOWN:
        say(f"unmask: {len(outcome.skipped) - SHOWN} more lines of this kind are in {out / 'skipped.csv'}")
    for warning in outcome.warnings:
        say(f"unmask: folds: {warning}")
    if not quiet:
        clips = f"{statuses['ok']} of {len(index.clips)} clips of {index.dataset}" if statuses else index.dataset
        lines = f", {outcome.crops} lines in folds.csv" if outcome.crops else ""
        print(f"{out}: {clips}{lines}")
    raise SystemExit(exit_code(statuses))


def _scale(text: str) -> float | Literal["adaptive"]:
    from unmask.errors import UsageError

    if text == "adaptive":
        return "adaptive"
    try:
        scale = float(text)
    except ValueError:
        scale = 0.0
    if not 0 < scale <= 4:
        raise UsageError(f"--detector-scale {text} makes no sense; use adaptive, or a number up to 4 such as 0.5")
    return scale
