import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.media_factory import pattern, write_sound, write_video
from tests.prepared import tree
from unmask.datasets import Clip, Fault, Index, read_index
from unmask.errors import NoVideoError, UsageError
from unmask.explore.exploration import Exploration, LookSettings, draw_sample, frames_at_rate, installed_detectors
from unmask.explore.extract import copy_audio
from unmask.explore.gallery import example_frames, pair_clips, side_by_side
from unmask.explore.page import write_explore_page
from unmask.explore.summary import SERIES, distribution, find_duplicates, find_suspicions, summarise
from unmask.explore.tables import NOTEBOOK_COLUMNS, write_faces, write_videos
from unmask.media import open_video

SETTINGS = LookSettings(frames_per_second=3, detectors=("mtcnn", "haar"), extract_frames=True, extract_audio=True)


@pytest.fixture(scope="session")
def explored(index, tmp_path_factory):
    out = tmp_path_factory.mktemp("explored") / "out"
    with Exploration(index, out, SETTINGS) as exploration:
        assert sum(1 for _ in exploration.run()) == len(index.clips)
        rows = exploration.rows()
        write_explore_page(index, rows, SETTINGS, out / "index.html")
        exploration.finish()
    return out, rows


def dataset(folder, clips):
    return Index(folder, "test", tuple(clips))


class TestLooking:
    def test_each_clip_has_a_row(self, index, explored):
        _, rows = explored
        assert [row["id"] for row in rows] == [clip.id for clip in index.clips]
        assert Counter(row["status"] for row in rows) == {"ok": 10, "unreadable": 1}
        for row in rows:
            if row["status"] == "ok":
                assert row["frames"] == [0, 8, 16]  # of 25, at 0, 1/3 and 2/3 s
            else:
                assert row["reason"]

    def test_both_detectors_find_the_portrait(self, explored):
        _, rows = explored
        faces = [face for row in rows for face in row["faces"]]
        assert len([face for face in faces if face["votes"] == 2]) >= 24  # nine clips, three frames
        for face in faces:
            if "mtcnn" in face["found"]:
                assert len(face["found"]["mtcnn"]["landmarks_px"]) == 5

    def test_frames_are_kept_in_the_notebooks_form(self, index, explored):
        out, rows = explored
        for clip, row in zip(index.clips, rows, strict=True):
            if row["status"] == "ok":
                names = sorted(path.name for path in (out / "frames" / clip.id).iterdir())
                assert names == ["output_0001.png", "output_0002.png", "output_0003.png"]
                assert cv2.imread(str(out / "frames" / clip.id / names[0])).shape == (480, 640, 3)

    def test_sound_is_copied_as_it_is(self, index, explored, tmp_path):
        out, rows = explored
        with_sound = [row["id"] for row in rows if row["media"] and row["media"]["audio"]]
        assert sorted(path.stem for path in (out / "audio").iterdir()) == with_sound
        clip = next(clip for clip in index.clips if clip.id == with_sound[0])
        packets = []
        for path in (index.path_of(clip), out / "audio" / f"{clip.id}.m4a"):
            with av.open(str(path)) as container:
                packets.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
        assert packets[0] == packets[1]

    def test_a_sound_file_is_no_video(self, tmp_path):
        with pytest.raises(NoVideoError):
            copy_audio(write_sound(tmp_path / "a.mp4"), tmp_path / "out", "a")
        silent = write_video(tmp_path / "v.mp4", [pattern(0)] * 3)
        assert copy_audio(silent, tmp_path / "out", "v") is None
        assert not (tmp_path / "out").exists()

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
        with Exploration(index, tmp_path / "out", LookSettings(sample=0)) as exploration:
            rows = list(exploration.run())
        assert all(row["faces"] == [] and row["frames"] == [] for row in rows)
        assert sum(row["media"] is not None for row in rows) == 10

    def test_wrong_use(self, index, tmp_path):
        for settings in (
            LookSettings(frames_per_second=0),
            LookSettings(sample=-1),
            LookSettings(detectors=("eyes",)),
            LookSettings(detectors=("mtcnn", "mtcnn")),
            LookSettings(detectors=()),
        ):
            with pytest.raises(UsageError):
                Exploration(index, tmp_path / "out", settings)
        with pytest.raises(UsageError, match="no clip"):
            Exploration(replace(index, clips=()), tmp_path / "out")

    def test_one_bug_costs_one_clip(self, index, tmp_path, monkeypatch):
        def fail(path, limits):
            raise ZeroDivisionError(path.name)

        monkeypatch.setattr("unmask.explore.exploration.probe", fail)
        with Exploration(index, tmp_path / "out", LookSettings(sample=10, detectors=("haar",))) as exploration:
            statuses = Counter(row["status"] for row in exploration.run())
        assert statuses["internal_error"] == 1

    def test_installed_detectors(self):
        assert installed_detectors()[:2] == ("mtcnn", "haar")


