import hashlib
import json

import numpy as np
import pytest

from tests.faces.record_retinaface import FRAMES, RECORDED
from tests.systems.winner.scenes import scene
from unmask.errors import ModelError
from unmask.faces import load_detector
from unmask.faces.retinaface import MODEL, RetinaFace, decode, priors, search_factor
from unmask.faces.tubes import boxes_of_faces
from unmask.models import verify_folder
from unmask.prepare.aligned import TextBoxes, write_text_boxes
from unmask.types import DetectorSpec


@pytest.mark.parametrize(
    ("height", "width", "searched"),
    [(1080, 1920, (400, 711)), (1920, 1080, (711, 400)), (200, 300, (400, 600)), (400, 400, (400, 400)),
     (100, 1000, (215, 2150)), (1, 5000, (1, 5000))],
)  # fmt: skip
def test_the_size_at_which_is_searched(height, width, searched):
    factor = search_factor(height, width)
    assert (round(height * factor), round(width * factor)) == searched


@pytest.mark.parametrize("name", FRAMES)
def test_boxes_are_those_of_robustforensics_code(monkeypatch, name):
    """Its resized frame goes into the network; of the network's recorded answer come its boxes, to the whole pixel."""
    with np.load(RECORDED) as file:
        recorded = {key.removeprefix(f"{name}_"): file[key] for key in file.files if key.startswith(name)}

    class Answers:
        def __init__(self, _):
            pass

        def run(self, small_HW3):
            assert small_HW3.shape[:2] == tuple(recorded["shape"])
            colours = small_HW3.reshape(-1, 3).sum(0, dtype=np.int64) - small_HW3[..., 0].size * np.array(
                [123, 117, 104]
            )
            assert colours.sum() == recorded["total"]
            answer = [np.zeros((recorded["count"], width), np.float32) for width in (4, 1, 10)]
            for values, key in zip(answer, ("shift", "scores", "points"), strict=True):
                values[recorded["seen"]] = recorded[key].reshape(len(recorded["seen"]), -1)
            return answer[0], answer[1][:, 0], answer[2]

    monkeypatch.setattr("unmask.faces.retinaface._Own", Answers)
    faces = RetinaFace(DetectorSpec(detector="retinaface")).detect(scene(name))
    found = sorted(faces, key=lambda face: -face.confidence)
    np.testing.assert_allclose([face.xyxy_px for face in found], recorded["edges"], rtol=1e-5)
    assert np.array([face.xyxy_px for face in found]).astype(np.int64).tolist() == recorded["boxes"].tolist()


def test_priors():
    """An image of 33 x 17 pixels: 3 x 5, 2 x 3 and 1 x 2 places, two squares each."""
    found = priors(17, 33)
    assert found.shape == (2 * (15 + 6 + 2), 4)
    assert found[:3].tolist() == [[4, 4, 16, 16], [4, 4, 32, 32], [12, 4, 16, 16]]
    assert found[2 * 5].tolist() == [4, 12, 16, 16]  # the next row
    assert found[30].tolist() == [8, 8, 64, 64]
    assert found[-1].tolist() == [48, 16, 512, 512]


