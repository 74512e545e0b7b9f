import hashlib

import cv2
import numpy as np
import pytest

from tests.media_factory import number_of, pattern, write_video
from unmask import UsageError
from unmask.errors import LimitError, UnreadableError
from unmask.media import Limits, open_frames_folder, read_frames, video_of_arrays
from unmask.media.frame_list import frames_of_folder, hash_frames, open_clip


def write_frames(folder, names):
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        cv2.imwrite(str(folder / name), pattern(number, (160, 96))[:, :, ::-1])
    return folder


def read(folder, **options):
    with open_frames_folder(folder, Limits(), **options) as video:
        return video, list(read_frames(video, np.arange(len(video.index))))


def test_frames_come_in_the_order_of_their_numbers(tmp_path):
    names = ["1.png", "2.png", "9.png", "10.png", "100.png"]
    folder = write_frames(tmp_path, names)
    (folder / "labels.txt").write_text("not a frame")
    video, frames = read(folder)
    assert [number_of(frame.image_HW3) for frame in frames] == list(range(5))
    assert [frame.time_seconds for frame in frames] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])
    assert (video.facts.frames, video.facts.container) == (5, "folder of 5 pictures (PNG)")
    assert video.facts.duration_seconds == pytest.approx(0.2)
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names]
    assert video.facts.sha256 == hashlib.sha256("".join(lines).encode()).hexdigest(), "as sha256sum prints them"


def test_a_picture_that_cannot_be_read_is_a_frame_less(tmp_path):
    folder = write_frames(tmp_path, ["0.png", "1.png", "2.png"])
    (folder / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    _, frames = read(folder)
    assert [frame.index for frame in frames] == [1, 2]


def test_links_are_not_followed_unless_asked(tmp_path):
    inside = write_frames(tmp_path / "frames", ["0.png"])
    outside = write_frames(tmp_path / "elsewhere", ["1.png"])
    (inside / "1.png").symlink_to(outside / "1.png")
    assert len(read(inside)[1]) == 1
    assert len(read(inside, follow_links=True)[1]) == 2


def test_a_folder_without_pictures_is_unreadable(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UnreadableError, match="folder"):
            read(folder)


def test_arrays_are_a_video():
    images = [pattern(number) for number in range(4)]
    video = video_of_arrays(images, [5, 5.5, 6, 7])
    frames = list(read_frames(video, np.array([1, 3])))
    assert [number_of(frame.image_HW3) for frame in frames] == [1, 3]
    assert [(frame.index, frame.time_seconds) for frame in frames] == [(1, 0.5), (3, 2.0)]
    stacked = video_of_arrays(np.stack(images), None)
    assert stacked.facts.sha256 == video.facts.sha256
    facts = stacked.facts
    assert (facts.container, facts.codec, facts.pixel_format) == ("arrays in memory", "rawvideo", "rgb24")
    assert (facts.width, facts.height, facts.size_bytes) == (*images[0].shape[1::-1], 4 * images[0].nbytes)
    assert (facts.frames, facts.duration_seconds, facts.is_picture) == (4, pytest.approx(0.16), False)
    assert (facts.sample_aspect_ratio, facts.rotation_degrees, facts.mirrored, facts.cut_short) == (1, 0, False, False)
    assert stacked.index.times_seconds.tolist() == pytest.approx([0, 0.04, 0.08, 0.12])
    assert video_of_arrays(images[:1], None).facts.is_picture


@pytest.mark.parametrize(
    ("frames", "times", "message"),
    [
        ([], None, "no frames"),
        ([np.zeros((9, 9), np.uint8)], None, r"frame 0 is \(9, 9\) uint8"),
        ([np.zeros((9, 9, 3), np.float32)], None, "float32"),
        (["a.png"], None, "frame 0 is str"),
        ([pattern(0)] * 2, [0], "2 rising seconds"),
        ([pattern(0)] * 2, [1, 1], "rising"),
        ([pattern(0)] * 2, [0, float("nan")], "rising"),
    ],
)
def test_arrays_of_another_form_are_refused(frames, times, message):
    with pytest.raises(UsageError, match=message):
        video_of_arrays(frames, times)


def test_a_clip_of_a_dataset_is_a_file_or_a_folder(tmp_path):
    folder = write_frames(tmp_path / "frames", ["0.png", "1.png"])
    checks = []
    with open_clip(folder, Limits(isolate=False), check=lambda: checks.append(1)) as video:
        assert (video.facts.frames, video.facts.sha256) == (2, hash_frames(folder))
    assert checks
    with open_clip(write_video(tmp_path / "a.mp4", map(pattern, range(3))), Limits(isolate=False)) as video:
        assert (video.facts.frames, video.facts.codec) == (3, "h264")


def test_a_folder_has_so_many_pictures_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr("unmask.media.frame_list.MAX_FRAMES", 2)
    folder = write_frames(tmp_path, ["0.png", "1.png"])
    assert len(read(folder)[1]) == 2
    write_frames(tmp_path, ["2.png"])
    with pytest.raises(LimitError, match="holds 3 pictures; at most 2 are read"):
        read(folder)


def test_where_no_picture_can_be_read_the_first_one_says_why(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    (tmp_path / "2.png").write_bytes(b"nothing")
    with pytest.raises(UnreadableError, match="the file is empty"):
        read(tmp_path)


def test_hidden_files_are_no_frames_and_names_are_in_the_order_of_their_numbers(tmp_path):
    names = ["a2.png", "a10.png", "b1.png", "2b.png", "02.png", "2.png", "10.png", "a.png"]
    write_frames(tmp_path, [*names, ".hidden.png"])
    order = ["a2.png", "a10.png", "a.png", "b1.png", "02.png", "2.png", "2b.png", "10.png"]
    assert [path.name for path in frames_of_folder(tmp_path)] == order
