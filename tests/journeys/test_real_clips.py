"""Real talking heads, when a folder of them lies beside the repository."""

from pathlib import Path

import pytest

VIDEOS = Path(__file__).parents[3] / "shared" / "data" / "videos"
CLIPS = sorted(VIDEOS.glob("*.mp4"))[::12] if VIDEOS.is_dir() else []


@pytest.mark.skipif(not CLIPS, reason="no folder of real clips beside the repository")
def test_each_authentic_clip_gets_one_sensible_row(scanner):
    verdicts = list(scanner.scan_many(CLIPS))
    assert [verdict.path for verdict in verdicts] == list(map(str, CLIPS))
    assert {verdict.status for verdict in verdicts} == {"ok"}
    assert all(verdict.frames_with_faces >= 0.8 * verdict.frames_decoded for verdict in verdicts)
    assert sum(verdict.label == "fake" for verdict in verdicts) <= 1
