"""The page of an exploration: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unmask._version import __version__
from unmask.datasets.index import Index
from unmask.explore.exploration import LookSettings
from unmask.explore.gallery import COLOURS, example_frames, pair_clips
from unmask.explore.summary import SERIES, Bar, summarise
from unmask.html import render
from unmask.storage.atomic import write_file
from unmask.storage.rowlog import Row

EXAMPLES, DOUBTFUL, PAIRS = 12, 8, 4


def write_explore_page(index: Index, rows: Sequence[Row], settings: LookSettings, path: Path) -> None:
    """Write the page.

    Args:
        index: The dataset.
        rows: One for each of its clips, of `unmask.explore.exploration.Exploration`.
        settings: What was looked at.
        path: The file.
    """
    limits = settings.limits
    facts = summarise(index, rows, settings.detectors)
    counts = facts["labels"]
    bars = [Bar(name, tuple(counts[name] * (name == other) for other in SERIES)) for name in SERIES if counts[name]]
    content = render(
        "unmask.explore",
        "explore.html.j2",
        version=__version__,
        series=SERIES,
        label_bars=bars,
        suspicion_lines=[f"{name}: {'; '.join(texts)}" for name, texts in facts["suspicions"].items()],
        duplicate_lines=[", ".join(ids) for ids in facts["duplicates"]],
        frames_per_second=settings.frames_per_second,
        colours={name: f"rgb{colour}" for name, colour in COLOURS.items()},
        doubtful=example_frames(index, rows, DOUBTFUL, settings.seed, doubtful=True, limits=limits),
        examples=example_frames(index, rows, EXAMPLES, settings.seed, doubtful=False, limits=limits),
        pairs=pair_clips(index, rows, PAIRS, settings.seed, limits),
        **facts,
    )
    write_file(path, content)
