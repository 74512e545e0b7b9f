"""The process of the service that scans: an order in, a result out."""

import threading

from tests.media_factory import pattern, write_video
from tests.scan.test_base import Counter
from unmask.web.scan_process import Orders


def test_a_scan_starts_no_thread_of_its_own(tmp_path):
    """A service goes on for months, and OpenCV keeps something of each thread that it ran in."""
    seen, told = [], []

    class Watcher(Counter):
        def scan_video(self, video, draft):
            seen.append(threading.current_thread())
            return super().scan_video(video, draft)

    orders = Orders(Watcher([{"name": "none", "version": "1", "sha256": ""}], {}), told.append)
    clip = write_video(tmp_path / "clip.mp4", map(pattern, range(3)))
    orders._scan({"scan": "1", "path": str(clip), "name": "mine.mp4", "out": str(tmp_path / "out.json")})
    assert seen == [threading.current_thread()]
    assert told[-1]["summary"]["status"] == "ok"
