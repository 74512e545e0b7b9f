from pathlib import Path

import numpy as np
import pytest

from tests.evidence.label_files import AIGC, Content, write
from tests.explore.conftest import SETTINGS, dataset
from tests.media_factory import pattern, write_video
from unmask.datasets import Clip
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.records import ExploredClip
from unmask.explore.summary import distribution, summarise
from unmask.explore.suspicions import find_duplicates, find_suspicions
from unmask.explore.tables import write_videos


def test_counts(index, explored):
    _, clips = explored
    summary = summarise(index, clips, SETTINGS.detectors)
    assert summary.labels == {"real": 5, "fake": 6}
    assert summary.looked == 10
    assert summary.frames_looked == 30
    share = 6 / 11
    assert summary.constants["0.5 always"] == pytest.approx(np.log(2))
    (entropy,) = [value for name, value in summary.constants.items() if name != "0.5 always"]
    assert entropy == pytest.approx(-share * np.log(share) - (1 - share) * np.log(1 - share))
    mtcnn, haar = summary.detectors
    assert (mtcnn.frames_with_faces, mtcnn.frames_without_face) == (pytest.approx(27 / 30), 3)
    boxes = np.array([vote.faces["mtcnn"].xyxy_px for found in clips for vote in found.faces if "mtcnn" in vote.faces])
    assert mtcnn.mean_width_px == pytest.approx((boxes[:, 2] - boxes[:, 0]).mean())
    assert mtcnn.mean_height_px == pytest.approx((boxes[:, 3] - boxes[:, 1]).mean())
    titles = [chart.title for chart in summary.face_charts]
    assert titles == ["Faces in a video", "Faces in a frame", "Width of a face", "Height of a face", "Confidence"]
    assert sum(sum(bar.counts) for bar in summary.face_charts[0].bars) == summary.looked
    assert 0 < haar.confirmed <= 1
    assert len(summary.broken) == 1


def test_few_values_are_counted_one_by_one():
    chart = distribution("Width", "pixels", [(640, "real"), (640, "fake"), (320, None), (None, "real")])
    assert [(bar.name, bar.counts) for bar in chart.bars] == [("320", (0, 0, 1)), ("640", (1, 1, 0))]
    assert chart.highest == 2


def test_many_values_fall_into_bins():
    chart = distribution("Rate", "", [(float(i), "real") for i in range(100)] + [(99.0, "fake")])
    assert len(chart.bars) == 20
    assert sum(sum(bar.counts) for bar in chart.bars) == 101
    assert chart.bars[-1].counts == (5, 1, 0)
    assert chart.bars[0].name == "0 to 4.95"


def test_an_empty_chart():
    assert distribution("x", "", []).bars == ()
    assert distribution("x", "", []).highest == 1


def test_suspicions(tmp_path):
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
    with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
        list(exploration.run())
        clips = exploration.clips()
    odd = find_suspicions(index, clips)
    assert odd["silent"] == ["silent, while nearly all others have sound"]
    assert odd["short"] == ["only 0.10 s long"]
    assert odd["small"] == ["frames of 64x64, its original's are 160x96: the pair is not aligned"]
    assert odd["copy"] == ["the same file as its original", "the same file is labelled real and fake"]
    assert odd["sound0"] == ["the same file is labelled real and fake"]
    assert set(odd) == {"silent", "short", "small", "copy", "sound0"}
    assert find_duplicates(clips) == [["sound0", "copy"]]


def test_what_files_declare_is_counted_and_stands_in_the_table(tmp_path):
    content = {"a.mkv": Content({"AIGC": AIGC}), "b.mkv": Content({}), "c.mkv": Content({"software": "CapCut"})}
    for name, each in content.items():
        write(tmp_path / name, each)
    index = dataset(tmp_path, [Clip("a", "a.mkv", "fake"), Clip("b", "b.mkv", "real"), Clip("c", "c.mkv", "fake")])
    with Exploration(index, tmp_path / "out", ExploreSettings(sample=0)) as exploration:
        clips = list(exploration.run())
    bars = summarise(index, clips, ()).media_values["Declared by the file"]
    assert {bar.name: bar.counts for bar in bars} == {
        "generated (aigc)": (0, 1, 0), "edited (program)": (0, 1, 0), "nothing": (1, 0, 0),
    }  # fmt: skip
    write_videos(index, clips, {}, tmp_path / "videos.parquet")
    table = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "videos.parquet")
    assert table["declared"].to_pylist() == [["aigc: generated"], [], ["program: edited"]]


def test_whole_numbers_fall_into_bins_of_equal_width():
    chart = distribution("Part", "", [(part, "real") for part in range(50)])
    assert {sum(bar.counts) for bar in chart.bars[:-1]} == {3}
    assert [bar.name for bar in chart.bars[:2]] == ["0 to 2", "3 to 5"]
    assert sum(sum(bar.counts) for bar in chart.bars) == 50


def test_what_is_rare_stands_together():
    clips = [Clip(f"c{i}", f"c{i}", "real", method=f"m{i:03d}") for i in range(100)]
    summary = summarise(dataset(Path(), clips), [ExploredClip("", clip.id) for clip in clips], ())
    assert summary.groups["Method"][-1].name == "40 others"
