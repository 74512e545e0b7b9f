"""Write the page of an exploration: one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from unmask._version import __version__
from unmask.datasets.index import Index
from unmask.explore.exploration import ExploreSettings
from unmask.explore.gallery import COLOURS, example_frames, fakes_beside_originals
from unmask.explore.records import ExploredClip
from unmask.explore.summary import SERIES, Bar, summarise
from unmask.html import render
from unmask.storage.atomic import write_file

EXAMPLES, DOUBTFUL, PAIRS = 12, 8, 4


def write_explore_page(index: Index, explored: Sequence[ExploredClip], settings: ExploreSettings, path: Path) -> None:
    """Write the page.

    Args:
        index: The dataset.
        explored: What was found out about each of its clips, see `unmask.explore.exploration.Exploration`.
        settings: What was searched.
        path: The file.
    """
    limits = settings.limits
    summary = summarise(index, explored, settings.detectors)
    counts = summary.labels
    real, fake, unlabelled = (counts[name] for name in SERIES)
    bars = [Bar("real", (real, 0, 0)), Bar("fake", (0, fake, 0)), Bar("unlabelled", (0, 0, unlabelled))]
    content = render(
        "unmask.explore",
        "explore.html.j2",
        version=__version__,
        series=SERIES,
        label_bars=[bar for bar in bars if sum(bar.counts)],
        suspicion_lines=[f"{name}: {'; '.join(texts)}" for name, texts in summary.suspicions.items()],
        duplicate_lines=[", ".join(ids) for ids in summary.duplicates],
        frames_per_second=settings.frames_per_second,
        colours={name: f"rgb{colour}" for name, colour in COLOURS.items()},
        doubtful=example_frames(index, explored, DOUBTFUL, settings.seed, doubtful=True, limits=limits),
        examples=example_frames(index, explored, EXAMPLES, settings.seed, doubtful=False, limits=limits),
        pairs=fakes_beside_originals(index, explored, PAIRS, settings.seed, limits),
        **{field.name: getattr(summary, field.name) for field in fields(summary)},
    )
    write_file(path, content)
