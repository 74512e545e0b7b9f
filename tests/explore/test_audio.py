import av
import pytest

from tests.media_factory import pattern, write_sound, write_video
from unmask.errors import NoVideoError
from unmask.explore.audio import copy_audio


def test_sound_is_copied_as_it_is(index, explored, tmp_path):
    out, clips = explored
    with_sound = [found.id for found in clips if found.media and found.media.audio]
    assert sorted(path.stem for path in (out / "audio").iterdir()) == with_sound
    clip = next(clip for clip in index.clips if clip.id == with_sound[0])
    packets = []
    for path in (index.path_of(clip), out / "audio" / f"{clip.id}.m4a"):
        with av.open(str(path)) as container:
            packets.append([bytes(packet) for packet in container.demux(audio=0) if packet.size])
    assert packets[0] == packets[1]


def test_a_sound_file_is_no_video(tmp_path):
    with pytest.raises(NoVideoError):
        copy_audio(write_sound(tmp_path / "a.mp4"), tmp_path / "out", "a")
    silent = write_video(tmp_path / "v.mp4", [pattern(0)] * 3)
    assert copy_audio(silent, tmp_path / "out", "v") is None
    assert not (tmp_path / "out").exists()
