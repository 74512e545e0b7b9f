"""Memory does not grow with the length of a video, nor with its frame size times the number of frames."""

import subprocess
import sys

import av
import pytest

from tests.media_factory import join_clips, on_canvas, write_film, write_video

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]

SCAN = """
import sys, unmask

def megabytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith(field))

scanner = unmask.Scanner()
scanner.scan(sys.argv[1])
loaded = megabytes("VmRSS")
verdict = scanner.scan(sys.argv[2])
assert verdict.status == "ok" and verdict.frames_with_faces >= 32, verdict
print(megabytes("VmHWM") - loaded)
"""


def peak_megabytes(warm_up, clip):
    """Return the peak memory of scanning ``clip`` beyond that of a process that has scanned ``warm_up``."""
    done = subprocess.run([sys.executable, "-c", SCAN, warm_up, clip], check=True, capture_output=True, text=True)
    return float(done.stdout)


@pytest.fixture(scope="module")
def short(tmp_path_factory, portrait):
    return write_film(portrait, tmp_path_factory.mktemp("memory") / "short.mp4", frames=25)


def test_ten_minutes(short, tmp_path):
    long = join_clips([short] * 600, tmp_path / "long.mp4")
    with av.open(str(long)) as container:
        assert container.duration / 1e6 == pytest.approx(600, rel=0.02)
    assert peak_megabytes(short, long) < 150


def test_4k(short, tmp_path, portrait):
    pictures = (on_canvas(portrait, (3840, 2160), (900 + 4 * i, 100), 1800) for i in range(33))
    clip = write_video(tmp_path / "4k.mp4", pictures, options={"preset": "ultrafast"})
    assert peak_megabytes(short, clip) < 600
