import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import UnreadableError, UsageError
from unmask.media import Limits, open_video, pick_frames, read_frames, read_sound, sample_frames, sound
from unmask.media.server import CAN_ISOLATE


def test_the_same_frames_as_without(clips):
    with open_video(clips["blended"]) as video, open_video(clips["blended"], Limits(isolate=False)) as here:
        assert video.facts == here.facts
        wanted = pick_frames(video, 8)
        for a, b in zip(read_frames(video, wanted), read_frames(here, wanted), strict=True):
            assert (a.index, a.time_seconds) == (b.index, b.time_seconds)
            assert (a.image_HW3 == b.image_HW3).all()


def test_frames_stay_when_others_follow(clips):
    frames = list(sample_frames(clips["blended"], 8))
    again = [frame.image_HW3.copy() for frame in sample_frames(clips["blended"], 8)]
    assert all((a.image_HW3 == b).all() for a, b in zip(frames, again, strict=True))


@pytest.mark.skipif(not CAN_ISOLATE, reason="this platform cannot fork")
def test_sound_is_copied_elsewhere(tmp_path, monkeypatch):
    with_sound = write_video(tmp_path / "v.mp4", map(pattern, range(10)), tone=True)
    here = read_sound(with_sound, Limits(isolate=False))
    assert here.suffix == "m4a"
    monkeypatch.setattr(sound, "open_container", None)  # the server that decodes has its own
    assert read_sound(with_sound) == here


def test_nonsense_is_refused(tmp_path):
    path = write_video(tmp_path / "clip.mp4", map(pattern, range(3)))
    with pytest.raises(UsageError, match="at least 1"):
        next(sample_frames(path, 0))
    with pytest.raises(UsageError, match="time, reference"):
        next(sample_frames(path, 3, "random"))
    with pytest.raises(UnreadableError, match="No such file"):
        next(sample_frames(tmp_path / "missing.mp4", 3))
