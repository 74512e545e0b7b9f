"""Turn a dataset into crops for training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from unmask.cli.console import ExitCode, exit_code, interruptible, say, tally, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.outputs import COUNTS, PREPARED, check_named, check_output
from unmask.cli.scale import ADDRESS_OPTION, ENGINE_OPTION, METRICS_OPTION, EngineName, Scale, teller

if TYPE_CHECKING:
    from unmask.datasets import Index
    from unmask.media import Limits
    from unmask.prepare.manifest import ClipRecord
    from unmask.prepare.preparation import Outcome, Preparation
    from unmask.systems.preparation import PublishedPreparation

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
    DFDC = "dfdc"
    GROUP = "group"


class Unchanged(StrEnum):
    """What crops of fakes with an unchanged face are in folds.csv."""

    REAL = "real"
    LEFT_OUT = "left-out"
    FAKE = "fake"


class Published(StrEnum):
    """Published systems whose way of preparing can be followed."""

    WINNER = "winner"
    ROBUSTFORENSICS = "robustforensics"


def prepare(
    ctx: typer.Context,
    data: Annotated[Path, typer.Argument(help="A dataset's folder, a CSV, or an index.parquet.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder to fill.", show_default=False)],
    published: Annotated[
        Published | None,
        typer.Option(
            "--as", help="Do as the scripts of a published system; options beside it change that.", show_default=False
        ),
    ] = None,
    steps: Annotated[
        str, typer.Option(help="Which steps, with commas; also: tubes, deepfakebench.")
    ] = "boxes,crops,landmarks,diffs,changes,folds",
    every: Annotated[int, typer.Option(min=1, help="Keep each frame whose number is a multiple of this.")] = 10,
    image_format: Annotated[
        ImageFormat, typer.Option(help="Of the crops; jpg and webp at quality 95.")
    ] = ImageFormat.PNG,
    detector_scale: Annotated[
        str, typer.Option(help="Factor by which frames are resized before faces are looked for, e.g. 0.5.")
    ] = "adaptive",
    detector: Annotated[str, typer.Option(help="Which face detector: mtcnn, retinaface, haar, dlib.")] = "mtcnn",
    boxes_from: Annotated[
        Path | None,
        typer.Option(help="Take RetinaFace's text boxes from here instead of looking for faces.", show_default=False),
    ] = None,
    folds: Annotated[int, typer.Option(min=2, help="Number of folds.")] = 16,
    fold_by: Annotated[
        FoldBy,
        typer.Option(help="By part of those there, dfdc: of all 50, or group: nothing shared; auto: part, if any."),
    ] = FoldBy.AUTO,
    unchanged: Annotated[
        Unchanged, typer.Option(help="What crops of fakes whose face was not changed are in folds.csv.")
    ] = Unchanged.REAL,
    dataset: Annotated[str, typer.Option(help="Layout of the dataset; auto finds out.")] = "auto",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take clips of the folder that are links.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Families under way at a time. Default: one per core.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left in --out.")] = False,
    engine: Annotated[EngineName | None, ENGINE_OPTION] = None,
    address: Annotated[str | None, ADDRESS_OPTION] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Do one of N parts; without it, --resume joins them.", show_default=False),
    ] = None,
    metrics: Annotated[Path | None, METRICS_OPTION] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Cut the faces out of a dataset's clips, with landmarks, difference masks and folds, as the DFDC winner did."""
    with wrong_use(), interruptible(f"--resume goes on with what is in {out}"):
        from unmask.datasets import read_index
        from unmask.faces import load_detector
        from unmask.prepare.preparation import Preparation
        from unmask.scale.preparing import forget

        inputs = [data, *([] if boxes_from is None else [boxes_from])]
        check_output("--out", out, PREPARED, inputs)
        check_named([("--metrics", metrics, COUNTS)], inputs)
        index = read_index(data, dataset, follow_links=follow_links)
        for fault in index.faults:
            say(f"unmask: {fault}")
        options = {"steps": steps, "every": every, "image_format": image_format, "detector_scale": detector_scale}
        options |= {"detector": detector, "boxes_from": boxes_from, "folds": folds, "fold_by": fold_by}
        options |= {"unchanged": unchanged}
        given = {name: value for name, value in options.items() if _is_given(ctx, name)}
        plan = _plan(published, given, parse_limits(limits or []))
        if boxes_from is None and plan.settings.detection.detector != "mtcnn":
            load_detector(plan.settings.detection)  # reports what it needs before the work starts
        scale = Scale(engine, address, shard, out, metrics)
        if scale.wanted and scale.shard is not None:
            raise SystemExit(_prepare_shard(scale, index, out, plan, workers, resume, quiet))
        preparation = Preparation(
            index,
            out,
            steps=plan.steps,
            settings=plan.settings,
            folds=plan.folds,
            fold_rule=plan.fold_rule,
            workers=workers,
            resume=resume,
        )
        with preparation:
            records = preparation.run()
            if scale.wanted:
                records = _run_at_scale(scale, index, out, plan, preparation, workers, quiet)
            statuses = tally((clip.status for clip in records), len(index.clips), "preparing", quiet)
            outcome = preparation.finish()
            forget(out)
    statuses += Counter(ok=statuses.pop("no_face", 0))  # prepared all the same
    _tell(outcome, plan, out)
    if not quiet:
        clips = f"{statuses['ok']} of {len(index.clips)} clips of {index.dataset}" if statuses else index.dataset
        lines = f", {outcome.crops} lines in folds.csv" if outcome.crops else ""
        print(f"{out}: {clips}{lines}")
    raise SystemExit(exit_code(statuses))


