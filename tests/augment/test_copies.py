"""Copies keep the number of frames, change size as named, and lose detail in order."""

import cv2
import numpy as np
import pytest

from unmask.augment.copies import COPIES, copy_frames
from unmask.errors import UsageError


@pytest.fixture(scope="module")
def run(portrait):
    small = cv2.resize(portrait, (240, 240), interpolation=cv2.INTER_AREA)
    return [np.roll(small, step, axis=1) for step in range(5)]


def detail(images):
    return float(np.mean([cv2.Laplacian(image, cv2.CV_32F).std() for image in images]))


@pytest.mark.parametrize("name", COPIES)
def test_every_copy_has_the_frames_in_order(run, name):
    copy = copy_frames(run, name, frame_width_px=640)
    assert len(copy.images) == len(copy.quantisers) == len(run)
    scale = {"half size": 1 / 2, "third size": 1 / 3, "messenger": 1 / 2, "twice": 3 / 4}.get(name, 1.0)
    assert copy.images[0].shape == (240 * scale, 240 * scale, 3)
    again = cv2.resize(copy.images[3], (240, 240), interpolation=cv2.INTER_AREA)
    near = [float(np.abs(again.astype(int) - image).mean()) for image in run]
    assert int(np.argmin(near)) == 3 or near[3] < 1.1 * min(near)


def test_worse_copies_have_less_detail_and_coarser_quantisers(run):
    crfs = [copy_frames(run, f"crf {crf}", 640) for crf in (23, 32, 40)]
    quantisers = [np.mean(copy.quantisers) for copy in crfs]
    assert quantisers == sorted(quantisers)
    assert detail(crfs[-1].images) < detail(crfs[0].images)
    blurs = [detail(copy_frames(run, f"blur {sigma}", 640).images) for sigma in (1, 2, 3)]
    assert blurs == sorted(blurs, reverse=True)
    assert detail(copy_frames(run, "sharpened", 640).images) > detail(crfs[0].images)


def test_an_unknown_copy_is_refused(run):
    with pytest.raises(UsageError, match="use one of as it is"):
        copy_frames(run, "crf 99", 640)
