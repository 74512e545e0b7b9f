"""Cut a dataset's faces out for training, and look at the pairs of real and fake.

    python examples/04_prepare.py DATA OUT

Without arguments a small dataset is made from a public-domain portrait. Needs: pip install 'unmask[data]'
"""

import sys
import tempfile
from pathlib import Path

import cv2

from make_clips import PORTRAIT
from unmask.augment.selfblend import self_blend
from unmask.datasets import read_index
from unmask.datasets.synthetic import write_sample
from unmask.prepare.clip_steps import Settings
from unmask.prepare.pairs import read_crop_pairs
from unmask.prepare.preparation import Preparation

with tempfile.TemporaryDirectory() as folder:
    if len(sys.argv) > 2:
        data, out = Path(sys.argv[1]), Path(sys.argv[2])
    else:
        data, out = Path(folder) / "dfdc", Path(folder) / "prepared"
        write_sample(data, [PORTRAIT], self_blend, parts=2, seconds=1)

    # resume=True goes on with what an interrupted run left, and does nothing twice.
    with Preparation(read_index(data), out, settings=Settings(every=10), resume=True) as preparation:
        for clip in preparation.run():
            print(f"{clip.id}: {clip.status}")
        outcome = preparation.finish()
    for name, what in outcome.skipped:
        print(f"skipped: {name}: {what}")
    print(f"{outcome.crops} crops in folds.csv")

    for pair in read_crop_pairs(out):
        if pair.diff is not None:
            changed = (cv2.imread(str(pair.diff), cv2.IMREAD_GRAYSCALE) > 20).mean()
            print(f"{pair.fake.parent.name}/{pair.fake.name}, fold {pair.fold}: {changed:.0%} of the crop differs")