def _tell(outcome: Outcome, plan: PublishedPreparation, out: Path) -> None:
    """Say what was skipped, which faces were not changed, and what is wrong with the folds."""
    for name, what in outcome.skipped[:SHOWN]:
        say(f"unmask: {name}: {what}")
    if len(outcome.skipped) > SHOWN:
        say(f"unmask: {len(outcome.skipped) - SHOWN} more lines of this kind are in {out / 'skipped.csv'}")
    if outcome.unchanged:
        meant = {"real": "labelled real", "left_out": "left out of folds.csv", "fake": "labelled fake as their clip"}
        rule = meant[plan.settings.unchanged]
        say(f"unmask: {outcome.unchanged} crops of fakes show an unchanged face: {rule}; see changed.csv")
    for warning in outcome.warnings:
        say(f"unmask: folds: {warning}")


def _prepare_shard(
    scale: Scale, index: Index, out: Path, plan: PublishedPreparation, workers: int | None, resume: bool, quiet: bool
) -> ExitCode:
    """Prepare one of several shards; a run without --shard takes over what they did."""
    from unmask.prepare.preparation import OF_ALL_CLIPS, mark_folder
    from unmask.scale.plan import Shard
    from unmask.scale.preparing import prepare_families

    mark_folder(out)
    steps = tuple(step for step in plan.steps if step not in OF_ALL_CLIPS)
    shard, tell = Shard.parse(scale.shard or ""), teller(quiet)
    engine = scale.open_engine(workers)
    done = prepare_families(
        index, out, steps, plan.settings, engine, shard=shard, resume=resume, say=tell, metrics=scale.metrics
    )
    print(f"{out}: {done} families of shard {scale.shard} done; when all are, the same without --shard, with --resume")
    return ExitCode.ALL_OK


def _run_at_scale(
    scale: Scale,
    index: Index,
    out: Path,
    plan: PublishedPreparation,
    preparation: Preparation,
    workers: int | None,
    quiet: bool,
) -> Iterator[ClipRecord]:
    """Prepare all clips with an engine, and enter their records."""
    from unmask.prepare.preparation import OF_ALL_CLIPS
    from unmask.scale.preparing import prepare_families, records_of

    prepare_families(
        index,
        out,
        tuple(step for step in plan.steps if step not in OF_ALL_CLIPS),
        plan.settings,
        scale.open_engine(workers),
        resume=True,
        known=preparation.known,
        say=teller(quiet),
        metrics=scale.metrics,
    )
    yield from preparation.take_over(records_of(out))


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Tell whether an option stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _plan(published: Published | None, given: Mapping[str, Any], limits: Limits) -> PublishedPreparation:
    """Return how to prepare: as a published system or as usual, changed by the options that are given."""
    from unmask.prepare.clip_steps import Settings
    from unmask.prepare.folds import FOLDS
    from unmask.prepare.preparation import DEFAULT_STEPS
    from unmask.systems.preparation import PublishedPreparation
    from unmask.systems.preparations import PREPARATIONS
    from unmask.types import DetectorSpec

    usual = PublishedPreparation(DEFAULT_STEPS, Settings(), FOLDS, "auto")
    plan = usual if published is None else PREPARATIONS[published.value]
    settings = replace(plan.settings, limits=limits)
    if "detector" in given:
        # MTCNN has the challenge winner's thresholds, RetinaFace those of RobustForensics.
        mtcnn = given["detector"] == "mtcnn"
        thresholds = Settings().detection.thresholds if mtcnn else DetectorSpec().thresholds
        settings = replace(settings, detection=DetectorSpec(given["detector"], thresholds=thresholds))
    if "detector_scale" in given:
        detection = replace(settings.detection, scale=_scale(given["detector_scale"]))
        settings = replace(settings, detection=detection, box_pixels="frame")
    if "boxes_from" in given:
        settings = replace(settings, boxes_from=str(given["boxes_from"]))
    if "unchanged" in given:
        settings = replace(settings, unchanged=given["unchanged"].value.replace("-", "_"))
    if "image_format" in given:
        settings = replace(settings, image_format=given["image_format"].value)
    return PublishedPreparation(
        steps=tuple(step.strip() for step in given["steps"].split(",")) if "steps" in given else plan.steps,
        settings=replace(settings, every=given.get("every", settings.every)),
        folds=given.get("folds", plan.folds),
        fold_rule=given["fold_by"].value if "fold_by" in given else plan.fold_rule,
    )


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
