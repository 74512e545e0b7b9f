"""The whole of RobustForensics on tiny networks of random weights: from videos to the challenge's table."""

from dataclasses import replace

import numpy as np
import pytest

from tests.media_factory import on_canvas, pattern, write_video
from unmask import ModelError, UsageError
from unmask.models import Card
from unmask.report import write_csv
from unmask.systems.robustforensics.members import MEMBERS, Member
from unmask.systems.robustforensics.rules import fuse_members
from unmask.systems.robustforensics.scanner import RobustScanner
from unmask.types import CropSpec, DetectorSpec

SMALL = (
    Member("clips", "video", "", 10, 48),
    Member("stills", "image", "", 10, 56, mirrored=True),
    Member("shrunk", "image", "", 4, 48, shrunk=True),
)
pytestmark = pytest.mark.usefixtures("searched_once")
MTCNN = DetectorSpec(thresholds=(0.6, 0.7, 0.8))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of two networks, with outputs that differ from 0.5."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from tests.shallow import shallow_encoders
    from unmask.models.networks import SlowFast, TwoClass
    from unmask.models.networks.export import export_model

    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("models")
    with shallow_encoders():
        networks = {"clips": SlowFast((1, 1, 1, 1), width=16), "shrunk": TwoClass("test_efficientnet", bgr=True)}
        networks["stills"] = TwoClass("test_efficientnet")
    for member in SMALL:
        network = networks[member.name]
        torch.nn.init.normal_(network.fc.weight, std=2.0)
        torch.nn.init.constant_(network.fc.bias[1:], 0.3)
        card = Card(member.name, "1", "Tests.", "tiny", "none", CropSpec(size_px=member.side_px), {}, precision="fp32")
        export_model(network, folder / member.name, card)
    return {member.name: folder / member.name for member in SMALL}


@pytest.fixture(scope="module")
def robust(models):
    return RobustScanner(models, members=SMALL, detection=MTCNN, precision="fp32")


@pytest.fixture(scope="module")
def two_people(tmp_path_factory, portrait):
    """25 frames in which one person moves and another stands still."""
    pictures = []
    for step in range(25):
        canvas = np.full((200, 400, 3), 110, np.uint8)
        canvas[4:184, 4 + step : 184 + step] = on_canvas(portrait[:256, 96:352], (180, 180), (0, 0), 180)
        canvas[4:184, 215:395] = on_canvas(portrait[:256, 96:352], (180, 180), (0, 0), 180)
        pictures.append(canvas)
    return write_video(tmp_path_factory.mktemp("video") / "two.mp4", pictures, rate=25, options={"crf": "18"})


def test_from_a_video_to_a_verdict(robust, two_people):
    verdict = robust.scan(two_people)
    assert (verdict.status, verdict.warnings) == ("ok", ())
    assert (verdict.frames_asked, verdict.frames_decoded, verdict.frames_with_faces) == (25, 25, 25)
    assert len(verdict.faces) == 2
    for face in verdict.faces:
        assert set(face.models) == {"clips", "stills", "shrunk"}
        assert face.fake_probability == pytest.approx(
            fuse_members(face.models | {"shrunk": face.models["shrunk"]}, SMALL), abs=0.02
        )
        assert face.thumbnail_jpeg.startswith(b"\xff\xd8")
    assert {frame.index for frame in verdict.frames} == set(range(25))
    assert "3 models together give 2 people" in verdict.reasons[0]
    assert verdict.settings["system"] == "robustforensics"
    assert robust.scan(two_people).to_dict() == verdict.to_dict()


