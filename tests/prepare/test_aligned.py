import json
from dataclasses import replace

import cv2
import pytest

from tests.prepare.test_preparation import frame_of, whole_fakes
from tests.prepared import prepare, tree
from unmask.prepare.clip_steps import Settings
from unmask.prepare.layout import read_boxes
from unmask.prepare.preparation import STEPS


@pytest.fixture(scope="session")
def with_tubes(index, tmp_path_factory):
    out = tmp_path_factory.mktemp("tubes") / "out"
    prepare(index, out, steps=STEPS)
    return out


class TestTubes:
    def test_form(self, index, prepared, with_tubes):
        for name in ("boxes", "crops", "landmarks", "diffs"):
            assert tree(with_tubes / name) == tree(prepared / name)
        for fake in whole_fakes(index, prepared):
            folder = with_tubes / "aligned" / fake.id
            info = json.loads((folder / "info.json").read_text())
            assert (info["height"], info["width"], info["num_frames"], info["num_faces"]) == (480, 640, 3, 1)
            names = sorted(path.name for path in folder.glob("*.png"))
            assert names == ["frame11_face1.png", "frame1_face1.png", "frame21_face1.png"]
            assert len({cv2.imread(str(folder / name)).shape for name in names}) == 1
            x, y, side = info["saved_faces"]["frame11"]["face1"]["crop_bbox"]
            expected = frame_of(index, fake, 10)[y : y + side, x : x + side]
            assert (cv2.imread(str(folder / "frame11_face1.png"))[..., ::-1] == expected).all()
        lines = (with_tubes / "tubes.txt").read_text().splitlines()
        assert f"{fake.id}/frame%d_face1.png 1 10 3 1" in lines
        assert len(lines) == 9

    def test_text_boxes_of_another_detector(self, index, with_tubes, tmp_path):
        settings = Settings(boxes_from=str(with_tubes / "retinaface"))
        keep = [clip for clip in index.clips if (with_tubes / "retinaface" / (clip.original or clip.id)).is_dir()]
        records, _ = prepare(replace(index, clips=tuple(keep)), tmp_path / "out", steps=STEPS, settings=settings)
        assert tree(tmp_path / "out" / "aligned") == tree(with_tubes / "aligned")
        real = next(clip for clip in keep if clip.label == "real" and records[clip.id].status == "ok")
        whole = read_boxes(tmp_path / "out" / "boxes" / f"{real.id}.json")[0][0]
        assert all(float(2 * edge).is_integer() for edge in whole)

    def test_without_text_boxes_the_clip_is_skipped(self, index, tmp_path):
        (tmp_path / "empty").mkdir()
        settings = Settings(boxes_from=str(tmp_path / "empty"))
        records, outcome = prepare(index, tmp_path / "out", settings=settings, steps=["boxes"])
        assert {record.status for record in records.values()} == {"skipped"}
        assert "no text boxes" in outcome.skipped[0][1]
