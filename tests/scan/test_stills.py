from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.cli.test_scan import unmask
from unmask.errors import UsageError
from unmask.media import open_video, read_frames
from unmask.models import Thresholds
from unmask.scan.inputs import clip_folders
from unmask.scan.stills import MARGIN_LOGITS, picture_card


def logit(p):
    return np.log(p / (1 - p))


def test_the_band_is_wider_for_pictures(scanner):
    card = scanner.cards[0]
    wider = picture_card(card)
    assert wider.fusion.min_frames == 1
    for name, sign in (("real_below", -1), ("fake_above", 1)):
        moved = logit(getattr(wider.thresholds, name)) - logit(getattr(card.thresholds, name))
        assert moved == pytest.approx(sign * MARGIN_LOGITS, abs=0.02)
    edges = Thresholds(0, 1)
    assert picture_card(replace(card, thresholds=edges)).thresholds == edges


@pytest.fixture(scope="module")
def pictures(tmp_path_factory, portrait, blended):
    folder = tmp_path_factory.mktemp("pictures")
    for name, image_HW3 in (("authentic.jpg", portrait), ("blended.png", blended)):
        cv2.imwrite(str(folder / name), image_HW3[:, :, ::-1])
    return folder


def test_a_picture_is_judged_and_says_that_it_is_one(scanner, pictures):
    verdict = scanner.scan(pictures / "blended.png")
    assert (verdict.status, verdict.label, verdict.frames_decoded) == ("ok", "fake", 1)
    assert verdict.warnings[0].startswith("One picture tells less than a clip")
    assert verdict.settings["thresholds"]["fake_above"] > scanner.cards[0].thresholds.fake_above
    assert verdict.settings["hash"] == scanner.settings_hash
    assert "over 1 frame (" in verdict.reasons[0]
    assert len(verdict.pictures[0].strip) == 1


def test_an_open_answer_about_a_picture_advises_what_fits(scanner, pictures):
    verdict = scanner.scan(pictures / "authentic.jpg")
    assert verdict.label in ("inconclusive", "real")
    assert verdict.label != "real" or verdict.fake_probability <= verdict.settings["thresholds"]["real_below"]
    assert not any("--frames" in reason for reason in verdict.reasons)


def test_pictures_on_the_command_line(pictures):
    done = unmask("scan", *sorted(pictures.iterdir()))
    assert done.exit_code == 0
    assert [line.split()[0] for line in done.stdout.splitlines()][1] == "fake"
    assert "One picture tells less than a clip" in done.stderr


def test_folders_of_frames_are_found_below_a_folder(tmp_path):
    for name in ("real/a/1.png", "real/a/2.png", "fake/b/1.png", "fake/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = clip_folders([tmp_path], recursive=True)
    assert [(item.name, item.is_frames) for item in found] == [("b", True), ("a", True)]
    with pytest.raises(UsageError, match=r"no folder in .* holds films"):
        clip_folders([tmp_path], recursive=True, pieces=True)


def test_a_folder_of_frames_is_one_clip(scanner, short_clips, tmp_path):
    with open_video(short_clips["blended"]) as video:
        frames = list(read_frames(video, np.arange(10)))
    for frame in frames:
        cv2.imwrite(str(tmp_path / f"{frame.index}.png"), frame.image_HW3[:, :, ::-1])
    (verdict,) = scanner.scan_many(clip_folders([tmp_path]))
    clip = scanner.scan(short_clips["blended"])
    assert (verdict.label, verdict.frames_decoded) == ("fake", 10)
    assert verdict.fake_probability == pytest.approx(clip.fake_probability, abs=1e-3)
    arrays = scanner.scan_frames([frame.image_HW3 for frame in frames], [frame.time_seconds for frame in frames])
    assert arrays.fake_probability == pytest.approx(clip.fake_probability, abs=1e-3)
    assert (arrays.path, arrays.sha256) == ("frames", arrays.media.sha256)
    done = unmask("scan", "--frames-folder", tmp_path, "--frames", 8)
    assert (done.exit_code, done.stdout.split()[0]) == (0, "fake")


def test_frames_folder_takes_folders_alone(short_clips):
    done = unmask("scan", "--frames-folder", short_clips["blended"])
    assert done.exit_code == 2
    assert "is no folder" in done.stderr


def test_a_picture_that_is_cut_short_is_judged_with_a_warning(scanner, pictures, tmp_path):
    content = (pictures / "authentic.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: int(0.9 * len(content))])
    verdict = scanner.scan(tmp_path / "cut.jpg")
    assert (verdict.status, verdict.frames_asked) == ("ok_partial", 1)
    assert any(text.startswith("The picture is cut short: ") for text in verdict.warnings)
    assert not any("cut short" in text for text in scanner.scan(pictures / "authentic.jpg").warnings)


def test_a_picture_without_a_face_is_told_so_in_its_own_words(scanner, tmp_path):
    cv2.imwrite(str(tmp_path / "nobody.png"), np.full((120, 160, 3), 90, np.uint8))
    (reason,) = scanner.scan(tmp_path / "nobody.png").reasons
    assert reason.startswith("No face was found in the picture. ")