class TestResume:
    def test_nothing_is_looked_at_twice(self, index, explored, monkeypatch):
        out, rows = explored
        before = tree(out)
        monkeypatch.setattr("unmask.explore.exploration.open_video", None)
        monkeypatch.setattr("unmask.explore.exploration.probe", None)
        with Exploration(index, out, SETTINGS, resume=True) as exploration:
            assert list(exploration.run()) == rows
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
            return [sys.executable, "-m", "unmask", "explore", str(sample), "--out", name, *options]

        assert subprocess.run(command("whole"), check=False).returncode == 3  # one clip is broken
        run = subprocess.Popen(command("killed"))
        log, started = tmp_path / "killed" / "explore.jsonl", time.monotonic()
        while not (log.exists() and log.read_bytes().count(b"\n") >= 3) and time.monotonic() - started < 60:
            time.sleep(0.01)
        run.kill()
        assert run.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / "index.html").exists()
        assert subprocess.run(command("killed", "--resume"), check=False).returncode == 3
        assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


class TestTables:
    def test_videos(self, index, explored, tmp_path):
        _, rows = explored
        write_videos(index, rows, find_suspicions(index, rows), tmp_path / "v.parquet")
        table = pq.read_table(tmp_path / "v.parquet")
        assert table.column_names[:17] == list(NOTEBOOK_COLUMNS)
        assert str(table.schema.field("video_width").type) == "float"
        by_id = {row["id"]: row for row in table.to_pylist()}
        for clip in index.clips:
            row = by_id[clip.id]
            assert (row["label"], row["original"], row["part"]) == (clip.label, clip.original, clip.part)
            if row["status"] == "ok":
                assert (row["video_width"], row["video_height"], row["video_nb_frames"]) == (640, 480, 25)
                assert row["video_fps"] == 25
                assert row["video_codec_name"] == "h264"
                assert (row["audio_codec_name"] is None) == (row["audio_channels"] is None)
            else:
                assert row["video_width"] is None
        assert sorted(row["fakes"] for row in by_id.values() if row["label"] == "real") == [0, 1, 1, 2, 2]
        assert {row["fakes"] for row in by_id.values() if row["label"] == "fake"} == {None}

    def test_faces(self, index, explored, tmp_path):
        _, rows = explored
        write_faces(index, rows, SETTINGS.detectors, tmp_path / "f.parquet")
        table = pq.read_table(tmp_path / "f.parquet").to_pylist()
        assert len(table) == sum(len(row["faces"]) for row in rows)
        assert {row["image"] for row in table} == {"output_0001.png", "output_0002.png", "output_0003.png"}
        both = [row for row in table if row["votes"] == 2]
        assert all(len(row["box_mtcnn"]) == len(row["box_haar"]) == 4 for row in both)
        assert all(len(row["landmarks"]) == 10 for row in both)