class TestDecoding:
    def answers(self, faces):
        """Of an image of 64 x 64: (number of a prior, score, shift) of some, the rest sees nothing."""
        count = len(priors(64, 64))
        shift, score, points = np.zeros((count, 4), np.float32), np.zeros(count, np.float32), np.zeros((count, 10))
        for number, value, move in faces:
            shift[number], score[number] = move, value
            points[number] = np.arange(10)
        return shift, score, points.astype(np.float32), (64, 64)

    def test_variances(self):
        """Prior 1: centre (4, 4), side 32. Centre moves by .1 of the side a unit, sides grow by exp(.2) a unit."""
        boxes, scores, landmarks = decode(*self.answers([(1, 0.9, (5, -1, np.log(2) / 0.2, 0))]))
        assert boxes[0] == pytest.approx([20 - 32, 0.8 - 16, 20 + 32, 0.8 + 16], abs=1e-4)
        assert scores.tolist() == pytest.approx([0.9])
        assert landmarks[0, 0] == pytest.approx([4, 4 + 3.2])
        assert landmarks[0, 4] == pytest.approx([4 + 8 * 3.2, 4 + 9 * 3.2])

    def test_of_overlapping_boxes_the_surest_stays(self):
        # Priors 1 and 3 are squares of 32 px, 8 px apart: overlap 24 / 40 = 0.6. Prior 5 is 16 px away from 1: 0.33.
        boxes, scores, _ = decode(*self.answers([(n, s, (0,) * 4) for n, s in ((1, 0.5), (3, 0.6), (5, 0.4))]))
        assert scores.tolist() == pytest.approx([0.6])
        boxes, scores, _ = decode(*self.answers([(n, s, (0,) * 4) for n, s in ((1, 0.5), (5, 0.4))]))
        assert scores.tolist() == pytest.approx([0.5, 0.4])
        assert boxes[1] == pytest.approx([4, -12, 36, 20])

    def test_least_score(self):
        assert len(decode(*self.answers([(1, 0.02, (0,) * 4)]))[0]) == 0
        assert len(decode(*self.answers([(1, 0.021, (0,) * 4)]))[0]) == 1

    def test_another_network(self):
        shift, score, points, _ = self.answers([])
        with pytest.raises(ModelError, match="answers for"):
            decode(shift, score, points, (64, 96))


class TestInstallation:
    @pytest.fixture(autouse=True)
    def home(self, monkeypatch, tmp_path):
        monkeypatch.setenv("UNMASK_HOME", str(tmp_path))

    def test_when_it_is_missing_the_message_names_the_cure(self):
        with pytest.raises(ModelError, match=f"not installed.*unmask models import .* --as {MODEL}"):
            load_detector(DetectorSpec(detector="retinaface"))

    @pytest.mark.parametrize(
        ("card", "words"),
        [
            ("{", "does not name the sha256"),
            ('{"files": {}}', "does not name the sha256"),
            ('{"files": {"model.onnx": {"sha256": "00"}}}', "damaged or was replaced"),
            (json.dumps({"files": {"model.onnx": {"sha256": hashlib.sha256(b"x").hexdigest()}}}), "is no network"),
        ],
    )
    def test_a_damaged_folder(self, tmp_path, card, words):
        folder = tmp_path / "models" / MODEL
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(b"x")
        (folder / "card.json").write_text(card)
        with pytest.raises(ModelError, match=words):
            load_detector(DetectorSpec(detector="retinaface"))


def test_a_network_finds_something_and_it_can_be_written_as_text(retinaface_home, monkeypatch, tmp_path):
    """Random weights: the boxes mean nothing, but the way from frame to text is that of the real ones."""
    from unmask.models.networks.retinaface import RetinaFaceNetwork

    network = RetinaFaceNetwork()
    assert sum(parameter.numel() for parameter in network.parameters()) == 426_608
    assert {"body.stage1.0.0.weight", "fpn.output1.0.weight", "fpn.merge2.1.running_var", "ssh1.conv3X3.0.weight",
            "ssh3.conv7x7_3.1.bias", "ClassHead.0.conv1x1.weight", "BboxHead.2.conv1x1.bias",
            "LandmarkHead.1.conv1x1.weight"} <= set(network.state_dict())  # fmt: skip
    monkeypatch.setenv("UNMASK_HOME", str(retinaface_home))
    assert verify_folder(retinaface_home / "models" / MODEL).name == MODEL

    image = np.random.default_rng(0).integers(0, 256, (96, 160, 3), np.uint8)
    faces = load_detector(DetectorSpec(detector="retinaface", thresholds=(0.5, 0.5, 0.3))).detect(image)
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (face.xyxy_px for face in faces)]
    assert areas == sorted(areas, reverse=True)
    assert faces[0].landmarks_px.shape == (5, 2)
    assert all(face.confidence >= 0.3 for face in faces)
    boxes = boxes_of_faces(faces[:20])
    (tmp_path / "text" / "clip").mkdir(parents=True)
    write_text_boxes({7: boxes}, tmp_path / "text" / "clip")
    text = (tmp_path / "text" / "clip" / "frame8.txt").read_text()
    assert text.splitlines()[0] == str(len(boxes))
    assert text.splitlines()[1].endswith(" ")
    back = TextBoxes.read(tmp_path / "text" / "clip")[7]
    assert back == tuple(sorted(boxes, key=lambda box: -box.score))
