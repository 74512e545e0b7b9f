"""Explore a dataset: what it holds, and what looks wrong.

    python examples/03_explore.py DATA OUT

Without arguments a small dataset is made from a public-domain portrait. Needs: pip install 'unmask[data]'
"""

import sys
import tempfile
from pathlib import Path

from make_clips import PORTRAIT
from unmask.augment.selfblend import self_blend
from unmask.datasets import read_index
from unmask.datasets.synthetic import write_sample
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.page import write_explore_page
from unmask.explore.summary import summarise

with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 2:
        data, out = Path(sys.argv[1]), Path(sys.argv[2])
    else:
        data, out = Path(folder) / "dfdc", Path(folder) / "eda"
        write_sample(data, [PORTRAIT], self_blend, parts=2, seconds=1)

    index = read_index(data)
    for fault in index.faults:
        print(f"fault: {fault}")

    settings = ExploreSettings(sample=10, frames_per_second=2, detectors=("mtcnn", "haar"))
    with Exploration(index, out, settings) as exploration:
        for clip in exploration.run():
            if clip.status != "ok":
                print(f"{clip.id}: {clip.status}: {clip.reason}")
        explored = exploration.clips()
        write_explore_page(index, explored, settings, out / "index.html")

    summary = summarise(index, explored, settings.detectors)
    print(f"{summary.clips} clips: {dict(sorted(summary.labels.items()))}")
    for detector in summary.detectors:
        print(f"{detector.name}: faces in {detector.frames_with_faces:.0%} of the frames")
    for name, oddities in summary.suspicions.items():
        print(f"{name}: {'; '.join(oddities)}")
    print(f"page: {(out / 'index.html').stat().st_size} bytes")
