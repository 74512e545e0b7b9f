import os
import sys

import pytest

from tests.media_factory import pattern, write_video
from unmask.augment.copies import copy_frames
from unmask.runtime.scheduling import kept_scheduling

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="policies of Linux")


def test_an_encoder_of_av1_leaves_an_ordinary_thread(tmp_path):
    """SVT-AV1 makes a thread of root a real-time one."""
    before = os.sched_getscheduler(0)
    images = [pattern(number) for number in range(3)]
    write_video(tmp_path / "a.mp4", images, codec="libsvtav1", options={"preset": "12", "svtav1-params": "lp=1"})
    assert os.sched_getscheduler(0) == before
    copy_frames(images, "av1", 160)
    assert os.sched_getscheduler(0) == before


def test_the_policy_comes_back_after_an_error():
    before = os.sched_getscheduler(0)
    with pytest.raises(ZeroDivisionError), kept_scheduling():  # noqa: PT012
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        raise ZeroDivisionError
    assert os.sched_getscheduler(0) == before