def test_from_videos_to_the_challenges_table(robust, two_people, tmp_path):
    write_video(tmp_path / "none.mp4", map(pattern, range(10)))
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    paths = [two_people, tmp_path / "none.mp4", tmp_path / "broken.mp4"]
    verdicts = list(robust.scan_many(paths))
    assert [verdict.status for verdict in verdicts] == ["ok", "no_face", "unreadable"]
    rows = [(path.name, verdict.fake_probability) for path, verdict in zip(paths, verdicts, strict=True)]
    assert write_csv(rows, tmp_path / "submission.csv") == 2
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    assert lines[0] == "filename,label"
    assert float(lines[1].split(",")[1]) == verdicts[0].fake_probability
    assert lines[2:] == ["none.mp4,0.5", "broken.mp4,0.5"]


def test_what_the_models_are_shown(robust, two_people, monkeypatch):
    """Every frame of a tube as a clip; of 25 frames 25 stills, mirrored ones too, all of the models' own size."""
    seen = {"clips": [], "stills": [], "shrunk": []}
    for name, network in robust._networks.items():
        honest = network.score

        def score(crops, name=name, honest=honest):
            seen[name].append(crops)
            return honest(crops)

        monkeypatch.setattr(network, "score", score)
    robust.scan(two_people)
    assert [crops.shape for crops in seen["clips"]] == [(1, 25, 48, 48, 3)] * 2
    assert [crops.shape for crops in seen["stills"]] == [(25, 56, 56, 3)] * 4
    assert np.array_equal(seen["stills"][0][:, :, ::-1], seen["stills"][1])
    assert np.array_equal(seen["shrunk"][0], seen["clips"][0][0])


def test_a_model_that_fails_is_left_out_and_told(robust, two_people, monkeypatch):
    def fail(_):
        raise RuntimeError("out of paper")

    whole = robust.scan(two_people)
    monkeypatch.setattr(robust._networks["clips"], "score", fail)
    verdict = robust.scan(two_people)
    assert verdict.status == "ok"
    assert verdict.warnings == ("The model clips failed and is left out: out of paper",)
    for before, after in zip(*(sorted(v.faces, key=lambda face: face.person) for v in (whole, verdict)), strict=True):
        assert after.models == {name: before.models[name] for name in ("stills", "shrunk")}
    for name in ("stills", "shrunk"):
        monkeypatch.setattr(robust._networks[name], "score", fail)
    verdict = robust.scan(two_people)
    assert (verdict.status, verdict.fake_probability, len(verdict.warnings)) == ("internal_error", None, 3)


def test_models_that_are_not_there(models, two_people, tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"11 of 11 models are not installed.*models import"):
        RobustScanner(detection=MTCNN)
    with pytest.raises(UsageError, match="'b9' is none of them"):
        RobustScanner({"b9": "x"})
    wrong = {"stills": models["stills"], "shrunk": models["stills"]}
    verdict = RobustScanner(wrong, members=SMALL, detection=MTCNN).scan(two_people)
    assert verdict.warnings == (
        "1 of 3 models are not installed and left out: clips.",
        "The model shrunk is left out: it takes crops of 56 pixels, not of 48.",
    )
    assert list(verdict.faces[0].models) == ["stills"]


def test_few_frames_are_judged_too(robust, tmp_path, portrait):
    picture = on_canvas(portrait, (320, 320), (20, 20), 280)
    verdict = robust.scan(write_video(tmp_path / "three.mp4", [picture] * 3))
    assert (verdict.status, verdict.frames_asked, len(verdict.faces)) == ("ok", 3, 1)


def test_longer_videos_are_thinned(robust, tmp_path, portrait):
    """Of 161 frames every second one: 81; of these every third one, 27, of which 25 make groups of five."""
    picture = on_canvas(portrait, (160, 160), (4, 4), 150)
    verdict = robust.scan(write_video(tmp_path / "long.mp4", [picture] * 161))
    assert (verdict.frames_asked, verdict.frames_decoded) == (81, 81)
    assert [frame.index for frame in verdict.frames] == list(range(0, 150, 6))


def test_the_published_members_have_names_of_their_own():
    assert len({member.model for member in MEMBERS}) == 11
    assert replace(MEMBERS[0], name="x").model == "robustforensics-x"
