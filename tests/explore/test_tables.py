from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.explore.conftest import SETTINGS, dataset
from unmask.datasets import Clip
from unmask.explore.page import write_explore_page
from unmask.explore.records import ExploredClip
from unmask.explore.summary import summarise
from unmask.explore.suspicions import find_suspicions
from unmask.explore.tables import NOTEBOOK_COLUMNS, write_faces, write_videos


def test_videos(index, explored, tmp_path):
    _, clips = explored
    write_videos(index, clips, find_suspicions(index, clips), tmp_path / "v.parquet")
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
    siblings = Counter(clip.original for clip in index.clips)
    assert [row["count"] for row in by_id.values()] == [
        siblings[row["original"]] if row["original"] else None for row in by_id.values()
    ]
    for found in clips:
        row = by_id[found.id]
        assert (row["frames_without_face"] is None) == (not found.frames)
        if found.faces:
            boxes = np.array([vote.face.xyxy_px for vote in found.faces])
            assert row["face_width_px"] == pytest.approx((boxes[:, 2] - boxes[:, 0]).mean(), abs=0.01)
            assert row["face_height_px"] == pytest.approx((boxes[:, 3] - boxes[:, 1]).mean(), abs=0.01)
            assert row["frames_without_face"] == len(set(found.frames) - {vote.frame_index for vote in found.faces})


def test_fakes_are_counted_where_their_originals_are_not_there(tmp_path):
    """As in the notebook's own data: 400 clips, most of whose originals were not handed out with them."""
    clips = [Clip("a", "a.mp4", "fake", "gone"), Clip("b", "b.mp4", "fake", "gone"), Clip("c", "c.mp4", "fake", "lost")]
    clips.append(Clip("d", "d.mp4", "real"))
    index = dataset(tmp_path, clips)
    explored = [ExploredClip("", clip.id, "unreadable") for clip in clips]
    write_videos(index, explored, {}, tmp_path / "v.parquet")
    assert pq.read_table(tmp_path / "v.parquet")["count"].to_pylist() == [2, 2, 1, None]
    summary = summarise(index, explored, ("mtcnn",))
    assert [(bar.name, bar.counts[0]) for bar in summary.family_chart.bars] == [("0", 1), ("1", 1), ("2", 1)]
    assert (summary.without_original, summary.faults) == (3, [])


def test_faces(index, explored, tmp_path):
    _, clips = explored
    write_faces(index, clips, SETTINGS.detectors, tmp_path / "f.parquet")
    table = pq.read_table(tmp_path / "f.parquet").to_pylist()
    assert len(table) == sum(len(found.faces) for found in clips)
    assert {row["image"] for row in table} == {"output_0001.png", "output_0002.png", "output_0003.png"}
    both = [row for row in table if row["votes"] == 2]
    assert all(len(row["box_mtcnn"]) == len(row["box_haar"]) == 4 for row in both)
    assert all(len(row["landmarks"]) == 10 for row in both)


@pytest.mark.parametrize("number", [(1 << 24) + 1, 25_000_001, (1 << 31) + 1, (1 << 53) + 1, (1 << 63) - 1])
def test_no_number_that_a_file_may_claim_ends_the_run(explored, tmp_path, number):
    """A bit rate above 2^24 is no float32 to the last digit, and once ended the whole exploration."""
    _, clips = explored
    whole = next(found for found in clips if found.media and found.media.audio)
    odd = []
    for i in range(14):  # more than are counted one by one
        audio = replace(whole.media.audio, sample_rate_hz=number - i, bit_rate=number - i, frames=number - i)
        claims = {"bit_rate": number - i, "frames_claimed": number - i, "audio": audio, "start_seconds": -float(number)}
        media = replace(whole.media, **claims, frame_rate=float(number + i), duration_seconds=float(number))
        odd.append(replace(whole, id=f"odd{i}", media=media, frames=(), faces=()))
    index = dataset(tmp_path, [Clip(found.id, f"{found.id}.mp4", "real") for found in odd])
    write_videos(index, odd, find_suspicions(index, odd), tmp_path / "v.parquet")
    write_explore_page(index, odd, SETTINGS, tmp_path / "index.html")
    rows = pq.read_table(tmp_path / "v.parquet").to_pylist()
    assert [row["video_bit_rate"] for row in rows] == pytest.approx([number - i for i in range(14)], rel=1e-6)
    assert [row["frames_claimed"] for row in rows] == [number - i for i in range(14)]
