import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from tests.prepared import prepare, tree
from unmask.cli import app
from unmask.datasets import read_index
from unmask.errors import UsageError
from unmask.media import open_video, read_frames
from unmask.prepare import clip_steps
from unmask.prepare.clip_steps import Settings
from unmask.prepare.layout import read_boxes, read_folds
from unmask.prepare.pairs import read_crop_pairs
from unmask.prepare.preparation import DEFAULT_STEPS, Preparation
from unmask.types import DetectorSpec

pytestmark = pytest.mark.usefixtures("searched_once")


def clips_of(index, label):
    return [clip for clip in index.clips if clip.label == label]


def broken(index):
    fakes = (clip for clip in index.clips if clip.label == "fake")
    return next(clip.id for clip in fakes if b"moov" not in index.path_of(clip).read_bytes())


def whole_fakes(index, prepared):
    return [clip for clip in clips_of(index, "fake") if any((prepared / "crops" / clip.id).glob("*"))]


def frame_of(index, clip, number):
    with open_video(index.path_of(clip)) as video:
        return next(iter(read_frames(video, np.array([number])))).image_HW3


def copy_of(sample, folder):
    """A copy whose times are those of the original."""
    return Path(shutil.copytree(sample, folder))


class TestFormats:
    def test_boxes(self, index, prepared):
        files = {path.stem: json.loads(path.read_text()) for path in (prepared / "boxes").iterdir()}
        assert set(files) == {clip.id for clip in clips_of(index, "real")}
        assert all(list(boxes) == ["0", "10", "20"] for boxes in files.values())
        empty = [name for name, boxes in files.items() if list(boxes.values()) == [None, None, None]]
        assert len(empty) == 1
        for name, boxes in files.items():
            for found in boxes.values():
                if name not in empty:
                    (x1, y1, x2, y2), *_ = found
                    assert 0 < x1 < x2 < 320  # half of 640 x 480
                    assert 0 < y1 < y2 < 240

    def test_crops_are_cut_as_the_winner_did(self, index, prepared):
        for clip in index.clips:
            boxes_file = prepared / "boxes" / f"{clip.original or clip.id}.json"
            for path in (prepared / "crops" / clip.id).glob("*"):
                frame, face = map(int, path.stem.split("_"))
                xmin, ymin, xmax, ymax = (int(v * 2) for v in json.loads(boxes_file.read_text())[str(frame)][face])
                p_w, p_h = (xmax - xmin) // 3, (ymax - ymin) // 3
                whole = frame_of(index, clip, frame)
                expected = whole[max(ymin - p_h, 0) : ymax + p_h, max(xmin - p_w, 0) : xmax + p_w]
                assert (cv2.imread(str(path))[..., ::-1] == expected).all()

    def test_the_worked_example(self):
        frame = clip_steps.Frame(
            np.arange(400 * 600 * 3, dtype=np.uint32).astype(np.uint8).reshape(400, 600, 3), 0.0, 7
        )
        ((number, face, patch),) = clip_steps.cut_boxes(frame, [[100.4, 50.3, 150.7, 120.9]])
        assert (number, face) == (7, 0)
        assert (patch == frame.image_HW3[53:288, 167:334]).all()

    def test_landmarks(self, index, prepared):
        assert {path.name for path in (prepared / "landmarks").iterdir()} == {c.id for c in clips_of(index, "real")}
        files = list((prepared / "landmarks").glob("*/*.npy"))
        assert len(files) == 12
        for path in files:
            points = np.load(path, allow_pickle=False)
            height, width = cv2.imread(str(prepared / "crops" / path.parent.name / f"{path.stem}.png")).shape[:2]
            assert (points.dtype, points.shape) == (np.int16, (5, 2))
            assert ((points >= 0) & (points < [width, height])).all()
            left_eye, right_eye, nose, left_mouth, right_mouth = points
            assert left_eye[0] < nose[0] < right_eye[0]
            assert left_mouth[0] < right_mouth[0]
            assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])

    def test_folds(self, index, prepared):
        rows = list(read_folds(prepared / "folds.csv"))
        with (prepared / "folds.csv").open(newline="") as file:
            assert next(csv.reader(file)) == ["video", "file", "label", "original", "frame", "fold"]
        by_id = {clip.id: clip for clip in index.clips}
        assert len(rows) == 12 + 15
        for row in rows:
            clip = by_id[row.video]
            assert (prepared / "crops" / row.video / row.file).exists()
            assert (row.label, row.original) == (int(clip.label == "fake"), clip.original or clip.id)
            assert row.fold == clip.part
            assert row.frame == int(row.file.split("_")[0])

    def test_what_was_skipped_is_told(self, index, prepared):
        with (prepared / "skipped.csv").open(newline="") as file:
            skipped = {row["video"]: row["what"] for row in csv.DictReader(file)}
        assert skipped.pop(broken(index)) == "this is no media file, or its header is damaged"
        assert list(skipped.values()) == ["no face was found"]

    def test_the_index_is_kept(self, index, prepared):
        assert read_index(prepared / "index.parquet").clips == index.clips


