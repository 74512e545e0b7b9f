"""Look at a dataset: what it holds, and what looks wrong.

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
from unmask.explore.exploration import Exploration, LookSettings
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

    settings = LookSettings(sample=10, frames_per_second=2, detectors=("mtcnn", "haar"))
    with Exploration(index, out, settings) as exploration:
        for row in exploration.run():
            if row["status"] != "ok":
                print(f"{row['id']}: {row['status']}: {row['reason']}")
        rows = exploration.rows()
        write_explore_page(index, rows, settings, out / "index.html")

    facts = summarise(index, rows, settings.detectors)
    print(f"{facts['clips']} clips: {dict(sorted(facts['labels'].items()))}")
    for detector in facts["detectors"]:
        print(f"{detector['name']}: faces in {detector['frames_with_faces']:.0%} of the frames")
    for clip, oddities in facts["suspicions"].items():
        print(f"{clip}: {'; '.join(oddities)}")
    print(f"page: {(out / 'index.html').stat().st_size} bytes")
