import os
import shutil

import numpy as np
import pytest

from tests.media_factory import pattern, write_video
from unmask.errors import UnreadableError
from unmask.media import probe


def broken_files(folder):
    (folder / "empty.mp4").touch()
    (folder / "byte.mp4").write_bytes(b"\0")
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(50_000))
    (folder / "text.mp4").write_text("not a video\n" * 100)
    whole = write_video(folder / "whole.mp4", map(pattern, range(30)))
    (folder / "no_moov.mp4").write_bytes(whole.read_bytes().split(b"moov")[0])
    (folder / "cut_in_first_frame.mkv").write_bytes(
        write_video(folder / "whole.mkv", map(pattern, range(30)), options={"crf": "1"}).read_bytes()[:1500]
    )
    (folder / "folder.mp4").mkdir()
    os.mkfifo(folder / "pipe.mp4")
    return [
        "empty.mp4",
        "byte.mp4",
        "noise.mp4",
        "text.mp4",
        "no_moov.mp4",
        "cut_in_first_frame.mkv",
        "folder.mp4",
        "pipe.mp4",
    ]


def test_broken_files_are_unreadable(tmp_path):
    for name in broken_files(tmp_path):
        with pytest.raises(UnreadableError):
            probe(tmp_path / name)


def test_any_file_name(tmp_path):
    whole = write_video(tmp_path / "whole.mp4", map(pattern, range(5)))
    for name in (b"\xff\xfe.mp4", b"new\nline.mp4", b"%03d.mp4", b"http:__x.mp4", b"<b>&amp;.mp4"):
        copy = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        shutil.copy(whole, copy)
        assert probe(copy).frames == 5
