import os
import signal

import pytest

from unmask.media import guards_in_force, sample_frames
from unmask.media.server import CAN_ISOLATE, SERVER

pytestmark = pytest.mark.skipif(not CAN_ISOLATE, reason="this platform cannot fork")


def test_the_server_comes_back(clips):
    guards_in_force()
    server = SERVER.pid
    os.kill(server, signal.SIGKILL)
    os.waitid(os.P_PID, server, os.WEXITED | os.WNOWAIT)
    assert len(list(sample_frames(clips["blended"], 4))) == 4
    assert SERVER.pid != server