class TestResume:
    def test_a_second_run_decodes_nothing(self, index, prepared, tmp_path, monkeypatch):
        out = copy_of(prepared, tmp_path / "out")
        before = tree(out)
        monkeypatch.setattr(clip_steps, "open_clip", None)
        monkeypatch.setattr(clip_steps, "load_detector", None)
        records, outcome = prepare(index, out, resume=True)
        assert Counter(record.status for record in records.values()) == {"ok": 9, "no_face": 1, "unreadable": 1}
        assert outcome.crops == 27
        assert tree(out) == before

    def test_without_resume_an_earlier_run_is_safe(self, index, prepared):
        with pytest.raises(UsageError, match="--resume"):
            Preparation(index, prepared)

    def test_two_runs_on_one_folder(self, index, tmp_path):
        with (
            Preparation(index, tmp_path / "out"),
            pytest.raises(UsageError, match="another run"),
            Preparation(index, tmp_path / "out", resume=True),
        ):
            pass

    def test_what_is_gone_or_changed_is_done_again(self, index, prepared, tmp_path):
        out = copy_of(prepared, tmp_path / "out")
        whole = tree(out)
        fake = whole_fakes(index, prepared)[0]
        (out / "crops" / fake.id / "10_0.png").unlink()
        (out / "diffs" / fake.id / "0_0_diff.png").write_bytes(b"torn")
        (out / "boxes" / f"{fake.original}.json").unlink()
        shutil.rmtree(out / "landmarks" / fake.original)
        prepare(index, out, resume=True)
        assert tree(out) == whole

    def test_another_format_redoes_the_crops_alone(self, index, prepared, tmp_path):
        out = copy_of(prepared, tmp_path / "out")
        boxes, diffs = tree(out / "boxes"), tree(out / "diffs")
        stamps = {path: path.stat().st_mtime_ns for path in out.glob("[bd]*/**/*.*")}
        prepare(index, out, settings=Settings(image_format="webp"), resume=True)
        assert {path.suffix for path in (out / "crops").glob("*/*")} == {".webp"}
        assert (tree(out / "boxes"), tree(out / "diffs")) == (boxes, diffs)
        assert stamps == {path: path.stat().st_mtime_ns for path in out.glob("[bd]*/**/*.*")}
        assert all(row.file.endswith(".webp") for row in read_folds(out / "folds.csv"))

    def test_another_clip_under_the_same_name(self, sample, tmp_path):
        data = copy_of(sample, tmp_path / "data")
        index = read_index(data)
        prepare(index, tmp_path / "out")
        families = Counter(clip.original for clip in clips_of(index, "fake"))
        old, new = (next(c for c in clips_of(index, "real") if c.id == name) for name, _ in families.most_common(2))
        shutil.copy(index.path_of(new), index.path_of(old))
        records, _ = prepare(index, tmp_path / "out", resume=True)
        assert records[old.id].sha256 == records[new.id].sha256
        assert tree(tmp_path / "out" / "crops" / old.id) == tree(tmp_path / "out" / "crops" / new.id)
        prepare(index, tmp_path / "fresh")
        assert tree(tmp_path / "out") == tree(tmp_path / "fresh")

    @pytest.mark.slow
    @pytest.mark.parametrize("moment", [0.1, 0.5, 0.9])
    def test_killed_in_the_middle(self, index, sample, prepared, tmp_path, moment):
        out = tmp_path / "out"
        command = ["prepare", str(sample), "--out", str(out), "-q"]
        wanted, started = moment * 27, time.monotonic()
        with subprocess.Popen([sys.executable, "-m", "unmask", *command], stderr=subprocess.DEVNULL) as run:
            # Folders whose names begin with a dot are being written; they are renamed while this looks.
            while len(list(out.glob("crops/[!.]*/*"))) < wanted and time.monotonic() - started < 60:
                time.sleep(0.002)
            run.kill()
        assert run.returncode == -signal.SIGKILL
        assert not (out / "folds.csv").exists()
        done = CliRunner().invoke(app, [*command, "--resume"])
        assert done.exit_code == 3, done.output  # one clip is broken
        assert tree(out) == tree(prepared)

    def test_what_a_killed_run_leaves_is_swept(self, index, prepared, tmp_path):
        out = copy_of(prepared, tmp_path / "out")
        (out / "crops" / ".tmp-0123456789abcdef").mkdir()
        (out / "crops" / ".tmp-0123456789abcdef" / "0_0.png").touch()
        (out / "boxes" / ".x.json.0123456789abcdef.tmp").touch()
        with (out / "manifest.jsonl").open("ab") as file:
            file.write(b'{"id": "torn')
        prepare(index, out, resume=True)
        assert tree(out) == tree(prepared)


