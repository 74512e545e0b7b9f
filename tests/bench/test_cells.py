import shutil

import numpy as np
import pytest
from PIL import Image

from tests.media_factory import pattern, write_sound, write_video
from unmask.bench import open_dataset
from unmask.bench.cells import DEEPERFORENSICS, GOALS, all_cells, chosen_cells, on_a_desktop
from unmask.bench.metamorphic import RELATIONS
from unmask.bench.rewriting import moov_is_first, remux
from unmask.errors import InputError, UsageError
from unmask.media import open_video, read_frames

CELLS = {cell.name: cell for cell in all_cells()}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Five frames at times of their own, with sound."""
    path = tmp_path_factory.mktemp("cells") / "clip.mp4"
    images = [np.repeat(np.repeat(pattern(i, (40, 32)), 8, 0), 8, 1) for i in range(5)]
    return write_video(path, images, times=[0, 40, 80, 200, 240], tone=False)


def frames_of(path):
    with open_video(path) as video:
        return list(read_frames(video, np.arange(len(video.index))))


def test_the_grid_is_whole():
    families = {}
    for cell in CELLS.values():
        families.setdefault(cell.family, []).append(cell.level)
    assert all(families[name] == [1, 2, 3, 4, 5] for name in (*DEEPERFORENSICS, "jpeg"))
    assert families["h264"] == families["platforms"] == [1, 2, 3]
    assert {"hevc", "vp9", "av1", "screen", "caption"} < families.keys()
    assert [CELLS[f"blur {level}"].goal for level in range(1, 6)] == list(GOALS) == [0.01, 0.02, 0.05, 0.08, 0.12]
    assert CELLS["jpeg 1"].goal is None


@pytest.mark.parametrize(
    "name", ["noise 5", "h264 3", "hevc 1", "vp9 1", "av1 1", "platforms 3", "caption 1", "screen 1"]
)
def test_a_copy_has_the_same_frames_at_the_same_times(name, clip, tmp_path):
    copied = frames_of(CELLS[name].copy(clip, tmp_path))
    assert [frame.time_seconds for frame in copied] == pytest.approx([0, 0.04, 0.08, 0.2, 0.24], abs=2e-3)
    plain = frames_of(clip)[2].image_HW3
    smaller = name.startswith("platforms")
    assert (copied[2].image_HW3.shape[0] < plain.shape[0]) == smaller
    if not smaller:
        assert (copied[2].image_HW3 != plain).any()


def test_the_same_clip_gets_the_same_chance():
    image = np.full((256, 320, 3), 90, np.uint8)
    for name in ("blocks 5", "noise 1", "caption 1"):
        one, same, other = (CELLS[name].steps(seed)[0].filter for seed in (1, 1, 2))
        first = one(image)
        assert (first == same(image)).all()
        assert (first != other(image)).any()
        assert (one(image) == first).all() == (name == "caption 1")  # a caption stays, noise is drawn for each frame


def test_h264_is_coarser_by_level(clip, tmp_path):
    sizes = []
    for level in (1, 2, 3):
        folder = tmp_path / str(level)
        folder.mkdir()
        sizes.append(CELLS[f"h264 {level}"].copy(clip, folder).stat().st_size)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[2]


def test_a_recorded_screen_shows_the_frame_smaller():
    image = np.full((240, 320, 3), 255, np.uint8)
    screen = on_a_desktop(image)
    assert screen.shape == image.shape
    assert (screen == 255).all(2).sum() == 180 * 240
    assert screen[0, 0].tolist() == [38, 42, 56]


def test_cells_are_chosen_by_name_or_family():
    assert [cell.name for cell in chosen_cells(["blur 3", "h264"])] == ["blur 3", "h264 1", "h264 2", "h264 3"]
    assert len(chosen_cells([])) == len(CELLS)
    with pytest.raises(UsageError, match=r"unknown cell 'fog'; use one of saturation, .*caption"):
        chosen_cells(["fog"])


@pytest.mark.parametrize("name", ["renamed", "other container", "in Matroska", "moved moov", "added sound"])
def test_what_leaves_the_packets_alone_leaves_every_frame(name, clip, tmp_path):
    copy = RELATIONS[name].copy(clip, tmp_path)
    assert RELATIONS[name].tolerance == (0.001 if name == "in Matroska" else 0)
    before, after = frames_of(clip), frames_of(copy)
    assert all((a.image_HW3 == b.image_HW3).all() for a, b in zip(before, after, strict=True))
    assert [a.time_seconds for a in after] == pytest.approx([b.time_seconds for b in before], abs=1e-3)
    assert (copy.name != clip.name) or name == "moved moov"
    if name == "moved moov":
        assert moov_is_first(copy) != moov_is_first(clip)


def test_what_shows_the_same_shows_the_same(clip, tmp_path):
    before = frames_of(clip)[3].image_HW3.astype(int)
    mirrored = frames_of(RELATIONS["mirrored"].copy(clip, tmp_path))[3].image_HW3
    assert np.abs(mirrored[:, ::-1] - before).mean() < 3
    (tmp_path / "t").mkdir()
    turned = frames_of(RELATIONS["turned in the file"].copy(clip, tmp_path / "t"))[3].image_HW3
    assert turned.shape == before.shape
    assert np.abs(turned - before).mean() < 3


def test_folders_of_frames_are_clips(clip, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, frame in enumerate(frames_of(clip)):
        Image.fromarray(frame.image_HW3).save(folder / f"{number}.png")
    copied = frames_of(CELLS["h264 1"].copy(folder, tmp_path))
    assert len(copied) == 5
    assert np.abs(copied[4].image_HW3.astype(int) - frames_of(clip)[4].image_HW3).mean() < 5
    assert sorted(path.name for path in RELATIONS["renamed"].copy(folder, tmp_path).iterdir())[0] == "0.png"
    for name in ("moved moov", "added sound"):
        with pytest.raises(UsageError):
            RELATIONS[name].copy(folder, tmp_path)
    for label in ("real", "fake"):
        shutil.copytree(folder, tmp_path / "tree" / label / "clip")
    one, same = (open_dataset("d", tmp_path / "tree") for _ in range(2))
    assert [found.sha256 is None for found in one.clips] == [False, False]
    (tmp_path / "tree" / "real" / "clip" / "0.png").write_bytes((folder / "1.png").read_bytes())
    assert one.sha256 == same.sha256 != open_dataset("d", tmp_path / "tree").sha256


def test_what_cannot_be_copied_is_told(tmp_path):
    sound = write_sound(tmp_path / "sound.mp4")
    with pytest.raises(InputError):
        CELLS["blur 1"].copy(sound, tmp_path)
    (tmp_path / "text.mkv").write_text("no media")
    with pytest.raises(UsageError, match="do not fit into"):
        remux(tmp_path / "text.mkv", tmp_path / "c.mp4")
    with pytest.raises(UsageError, match="no MP4 with an index"):
        moov_is_first(tmp_path / "text.mkv")
