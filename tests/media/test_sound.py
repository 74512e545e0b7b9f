import io

import av
import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import LimitError, UnsupportedError
from unmask.media import Limits, read_sound, sound


@pytest.fixture
def with_sound(tmp_path):
    return write_video(tmp_path / "v.mp4", map(pattern, range(10)), tone=True)


def test_sound_has_an_end(with_sound, monkeypatch):
    monkeypatch.setattr(sound, "MAX_SOUND_BYTES", 1000)
    with pytest.raises(LimitError, match="sound has more than"):
        read_sound(with_sound, Limits(isolate=False))


def test_a_silent_video_has_none(tmp_path):
    path = write_video(tmp_path / "v.mp4", map(pattern, range(3)))
    assert read_sound(path, Limits(isolate=False)) is None
    assert read_sound(path) is None


def test_sound_of_an_unknown_codec_cannot_be_copied(tmp_path):
    path = write_video(tmp_path / "v.mkv", map(pattern, range(10)), tone=True)
    content = path.read_bytes()
    assert content.count(b"A_AAC") == 1
    path.write_bytes(content.replace(b"A_AAC", b"A_XYZ"))
    with pytest.raises(UnsupportedError, match="its sound cannot be copied: the codec is unknown"):
        read_sound(path, Limits(isolate=False))


def test_sound_that_its_container_does_not_take_cannot_be_copied(with_sound, monkeypatch):
    monkeypatch.setitem(sound.CONTAINERS, "aac", ("wav", "flac"))
    with pytest.raises(UnsupportedError, match="its sound cannot be copied: "):
        read_sound(with_sound, Limits(isolate=False))


def test_sound_comes_as_it_was(with_sound):
    copied = read_sound(with_sound)
    assert copied.suffix == "m4a"
    with av.open(io.BytesIO(copied.content)) as copy, av.open(str(with_sound)) as original:
        assert [bytes(packet) for packet in copy.demux(audio=0)] == [bytes(one) for one in original.demux(audio=0)]


def test_a_file_of_sound_has_a_known_suffix():
    assert [sound.Sound(suffix, b"").suffix for suffix in ("mka", "ogg")] == ["mka", "ogg"]
    with pytest.raises(ValueError, match="'exe' is not one of a sound file"):
        sound.Sound("exe", b"")