class TestSteps:
    def test_one_by_one_is_all_at_once(self, index, prepared, tmp_path):
        for step in DEFAULT_STEPS:
            prepare(index, tmp_path / "out", steps=[step], resume=step != "boxes")
        assert tree(tmp_path / "out").keys() == tree(prepared).keys()
        for name in ("boxes", "crops", "landmarks", "diffs", "changes"):
            assert tree(tmp_path / "out" / name) == tree(prepared / name)
        assert (tmp_path / "out" / "folds.csv").read_bytes() == (prepared / "folds.csv").read_bytes()

    def test_what_is_missing_is_said(self, index, tmp_path):
        records, outcome = prepare(index, tmp_path / "out", steps=["landmarks", "diffs"])
        assert Counter(record.status for record in records.values()) == {"skipped": 10, "unreadable": 1}
        texts = [text for name, text in outcome.skipped if name != broken(index)]
        assert all("run the step boxes" in text for text in texts)

    def test_masks_do_not_depend_on_the_format_of_the_crops(self, index, prepared, tmp_path):
        prepare(index, tmp_path / "out", settings=Settings(image_format="jpg"))
        assert tree(tmp_path / "out" / "diffs") == tree(prepared / "diffs")
        assert not list((tmp_path / "out").glob(".*"))

    def test_every_frame(self, index, tmp_path):
        real = clips_of(index, "real")[:1]
        prepare(replace(index, clips=tuple(real)), tmp_path / "out", settings=Settings(every=1), steps=["boxes"])
        assert list(read_boxes(tmp_path / "out" / "boxes" / f"{real[0].id}.json")) == list(range(25))

    def test_detector_settings(self, index, tmp_path):
        strict = Settings(detection=DetectorSpec(thresholds=(0.85, 0.95, 0.9999999)))
        records, _ = prepare(index, tmp_path / "out", settings=strict, steps=["boxes"])
        assert "no_face" in {record.status for record in records.values()}

    def test_wrong_use(self, index, tmp_path):
        for options in (
            {"steps": ["crop"]},
            {"steps": []},
            {"settings": Settings(every=0)},
            {"settings": Settings(image_format="bmp")},
        ):
            with pytest.raises(UsageError):
                Preparation(index, tmp_path / "out", **options)
        with pytest.raises(UsageError, match="no clip"):
            Preparation(replace(index, clips=()), tmp_path / "out")


