"""A folder's videos are found whatever they are called, and what is passed over is told."""

import shutil

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.media_factory import pattern, write_sound, write_video
from unmask.cli import app
from unmask.scan.inputs import list_inputs, survey_inputs

pytestmark = pytest.mark.usefixtures("searched_once")


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


FORMATS = {
    "f4v": ("mp4", "libx264"), "3g2": ("3gp", "libx264"), "divx": ("avi", "mpeg4"), "vob": ("vob", "mpeg2video"),
    "asf": ("asf", "msmpeg4"), "qt": ("mov", "libx264"), "m2v": ("m2v", "mpeg2video"), "mpe": ("mpg", "mpeg2video"),
    "mk3d": ("mkv", "libx264"), "m2t": ("ts", "mpeg2video"), "3gpp": ("3gp", "libx264"), "h264": ("h264", "libx264"),
}  # fmt: skip


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for suffix, (form, codec) in FORMATS.items():
        made = write_video(folder / f"_.{form}", map(pattern, range(12)), codec=codec, rate=25)
        made.rename(folder / f"clip.{suffix}")
    return folder


def test_more_suffixes_are_taken_and_decoded(videos, scanner):
    verdicts = list(scanner.scan_many(videos))
    assert sorted(verdict.path.rpartition(".")[2] for verdict in verdicts) == sorted(FORMATS)
    assert {verdict.status for verdict in verdicts} == {"no_face"}


@pytest.fixture
def mixed(tmp_path, short_clips):
    """A folder with a video of every kind of name, and what is no video."""
    shutil.copy(short_clips["authentic"], tmp_path / "named.mp4")
    shutil.copy(short_clips["authentic"], tmp_path / "carved")
    shutil.copy(short_clips["authentic"], tmp_path / "download.bin")
    shutil.copy(short_clips["authentic"], tmp_path / ".hidden")
    write_sound(tmp_path / "track.m4a").rename(tmp_path / "track.dat")
    write_sound(tmp_path / "song.m4a")
    for name in ("a.jpg", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((9, 9, 3), np.uint8))
    (tmp_path / "a.jpg").rename(tmp_path / "photo")
    for name in ("notes.txt", "more.txt", "README", ".DS_Store"):
        (tmp_path / name).write_text("text")
    (tmp_path / "below" / "deep").mkdir(parents=True)
    shutil.copy(short_clips["authentic"], tmp_path / "below" / "c.mp4")
    (tmp_path / "below" / "x.webp").write_bytes(b"RIFF0000WEBP")
    return tmp_path


def test_a_folder_says_what_was_passed_over(mixed):
    done = unmask("scan", mixed, "--frames", 1)
    lines = [line for line in done.stderr.splitlines() if "passed over" in line]
    told = "2 images (name them to have them judged), 2 sound files, 3 other files (.txt, without suffix), "
    told += "1 folder (-r looks into them)"
    assert lines == [f"unmask: passed over: {told}"]
    names = ("carved", "download.bin", "named.mp4")
    assert [line.split()[2].rpartition("/")[2] for line in done.stdout.splitlines()] == list(names)
    assert "passed over" not in unmask("scan", mixed, "--frames", 1, "-q").stderr
    assert "passed over" not in unmask("scan", mixed / "named.mp4", "--frames", 1).stderr


def test_looking_deeper(mixed):
    listing = survey_inputs([str(mixed)], recursive=True)
    assert [item.name for item in listing.items] == ["carved", "download.bin", "named.mp4", "below/c.mp4"]
    assert (listing.images, listing.sounds, listing.folders) == (3, 2, 0)
    assert listing.others == ((".txt", 2), ("", 1))


def test_a_link_is_not_followed_to_be_looked_at(tmp_path, short_clips):
    (tmp_path / "link").symlink_to(short_clips["authentic"])
    assert list_inputs([tmp_path]) == []
    assert [item.name for item in list_inputs([tmp_path], follow_links=True)] == ["link"]


def test_a_folder_without_videos_says_what_it_holds(tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((9, 9, 3), np.uint8))
    done = unmask("scan", tmp_path)
    assert done.exit_code == 2
    assert "passed over: 1 image (name" in done.stderr
    assert "no video found" in done.stderr


@pytest.mark.parametrize("suffix", ["bmp", "tiff"])
def test_a_picture_that_is_not_read_gets_a_plain_sentence(tmp_path, suffix, portrait):
    for name in (f"photo.{suffix}", "photo.mp4"):
        path = tmp_path / name
        path.write_bytes(cv2.imencode(f".{suffix}", portrait)[1].tobytes())
        done = unmask("scan", path)
        assert done.stdout.startswith("unsupported")
        assert "this image format is not read; convert the file to JPEG or PNG" in done.stdout
