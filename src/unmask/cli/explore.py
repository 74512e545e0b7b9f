"""Explore a dataset before training on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unmask.cli.console import ExitCode, exit_code, interruptible, tally, wrong_use
from unmask.cli.limits import LIMITS_OPTION, parse_limits
from unmask.cli.outputs import EXPLORATION, check_output

if TYPE_CHECKING:
    from unmask.media import Limits

EPILOG = (
    "Writes index.html, videos.parquet, faces.parquet and index.parquet. Exit codes: 0 every clip was read; "
    "3 some were not; 4 none was, or over half failed alike; 2 wrong use. Of one clip, without --out, it prints what "
    "ffprobe prints."
)


def explore(
    data: Annotated[
        Path,
        typer.Argument(
            help="A dataset's folder, a CSV, an index.parquet, or clips without labels.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to fill. Of one clip, its facts are printed without.", show_default=False),
    ] = None,
    sample: Annotated[int, typer.Option(min=0, help="Clips that are searched for faces; all are probed.")] = 100,
    frames_per_second: Annotated[float, typer.Option(help="Frames of these to search in a second of video.")] = 0.5,
    detectors: Annotated[
        str | None,
        typer.Option(help="Which to compare, with commas. Default: mtcnn,haar, and dlib if there.", show_default=False),
    ] = None,
    extract_frames: Annotated[
        bool, typer.Option("--extract-frames", help="Keep these frames as frames/<id>/output_0001.png ...")
    ] = False,
    extract_audio: Annotated[
        bool, typer.Option("--extract-audio", help="Keep the sample's sound as it is, in audio/.")
    ] = False,
    dataset: Annotated[str, typer.Option(help="Layout of the dataset; auto finds out.")] = "auto",
    seed: Annotated[int, typer.Option(help="Seed of the sample and of the examples on the page.")] = 0,
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take clips of the folder that are links.")
    ] = False,
    trust: Annotated[
        Path | None,
        typer.Option(help="PEM file: whose C2PA signatures are trusted. Takes unmask[c2pa].", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Clips under way at a time. Default: one per core.", show_default=False)
    ] = None,
    limits: Annotated[list[str] | None, LIMITS_OPTION] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what an earlier run left in --out.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")] = False,
) -> None:
    """Show what a dataset holds: labels, media, faces, pairs, and what looks wrong, as one HTML page and tables."""
    with wrong_use(), interruptible(f"--resume goes on with what is in {out}" if out else "nothing was written"):
        from unmask.datasets import is_video, read_index
        from unmask.datasets.index import require_clips
        from unmask.errors import UsageError
        from unmask.explore.exploration import Exploration, ExploreSettings, installed_detectors
        from unmask.explore.page import write_explore_page
        from unmask.explore.suspicions import find_suspicions
        from unmask.explore.tables import write_faces, write_videos

        if out is None:
            if is_video(data):
                raise SystemExit(_print_facts(data, parse_limits(limits or [])))
            require_clips(read_index(data, dataset, follow_links=follow_links, unlabelled=True))  # says what is wrong
            raise UsageError(f"{data} is a dataset, and its page and tables need a folder; name one with --out")
        check_output("--out", out, EXPLORATION, [data])
        index = read_index(data, dataset, follow_links=follow_links, unlabelled=True)
        names = tuple(name.strip() for name in detectors.split(",")) if detectors else installed_detectors()
        settings = ExploreSettings(
            sample, frames_per_second, names, extract_frames, extract_audio, seed, parse_limits(limits or []), trust
        )
        with Exploration(index, out, settings, workers=workers, resume=resume) as exploration:
            statuses = tally((clip.status for clip in exploration.run()), len(index.clips), "exploring", quiet)
            explored = exploration.clips()
            index.write(out / "index.parquet")
            write_videos(index, explored, find_suspicions(index, explored), out / "videos.parquet")
            write_faces(index, explored, names, out / "faces.parquet")
            write_explore_page(index, explored, settings, out / "index.html")
            exploration.finish()
    if not quiet:
        print(f"{out / 'index.html'}: {statuses['ok']} of {len(index.clips)} clips of {index.dataset} can be read")
    raise SystemExit(exit_code(statuses))


def _print_facts(clip: Path, limits: Limits) -> ExitCode:
    """Print what a clip says of itself as ffprobe does, as JSON; what is wrong with it stands there, too."""
    from unmask.errors import InputError
    from unmask.media import read_description

    try:
        print(json.dumps(read_description(clip, limits), indent=4))
    except InputError as error:
        print(json.dumps({"error": {"status": error.status, "string": str(error)}}, indent=4))
        return ExitCode.NONE_OK
    return ExitCode.ALL_OK