class TestSummary:
    def test_counts(self, index, explored):
        _, rows = explored
        facts = summarise(index, rows, SETTINGS.detectors)
        assert facts["labels"] == {"real": 5, "fake": 6}
        assert facts["looked"] == 10
        assert facts["frames_looked"] == 30
        share = 6 / 11
        assert facts["constants"]["0.5 always"] == pytest.approx(np.log(2))
        (entropy,) = [value for name, value in facts["constants"].items() if name != "0.5 always"]
        assert entropy == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
        mtcnn, haar = facts["detectors"]
        assert mtcnn["frames_with_faces"] == pytest.approx(27 / 30)
        assert 0 < haar["confirmed"] <= 1
        assert len(facts["broken"]) == 1

    def test_few_values_are_counted_one_by_one(self):
        chart = distribution("Width", "pixels", [(640, "real"), (640, "fake"), (320, None), (None, "real")])
        assert [(bar.name, bar.counts) for bar in chart.bars] == [("320", (0, 0, 1)), ("640", (1, 1, 0))]
        assert chart.highest == 2

    def test_many_values_fall_into_bins(self):
        chart = distribution("Rate", "", [(float(i), "real") for i in range(100)] + [(99.0, "fake")])
        assert len(chart.bars) == 20
        assert sum(sum(bar.counts) for bar in chart.bars) == 101
        assert chart.bars[-1].counts == (5, 1, 0)
        assert chart.bars[0].name == "0 to 4.95"

    def test_an_empty_chart(self):
        assert distribution("x", "", []).bars == ()
        assert distribution("x", "", []).highest == 1

    def test_suspicions(self, tmp_path):
        images = [pattern(i) for i in range(30)]
        for i in range(8):
            write_video(tmp_path / f"sound{i}.mp4", [*images[i:], *images[:i]], tone=True)
        write_video(tmp_path / "silent.mp4", images)
        write_video(tmp_path / "short.mp4", images[:3], tone=True)
        write_video(tmp_path / "small.mp4", [pattern(i, (64, 64)) for i in range(30)], tone=True)
        (tmp_path / "copy.mp4").write_bytes((tmp_path / "sound0.mp4").read_bytes())
        clips = [Clip(f"sound{i}", f"sound{i}.mp4", "real") for i in range(8)]
        clips += [Clip("silent", "silent.mp4", "real"), Clip("short", "short.mp4", "real")]
        clips += [Clip("small", "small.mp4", "fake", "sound1"), Clip("copy", "copy.mp4", "fake", "sound0")]
        index = dataset(tmp_path, clips)
        with Exploration(index, tmp_path / "out", LookSettings(sample=0)) as exploration:
            list(exploration.run())
            rows = exploration.rows()
        odd = find_suspicions(index, rows)
        assert odd["silent"] == ["silent, while nearly all others have sound"]
        assert odd["short"] == ["only 0.10 s long"]
        assert odd["small"] == ["frames of 64x64, its original's are 160x96: the pair is not aligned"]
        assert odd["copy"] == ["the same file as its original", "the same file is labelled real and fake"]
        assert odd["sound0"] == ["the same file is labelled real and fake"]
        assert set(odd) == {"silent", "short", "small", "copy", "sound0"}
        assert find_duplicates(rows) == [["sound0", "copy"]]


class TestPage:
    def test_it_stands_alone(self, explored):
        page = (explored[0] / "index.html").read_text()
        assert not re.search(r"(?:src|href)=\"(?!data:|#)", page)
        assert "default-src 'none'" in page
        assert "<script" not in page
        assert page.count("data:image/jpeg") >= 8
        assert page.count("data:video/mp4") == 4
        assert len(page) < 3_000_000

    def test_it_says_what_is_there(self, explored):
        page = (explored[0] / "index.html").read_text()
        text = re.sub(r"<[^>]+>|\s+", " ", page)
        for words in ("11 clips", "1 cannot be read", "this is no media file", "Fakes made from an original", "0.6931"):
            assert words in re.sub(" +", " ", text), words
        for name in SERIES[:2]:
            assert name in text

    def test_names_stay_text(self, tmp_path):
        write_video(tmp_path / "v.mp4", [pattern(i) for i in range(5)])
        name = "<img src=x onerror=alert(1)>"
        clip = Clip("<b>bold", "v.mp4", "real", method=name)
        index = replace(dataset(tmp_path, [clip]), faults=(Fault("m.json", name, "is odd"),))
        with Exploration(index, tmp_path / "out", LookSettings(sample=0)) as exploration:
            list(exploration.run())
            write_explore_page(index, exploration.rows(), LookSettings(sample=0), tmp_path / "page.html")
        page = (tmp_path / "page.html").read_text()
        assert "<img src=x" not in page
        assert "<b>bold" not in page
        assert "No clip was searched for faces." in page
        assert "No fake lies beside its original." in page

    def test_side_by_side_plays(self, index, explored, tmp_path):
        fake = next(c for c in index.clips if c.label == "fake" and (explored[0] / "frames" / c.id).exists())
        original = next(c for c in index.clips if c.id == fake.original)
        (tmp_path / "pair.mp4").write_bytes(side_by_side(index, original, fake))
        with open_video(tmp_path / "pair.mp4") as video:
            assert (video.facts.width, video.facts.height, video.facts.codec) == (640, 240, "h264")
            assert video.facts.duration_seconds == pytest.approx(1, abs=0.1)

    def test_pictures(self, index, explored):
        _, rows = explored
        examples = example_frames(index, rows, 4, seed=0, doubtful=False)
        assert [image.label for image in examples] == ["real", "fake", "real", "fake"]
        assert len({image.id for image in examples}) == 4
        assert all(image.doubts for image in example_frames(index, rows, 4, seed=0, doubtful=True))
        clips = pair_clips(index, rows, 3, seed=0)
        assert len(clips) == 3


