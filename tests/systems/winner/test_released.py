"""The faults of the winner's released code that `winner-exact` repeats."""

from dataclasses import replace

import av
import numpy as np
import pytest
from PIL import Image

from tests.media_factory import on_canvas, pattern, write_video
from unmask import UsageError, open_preset
from unmask.faces import load_detector
from unmask.media import open_video, read_frames
from unmask.systems.winner.released import HalfSizeDetector, StalledSampler
from unmask.types import DetectorSpec

pytestmark = pytest.mark.usefixtures("searched_once")


def test_a_short_clip(winner, exact, film):
    """Fewer than 32 frames: each once, or, as released, the first one only."""
    clip = film(20)
    assert [frame.index for frame in winner.scan(clip).frames] == list(range(20))
    with open_video(clip) as video:
        assert StalledSampler(32).pick(video).tolist() == [0]
    verdict = exact.scan(clip)
    assert (verdict.frames_asked, [frame.index for frame in verdict.frames]) == (1, [0])
    assert any("judged by its first one" in warning for warning in verdict.warnings)


def test_frames_that_the_header_promises(film):
    with open_video(film(40)) as video:
        lying = replace(video, facts=replace(video.facts, frames_claimed=80))
        assert StalledSampler(32).pick(video).tolist() == np.linspace(0, 39, 32).astype(int).tolist()
        assert StalledSampler(32).pick(lying).tolist() == [i for i in np.linspace(0, 79, 32).astype(int) if i < 40]


def test_a_single_face(winner, exact, film, tmp_path):
    """One face in the video: judged, or, as released, left without a number, which the CSV writes as 0.5."""
    clip = film(40, blank_from=1)
    verdict = winner.scan(clip)
    assert verdict.frames_with_faces == 1
    assert verdict.fake_probability == pytest.approx(verdict.frames[0].fake_probability)
    assert not verdict.warnings or "released" not in verdict.warnings[-1]
    verdict = exact.scan(clip)
    assert (verdict.status, verdict.label, verdict.fake_probability) == ("ok", "inconclusive", None)
    assert "released code" in verdict.reasons[0]
    assert verdict.save(tmp_path / "one.csv").read_text().splitlines()[1].endswith(",0.5")


def test_no_answer(winner, exact, tmp_path):
    """No face or no video: a status without a label or a number; the CSV alone says 0.5."""
    nobody = write_video(tmp_path / "nobody.mp4", map(pattern, range(40)))
    for path, status in ((nobody, "no_face"), (tmp_path / "missing.mp4", "unreadable")):
        for scanner in (winner, exact):
            verdict = scanner.scan(path)
            assert (verdict.status, verdict.label, verdict.fake_probability) == (status, None, None)
            assert verdict.save(tmp_path / "none.csv").read_text().splitlines()[1].endswith(",0.5")


@pytest.mark.slow
def test_more_faces_than_the_buffer_takes(winner, exact, film, monkeypatch):
    """Four people in 40 frames are 128 faces: all count, or, as released, the last one does not."""
    clip = film(40, people=4)
    assert len(winner.scan(clip).frames) == 128
    verdict = exact.scan(clip)
    assert len(verdict.frames) == 127
    assert "the last 1 faces were ignored" in verdict.warnings[-1]


@pytest.mark.slow
def test_of_an_ordinary_clip_the_same_is_seen(winner, exact, film):
    clip = film(40)
    one, other = winner.scan(clip), exact.scan(clip)
    assert [frame.index for frame in one.frames] == [frame.index for frame in other.frames]
    for a, b in zip(one.frames, other.frames, strict=True):
        assert a.xyxy_px == pytest.approx(b.xyxy_px, abs=1e-3)
    assert not any("released" in warning for warning in other.warnings)
    assert winner.settings_hash != exact.settings_hash


@pytest.mark.slow
@pytest.mark.parametrize(("spoilt", "seen"), [((8,), 32), ((10, 11), 30)])
def test_broken_frames_are_told(winner, exact, film, tmp_path, spoilt, seen):
    """One that the next one replaces, and two that are lost, where the released code judged concealed frames."""
    clip = spoil(film(40), tmp_path / "broken.avi", spoilt)
    assert len(winner.scan(clip).frames) == seen
    verdict = exact.scan(clip)
    assert len(verdict.frames) == seen
    assert "judged what its decoder showed in place of broken frames" in verdict.warnings[-1]
    assert "released" not in " ".join(winner.scan(clip).warnings)


def spoil(clip, path, numbers):
    """Copy a clip as JPEG frames, some of which are zeros."""
    with open_video(clip) as video, av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = video.facts.width, video.facts.height, "yuvj420p"
        for number, frame in enumerate(read_frames(video, np.arange(len(video.index)))):
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame.image_HW3, format="rgb24")):
                if number in numbers:
                    zeros = av.Packet(bytes(packet.size))
                    zeros.pts, zeros.dts, zeros.time_base = packet.pts, packet.dts, packet.time_base
                    zeros.stream, zeros.is_keyframe = stream, True
                    packet = zeros
                container.mux(packet)
    return path


def test_boxes_are_doubled(portrait):
    detection = DetectorSpec(scale=0.5, shrink="bicubic")
    odd = np.ascontiguousarray(on_canvas(portrait, (321, 321), (20, 20), 280))
    (face,), (ours,) = HalfSizeDetector(detection).detect(odd), load_detector(detection).detect(odd)
    half = np.asarray(Image.fromarray(odd).resize((160, 160)))  # as the released code does
    (small,) = load_detector(replace(detection, scale=1.0)).detect(half)
    assert face.xyxy_px == tuple(2 * edge for edge in small.xyxy_px)
    np.testing.assert_array_equal(face.landmarks_px, 2 * small.landmarks_px)
    assert ours.xyxy_px == pytest.approx([edge * 321 / 160 for edge in small.xyxy_px])


def test_an_exact_scan_does_not_stop_early(weights):
    with pytest.raises(UsageError, match="exact"):
        open_preset("winner-exact", weights, adaptive=True)