class TestOddFamilies:
    def test_a_fake_without_its_original_has_its_own_boxes(self, index, tmp_path):
        fake = next(clip for clip in clips_of(index, "fake") if clip.id != broken(index))
        alone = replace(index, clips=(fake,))
        records, outcome = prepare(alone, tmp_path / "out")
        assert records[fake.id].status == "ok"
        lost = "its original is not in the dataset: it has its own boxes and no difference masks"
        assert (fake.id, lost) in outcome.skipped
        assert (tmp_path / "out" / "boxes" / f"{fake.id}.json").exists()
        assert len(list((tmp_path / "out" / "landmarks" / fake.id).iterdir())) == 3
        assert {row.original for row in read_folds(tmp_path / "out" / "folds.csv")} == {fake.id}
        assert list(read_crop_pairs(tmp_path / "out")) == []

    def test_a_broken_original(self, sample, tmp_path):
        data = copy_of(sample, tmp_path / "data")
        index = read_index(data)
        fake = next(clip for clip in clips_of(index, "fake") if clip.id != broken(index))
        original = next(clip for clip in index.clips if clip.id == fake.original)
        index.path_of(original).write_bytes(b"nothing")
        records, outcome = prepare(index, tmp_path / "out")
        assert records[original.id].status == "unreadable"
        assert records[fake.id].status == "ok"
        assert (fake.id, "its original cannot be used: it has its own boxes and no difference masks") in outcome.skipped
        assert {row.original for row in read_folds(tmp_path / "out" / "folds.csv") if row.video == fake.id} == {fake.id}
        before = tree(tmp_path / "out")
        prepare(index, tmp_path / "out", resume=True)
        assert tree(tmp_path / "out") == before

    def test_a_fake_of_another_size(self, sample, tmp_path, portrait):
        from tests.media_factory import write_video

        data = copy_of(sample, tmp_path / "data")
        index = read_index(data)
        fake = next(clip for clip in clips_of(index, "fake") if clip.id != broken(index))
        write_video(index.path_of(fake), [portrait] * 25, rate=25)
        records, outcome = prepare(index, tmp_path / "out")
        assert records[fake.id].status == "ok"
        (text,) = [text for name, text in outcome.skipped if name == fake.id]
        assert text.startswith("its frames have (512, 512) pixels")
        before = tree(tmp_path / "out")
        prepare(index, tmp_path / "out", resume=True)
        assert tree(tmp_path / "out") == before

    def test_a_fake_that_ends_early(self, sample, tmp_path):
        data = copy_of(sample, tmp_path / "data")
        index = read_index(data)
        fake = next(clip for clip in clips_of(index, "fake") if clip.id != broken(index))
        from unmask.datasets.synthetic import write_clip

        frames = [frame_of(index, fake, i) for i in range(12)]
        write_clip(frames, index.path_of(fake))
        prepare(index, tmp_path / "out")
        assert sorted(p.name for p in (tmp_path / "out" / "crops" / fake.id).iterdir()) == ["0_0.png", "10_0.png"]
        assert len(list((tmp_path / "out" / "diffs" / fake.id).iterdir())) == 2

    def test_one_bug_costs_one_clip(self, index, tmp_path, monkeypatch):
        victim = clips_of(index, "real")[0]
        honest = clip_steps.ClipSteps.run

        def run(self, name, *rest):
            if name == victim.id:
                raise ZeroDivisionError("boom")
            return honest(self, name, *rest)

        monkeypatch.setattr(clip_steps.ClipSteps, "run", run)
        records, _ = prepare(index, tmp_path / "out", steps=["boxes"])
        assert records[victim.id].status == "internal_error"
        monkeypatch.undo()
        records, _ = prepare(index, tmp_path / "out", steps=["boxes"], resume=True)
        assert records[victim.id].status in ("ok", "no_face")