def test_the_written_index_can_be_read_back(sample, tmp_path):
    index = read_index(sample)
    index.write(tmp_path / "index.parquet")
    again = read_index(tmp_path / "index.parquet")
    assert (again.clips, again.root, again.dataset) == (index.clips, index.root, "dfdc")


class TestOddVideos:
    def test_frames_that_cannot_be_decoded_are_told(self, sample, tmp_path):
        from tests.prepare.test_preparation_again import TestDamage

        data = shutil.copytree(sample, tmp_path / "data")
        index = read_index(data)
        clip = next(clip for clip in index.clips if clip.label == "real")
        TestDamage.damage(index, clip, 0)
        settings = LookSettings(frames_per_second=1000, detectors=("haar",))
        with Exploration(replace(index, clips=(clip,)), tmp_path / "out", settings) as exploration:
            (row,) = exploration.run()
        assert row["asked"] - len(row["frames"]) in (0, 1)  # the first frame may not exist at all
        if row["asked"] > len(row["frames"]):
            assert "cannot be decoded" in str(find_suspicions(replace(index, clips=(clip,)), [row]))

    def test_a_shape_that_h264_refuses_costs_only_its_pair(self, tmp_path):
        strip = [np.full((16, 4096, 3), 90, np.uint8)] * 5
        write_video(tmp_path / "a.mp4", strip, codec="mjpeg", pixel_format="yuvj420p")
        write_video(tmp_path / "b.mp4", strip, codec="mjpeg", pixel_format="yuvj420p")
        index = dataset(tmp_path, [Clip("a", "a.mp4", "real"), Clip("b", "b.mp4", "fake", "a")])
        with Exploration(index, tmp_path / "out", LookSettings(sample=0)) as exploration:
            list(exploration.run())
            write_explore_page(index, exploration.rows(), LookSettings(sample=0), tmp_path / "page.html")
        assert (tmp_path / "page.html").stat().st_size > 5000

    def test_a_clip_that_vanishes_costs_only_its_row(self, tmp_path):
        write_video(tmp_path / "a.mp4", [pattern(i) for i in range(5)])
        index = dataset(tmp_path, [Clip("a", "a.mp4", "real"), Clip("b", "gone.mp4", "fake", "a")])
        with Exploration(index, tmp_path / "out", LookSettings(sample=0)) as exploration:
            statuses = [row["status"] for row in exploration.run()]
            (tmp_path / "a.mp4").unlink()  # after it was looked at
            rows = exploration.rows()
        assert statuses == ["ok", "unreadable"]
        assert rows[0]["media"]["frames"] == 5

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


def test_whole_numbers_fall_into_bins_of_equal_width():
    chart = distribution("Part", "", [(part, "real") for part in range(50)])
    assert {sum(bar.counts) for bar in chart.bars[:-1]} == {3}
    assert [bar.name for bar in chart.bars[:2]] == ["0 to 2", "3 to 5"]
    assert sum(sum(bar.counts) for bar in chart.bars) == 50


def test_what_is_rare_stands_together():
    clips = [Clip(f"c{i}", f"c{i}", "real", method=f"m{i:03d}") for i in range(100)]
    facts = summarise(dataset(Path(), clips), [blank_row(clip.id) for clip in clips], ())
    assert facts["groups"]["Method"][-1].name == "40 others"


def blank_row(name):
    return {"id": name, "status": "ok", "media": None, "frames": [], "faces": [], "asked": 0, "oddities": []}
