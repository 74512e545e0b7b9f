import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import LimitError
from unmask.media import Limits, read_sound, sound


@pytest.fixture
def with_sound(tmp_path):
    return write_video(tmp_path / "v.mp4", map(pattern, range(10)), tone=True)


def test_sound_has_an_end(with_sound, monkeypatch):
    monkeypatch.setattr(sound, "MAX_SOUND_BYTES", 1000)
    with pytest.raises(LimitError, match="sound has more than"):
        read_sound(with_sound, Limits(isolate=False))
