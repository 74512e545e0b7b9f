import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace

import cv2
import pytest
from typer.testing import CliRunner

from tests.explore.conftest import SETTINGS, dataset
from tests.media_factory import on_canvas, pattern, write_video
from tests.prepared import tree
from unmask.cli import app
from unmask.datasets import Clip, read_index
from unmask.errors import UsageError
from unmask.explore.exploration import (
    Exploration,
    ExploreSettings,
    detector_spec,
    draw_sample,
    frames_at_rate,
    installed_detectors,
)
from unmask.explore.suspicions import find_suspicions
from unmask.faces import load_detector
from unmask.media import open_video

pytestmark = pytest.mark.usefixtures("searched_once")


class TestLooking:
    def test_each_clip_has_a_row(self, index, explored):
        _, clips = explored
        assert [found.id for found in clips] == [clip.id for clip in index.clips]
        assert Counter(found.status for found in clips) == {"ok": 10, "unreadable": 1}
        for found in clips:
            if found.status == "ok":
                assert found.frames == (0, 8, 16)  # of 25, at 0, 1/3 and 2/3 s
            else:
                assert found.reason

    def test_both_detectors_find_the_portrait(self, explored):
        _, clips = explored
        votes = [vote for found in clips for vote in found.faces]
        assert len([vote for vote in votes if vote.votes == 2]) >= 24  # nine clips, three frames
        for vote in votes:
            if "mtcnn" in vote.faces:
                assert vote.faces["mtcnn"].landmarks_px.shape == (5, 2)

    def test_frames_are_kept_in_the_notebooks_form(self, index, explored):
        out, clips = explored
        for clip, found in zip(index.clips, clips, strict=True):
            if found.status == "ok":
                names = sorted(path.name for path in (out / "frames" / clip.id).iterdir())
                assert names == ["output_0001.png", "output_0002.png", "output_0003.png"]
                assert cv2.imread(str(out / "frames" / clip.id / names[0])).shape == (480, 640, 3)

    def test_rate(self, tmp_path):
        video = write_video(tmp_path / "v.mp4", [pattern(i) for i in range(10)], rate=10)
        with open_video(video) as opened:
            assert frames_at_rate(opened, 2).tolist() == [0, 5]
            assert frames_at_rate(opened, 0.2).tolist() == [0]
            assert frames_at_rate(opened, 1000).tolist() == list(range(10))

    def test_the_sample_is_spread_over_methods(self):
        clips = [Clip(f"a{i}", f"a{i}", "real") for i in range(100)]
        clips += [Clip(f"b{i}", f"b{i}", "fake", method="b") for i in range(5)]
        drawn = draw_sample(clips, 20, seed=0)
        assert Counter(name[0] for name in drawn) == {"a": 15, "b": 5}
        assert drawn == draw_sample(clips, 20, seed=0)
        assert drawn != draw_sample(clips, 20, seed=1)
        assert len(draw_sample(clips, 1000, seed=0)) == 105
        assert draw_sample(clips, 0, seed=0) == frozenset()

    def test_without_a_sample_all_are_probed(self, index, tmp_path):
        with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
            clips = list(exploration.run())
        assert all(found.faces == () and found.frames == () for found in clips)
        assert sum(found.media is not None for found in clips) == 10

    def test_wrong_use(self, index, tmp_path):
        for settings in (
            ExploreSettings(frames_per_second=0),
            ExploreSettings(sample=-1),
            ExploreSettings(detectors=("eyes",)),
            ExploreSettings(detectors=("mtcnn", "mtcnn")),
            ExploreSettings(detectors=()),
        ):
            with pytest.raises(UsageError):
                Exploration(index, tmp_path / "out", settings)
        with pytest.raises(UsageError, match="no clip"):
            Exploration(replace(index, clips=()), tmp_path / "out")

    def test_one_bug_costs_one_clip(self, index, tmp_path, monkeypatch):
        def fail(exploration, explored, path):
            raise ZeroDivisionError(path.name)

        monkeypatch.setattr(Exploration, "_find_facts", fail)
        with Exploration(index, tmp_path / "out", ExploreSettings(sample=10, detectors=("haar",))) as exploration:
            statuses = Counter(found.status for found in exploration.run())
        assert statuses["internal_error"] == 1

    def test_installed_detectors(self):
        assert installed_detectors()[:2] == ("mtcnn", "haar")


class TestResume:
    def test_nothing_is_looked_at_twice(self, index, explored, monkeypatch):
        out, clips = explored
        before = tree(out)
        monkeypatch.setattr("unmask.explore.exploration.open_video_file", None)
        with Exploration(index, out, SETTINGS, resume=True) as exploration:
            assert [found.to_row() for found in exploration.run()] == [found.to_row() for found in clips]
            exploration.finish()
        assert tree(out) == before

    def test_an_earlier_run_is_safe(self, index, explored):
        with pytest.raises(UsageError, match="--resume"):
            Exploration(index, explored[0], SETTINGS)

    @pytest.mark.slow
    def test_killed_in_the_middle(self, sample, tmp_path):
        def command(out, *more):
            name = str(tmp_path / out)
            options = ["--detectors", "mtcnn,haar", "--extract-frames", "-q", *more]
            return ["explore", str(sample), "--out", name, *options]

        assert CliRunner().invoke(app, command("whole")).exit_code == 3  # one clip is broken
        run = subprocess.Popen([sys.executable, "-m", "unmask", *command("killed")])
        log, started = tmp_path / "killed" / "explore.jsonl", time.monotonic()
        while not (log.exists() and log.read_bytes().count(b"\n") >= 3) and time.monotonic() - started < 60:
            time.sleep(0.01)
        run.kill()
        assert run.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / "index.html").exists()
        assert CliRunner().invoke(app, command("killed", "--resume")).exit_code == 3
        assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


class TestOddVideos:
    def test_frames_that_cannot_be_decoded_are_told(self, sample, tmp_path):
        from tests.prepare.test_preparation_again import TestDamage

        data = shutil.copytree(sample, tmp_path / "data")
        index = read_index(data)
        clip = next(clip for clip in index.clips if clip.label == "real")
        TestDamage.damage(index, clip, 0)
        settings = ExploreSettings(frames_per_second=1000, detectors=("haar",))
        with Exploration(replace(index, clips=(clip,)), tmp_path / "out", settings) as exploration:
            (found,) = exploration.run()
        assert found.frames_asked - len(found.frames) in (0, 1)  # the first frame may not exist at all
        if found.frames_asked > len(found.frames):
            assert "cannot be decoded" in str(find_suspicions(replace(index, clips=(clip,)), [found]))

    def test_a_clip_that_vanishes_costs_only_its_row(self, tmp_path):
        write_video(tmp_path / "a.mp4", [pattern(i) for i in range(5)])
        index = dataset(tmp_path, [Clip("a", "a.mp4", "real"), Clip("b", "gone.mp4", "fake", "a")])
        with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
            statuses = [found.status for found in exploration.run()]
            (tmp_path / "a.mp4").unlink()  # after it was looked at
            clips = exploration.clips()
        assert statuses == ["ok", "unreadable"]
        assert clips[0].media.frames == 5

    def test_what_a_killed_run_leaves_is_swept(self, index, explored, tmp_path):
        out = shutil.copytree(explored[0], tmp_path / "out")
        (out / "frames" / ".tmp-0123456789abcdef").mkdir()
        (out / ".index.html.0123456789abcdef.tmp").touch()
        victim = next((out / "frames").glob("[a-z]*"))
        shutil.rmtree(victim)
        with Exploration(index, out, SETTINGS, resume=True) as exploration:
            list(exploration.run())
            exploration.finish()
        assert tree(out) == tree(explored[0])


def test_haar_searches_the_whole_frame_as_the_notebook_did(portrait):
    """Its settings: scaleFactor 1.3, minNeighbors 5, nothing else. Our own scale for so large a frame is a third."""
    image_HW3 = on_canvas(portrait, (2000, 1200), (300, 100), 700)
    small = on_canvas(portrait, (2000, 1200), (1500, 800), 90)
    image_HW3[800:890, 1500:1590] = small[800:890, 1500:1590]
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.cvtColor(image_HW3[:, :, ::-1].copy(), cv2.COLOR_BGR2GRAY)
    expected = {(x, y, x + w, y + h) for x, y, w, h in cascade.detectMultiScale(grey, 1.3, 5).tolist()}
    found = load_detector(detector_spec("haar")).detect(image_HW3)
    assert expected
    assert {face.xyxy_px for face in found} == expected
    assert detector_spec("mtcnn").scale == "adaptive"
