import json
import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest

from tests.media_factory import cut_without_reencoding, on_canvas, pattern, write_film, write_sound, write_video
from tests.scan.sayable import assert_sayable
from tests.scan.test_scores import Says
from unmask import ModelError, Scanner, ScanOptions, UsageError, Verdict
from unmask.media.frame_list import video_of_arrays
from unmask.models import Fusion
from unmask.models.card import bundled_folder
from unmask.scan.sampler import EvenSampler, KeyframeSampler
from unmask.scan.stop import Adaptive, FullScan
from unmask.types import Face


def people_clip(path, pictures, frames=20):
    """Film portraits side by side, each (256, 256)."""
    canvas = np.full((288, 300 * len(pictures), 3), 110, np.uint8)
    for k, picture in enumerate(pictures):
        canvas[16:272, 300 * k + 22 : 300 * k + 278] = on_canvas(picture, (256, 256), (0, 0), 256)
    return write_video(path, [canvas] * frames, rate=10, options={"crf": "18"})


def test_golden_verdicts(scanner, clips):
    """The public-domain portrait, as it is and self-blended, on the bundled model."""
    golden = json.loads((Path(__file__).parent / "golden_verdicts.json").read_text())
    for name, clip in clips.items():
        verdict = scanner.scan(clip)
        assert (verdict.status, verdict.label) == ("ok", golden[name]["label"])
        assert verdict.fake_probability == pytest.approx(golden[name]["fake_probability"], abs=0.03)


def test_a_verdict_says_what_was_looked_at(scanner, clips):
    verdict = scanner.scan(clips["blended"])
    assert verdict.path == str(clips["blended"])
    assert (verdict.frames_asked, verdict.frames_decoded, verdict.frames_with_faces) == (16, 16, 16)
    assert [frame.index for frame in verdict.frames] == sorted({frame.index for frame in verdict.frames})
    (person,) = verdict.faces
    assert (person.person, person.frames) == (1, 16)
    assert person.start_seconds == 0
    assert person.end_seconds == pytest.approx(39 / 25, abs=0.01)
    assert person.fake_probability == verdict.fake_probability
    assert person.thumbnail_jpeg.startswith(b"\xff\xd8")
    assert person.region in ("eyes", "nose", "mouth", "outline")
    assert person.region in verdict.reasons[0]
    assert verdict.media.codec == "h264"
    assert verdict.models[0]["name"] == scanner.cards[0].name
    assert verdict.settings["frames"] == 16
    assert verdict.elapsed_seconds > 0


def test_the_same_file_gives_the_same_verdict(scanner, clips):
    first, second = (scanner.scan(clips["authentic"]).to_dict() for _ in range(2))
    assert first == second


def test_one_fake_face_among_others_is_found_and_named(scanner, tmp_path, portrait, blended):
    verdict = scanner.scan(
        people_clip(tmp_path / "three.mp4", [p[:256, 96:352] for p in (portrait, blended, portrait)])
    )
    assert len(verdict.faces) == 3
    assert verdict.label == "fake"
    guilty = verdict.faces[0]
    boxes = [f.xyxy_px for f in verdict.frames if f.person == guilty.person]
    assert all(300 < (x1 + x2) / 2 < 600 for x1, _, x2, _ in boxes)
    assert f"Person {guilty.person} " in verdict.reasons[0]
    assert all(face.label != "fake" for face in verdict.faces[1:])


def test_a_person_comes_and_goes(scanner, tmp_path, portrait, blended):
    alone, both = (on_canvas(portrait, (960, 440), (10, 20), 400) for _ in range(2))
    both[20:420, 520:920] = on_canvas(blended, (400, 400), (0, 0), 400)
    clip = write_video(tmp_path / "late.mp4", [alone] * 20 + [both] * 20, rate=10, options={"crf": "18"})
    verdict = scanner.scan(clip)
    late = next(face for face in verdict.faces if face.start_seconds > 1)
    assert late.start_seconds == pytest.approx(2, abs=0.3)
    assert late.end_seconds == pytest.approx(3.9, abs=0.1)
    assert late.label == "fake"


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_changes_nothing(scanner, tmp_path, blended, degrees):
    upright = on_canvas(blended, (480, 352), (60, 40), 300)
    plain = scanner.scan(write_video(tmp_path / "plain.mp4", [upright] * 10, options={"crf": "1"}))
    stored = np.ascontiguousarray(np.rot90(upright, -degrees // 90))
    turned = scanner.scan(
        write_video(tmp_path / "turned.mp4", [stored] * 10, options={"crf": "1"}, orientation=(degrees, False, False))
    )
    assert (turned.media.width, turned.media.height) == (480, 352)
    assert turned.fake_probability == pytest.approx(plain.fake_probability, abs=0.05)
    assert turned.frames[0].xyxy_px == pytest.approx(plain.frames[0].xyxy_px, abs=2)


def test_a_copied_cut_and_a_variable_rate_are_judged(scanner, tmp_path, clips, portrait):
    cut = scanner.scan(cut_without_reencoding(clips["authentic"], tmp_path / "cut.mp4", 0.5))
    assert cut.status == "ok"
    picture = on_canvas(portrait, (320, 320), (30, 20), 280)
    times = [int(t) for t in np.cumsum(np.random.default_rng(0).integers(10, 200, 30))]
    varying = scanner.scan(write_video(tmp_path / "vfr.mp4", [picture] * 30, times=times))
    assert varying.status == "ok"
    assert varying.frames_asked == 16


def test_few_frames_are_not_judged(scanner, tmp_path, portrait):
    verdict = scanner.scan(write_video(tmp_path / "one.mp4", [on_canvas(portrait, (320, 320), (20, 20), 280)]))
    assert (verdict.status, verdict.label, verdict.frames_asked) == ("ok", "inconclusive", 1)
    assert "too few" in verdict.reasons[0]


def test_small_faces_are_not_judged(scanner, tmp_path, portrait):
    verdict = scanner.scan(write_video(tmp_path / "small.mp4", [on_canvas(portrait, (320, 240), (60, 40), 128)] * 10))
    assert verdict.status == "no_face"
    assert "too small" in verdict.reasons[0]


def bad_inputs(folder, clips):
    """Name -> status of inputs that cannot be judged; the files are written into ``folder``."""
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(Random(0).randbytes(4000))
    write_video(folder / "no_face.mp4", map(pattern, range(10)))
    write_sound(folder / "sound.mp4")
    (folder / "list.mp4").write_text(f"ffconcat version 1.0\nfile {clips['authentic']}\n")
    return {
        "empty.mp4": "unreadable",
        "noise.mp4": "unreadable",
        "missing.mp4": "unreadable",
        "no_face.mp4": "no_face",
        "sound.mp4": "no_video",
        "list.mp4": "unsupported",
    }


def test_row_in_row_out(scanner, tmp_path, clips):
    expected = bad_inputs(tmp_path, clips)
    alone = scanner.scan(clips["authentic"])
    inputs = [clips["authentic"], *(tmp_path / name for name in expected), clips["authentic"]]
    verdicts = list(scanner.scan_many(inputs))
    assert [verdict.path for verdict in verdicts] == [str(path) for path in inputs]
    assert [verdict.status for verdict in verdicts[1:-1]] == list(expected.values())
    for verdict in verdicts[1:-1]:
        assert verdict.label is None
        assert verdict.fake_probability is None
        assert verdict.reasons
    for verdict in (verdicts[0], verdicts[-1]):
        assert verdict.to_dict() == alone.to_dict()


def test_a_bug_costs_one_row(scanner, clips, monkeypatch):
    class Broken:
        calls = 0

        def detect(self, image):
            Broken.calls += 1
            if Broken.calls == 1:
                raise RuntimeError("detector fell over")
            return []

    monkeypatch.setattr(scanner, "detector", Broken())
    monkeypatch.setattr(scanner, "workers", 1)
    first, second = scanner.scan_many([clips["authentic"], clips["blended"]])
    assert first.status == "internal_error"
    assert "detector fell over" in first.reasons[0]
    assert second.status == "no_face"


def test_a_clip_that_is_cut_short_is_partial(scanner, tmp_path, portrait):
    whole = write_film(portrait, tmp_path / "whole.mp4", frames=60)
    with (
        av.open(str(whole)) as original,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as copy,
    ):
        out = copy.add_stream_from_template(original.streams.video[0])
        for packet in original.demux(video=0):
            if packet.dts is not None:
                packet.stream = out
                copy.mux(packet)
    half = tmp_path / "half.mp4"
    data = (tmp_path / "fast.mp4").read_bytes()
    half.write_bytes(data[: len(data) // 2])
    verdict = scanner.scan(half)
    assert verdict.status == "ok_partial"
    assert "cut short" in verdict.warnings[0]


def test_folders_are_expanded(scanner, tmp_path, clips):
    (tmp_path / "deep").mkdir()
    shutil.copy(clips["authentic"], tmp_path / "B.MP4")
    shutil.copy(clips["authentic"], tmp_path / "deep" / "a.mkv")
    (tmp_path / "notes.txt").write_text("no video")
    names = [Path(verdict.path).name for verdict in scanner.scan_many(tmp_path)]
    assert names == ["B.MP4"]
    names = [Path(verdict.path).name for verdict in scanner.scan_many([tmp_path], recursive=True)]
    assert names == ["B.MP4", "a.mkv"]


def test_an_ensemble_is_the_mean_of_its_members(scanner, tmp_path, clips):
    folder = shutil.copytree(bundled_folder(), tmp_path / "second")
    card = json.loads((folder / "card.json").read_text())
    card["name"], card["calibration"] = "second", {"temperature": 1.0, "offset": 3.0}
    (folder / "card.json").write_text(json.dumps(card))
    both = Scanner(["bundled", folder], precision="fp32", frames=16).scan(clips["blended"])
    one, two = (Scanner(m, precision="fp32", frames=16).scan(clips["blended"]) for m in ("bundled", folder))
    assert both.fake_probability == pytest.approx((one.fake_probability + two.fake_probability) / 2)
    assert both.faces[0].models == pytest.approx({"bundled": one.fake_probability, "second": two.fake_probability})
    assert [model["name"] for model in both.models] == ["bundled", "second"]


def test_pooled_people_are_judged_together(scanner, tmp_path, portrait, blended):
    folder = shutil.copytree(bundled_folder(), tmp_path / "pooled")
    card = json.loads((folder / "card.json").read_text())
    card["fusion"] |= {"people": "pool", "passages": None}
    (folder / "card.json").write_text(json.dumps(card))
    clip = people_clip(tmp_path / "two.mp4", [p[:256, 96:352] for p in (portrait, blended)])
    verdict = Scanner(folder, precision="fp32", frames=8).scan(clip)
    scores = [frame.fake_probability for frame in verdict.frames]
    assert verdict.fake_probability == pytest.approx(np.mean(scores))
    assert verdict.reasons[0].startswith(f"All {len(scores)} faces together score")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"detection": {"scale": 0.5}}, "search faces with different settings and cannot share one scan"),
        ({"colours": "bt601"}, "see different colours, bt601 and tagged; scan with one kind"),
    ],
)
def test_models_that_look_differently_cannot_be_mixed(tmp_path, change, words):
    folder = shutil.copytree(bundled_folder(), tmp_path / "other")
    card = json.loads((folder / "card.json").read_text())
    for name, value in change.items():
        card["crop"][name] = card["crop"].get(name, {}) | value if isinstance(value, dict) else value
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(UsageError, match=words):
        Scanner(["bundled", folder])


@pytest.mark.parametrize("options", [{"frames": 0}, {"workers": 0}, {"sampling": "random"}, {"models": []}])
def test_nonsense_is_refused(options):
    with pytest.raises(UsageError):
        Scanner(**options)


def test_a_missing_model_is_named():
    with pytest.raises(ModelError, match="nobody"):
        Scanner("nobody")


def test_reference_sampling(clips):
    verdict = Scanner(frames=5, sampling="reference").scan(clips["authentic"])
    assert sorted({frame.index for frame in verdict.frames}) == [0, 9, 19, 29, 39]


def test_saving(scanner, clips, tmp_path):
    verdict = scanner.scan(clips["blended"])
    loaded = json.loads(verdict.save(tmp_path / "v.json").read_text())
    assert loaded == json.loads(json.dumps(verdict.to_dict()))
    assert verdict.save(tmp_path / "v.csv").read_text().splitlines() == [
        "filename,label", f"blended.mp4,{loaded['fake_probability']}",
    ]  # fmt: skip
    assert "blended.mp4" in verdict.save(tmp_path / "v.html").read_text()
    with pytest.raises(UsageError, match=r"\.json"):
        verdict.save(tmp_path / "v.pdf")


def test_a_verdict_checks_itself():
    with pytest.raises(ValueError, match="status"):
        Verdict("x", "fine", None, None)
    with pytest.raises(ValueError, match="label"):
        Verdict("x", "ok", None, 0.5)
    with pytest.raises(ValueError, match="label"):
        Verdict("x", "no_face", "real", 0.1)
    with pytest.raises(ValueError, match="label"):
        Verdict("x", "no_face", None, 0.5)
    with pytest.raises(ValueError, match="label"):
        Verdict("x", "ok", "real", None)
    assert Verdict("x", "ok", "inconclusive", None).fake_probability is None


def half_of(path, target):
    target.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return target


def test_too_little_of_a_file_is_unreadable_but_known(scanner, tmp_path, portrait):
    picture = on_canvas(portrait, (320, 320), (20, 20), 280)
    whole = write_video(tmp_path / "whole.mkv", [picture] * 12, rate=4, options={"crf": "5"}, gop=1)
    verdict = scanner.scan(half_of(whole, tmp_path / "half.mkv"))
    assert verdict.status == "unreadable"
    assert verdict.frames_asked == 16
    assert 0 < verdict.frames_decoded < 8
    assert verdict.media.sha256
    assert "cut short" in verdict.warnings[0]


def shots(path, pictures, frames=5):
    """Film short shots with hard cuts, each before a ground of its own and in a corner of its own."""
    canvases, grounds = [], [(230, 200, 40), (20, 30, 90), (40, 190, 60), (120, 20, 130)]
    for i, picture in enumerate(pictures):
        canvas = np.full((960, 1280, 3), grounds[i], np.uint8)
        top, left = 500 * (i // 2), 800 * (i % 2)
        canvas[top : top + 460, left : left + 460] = on_canvas(picture, (460, 460), (0, 0), 460)
        canvases += [canvas] * frames
    return write_video(path, canvases, rate=10, options={"crf": "12"})


def test_a_video_of_short_shots_is_judged_as_a_whole(scanner, tmp_path, portrait, blended):
    verdict = scanner.scan(shots(tmp_path / "fake.mp4", [blended] * 4))
    assert max(face.frames for face in verdict.faces) < scanner.cards[0].fusion.min_frames
    assert verdict.label == "fake"
    assert "faces together" in verdict.reasons[0]
    verdict = scanner.scan(shots(tmp_path / "real.mp4", [portrait] * 4))
    assert verdict.label == "inconclusive"


def test_a_card_with_an_unknown_rule_is_refused(tmp_path):
    folder = shutil.copytree(bundled_folder(), tmp_path / "typo")
    card = json.loads((folder / "card.json").read_text())
    card["fusion"]["frames"] = "typo"
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="confident"):
        Scanner(folder)


def test_verdicts_are_told_as_they_come(scanner, clips, tmp_path):
    told = []
    inputs = [clips["authentic"], tmp_path / "missing.mp4"]
    verdicts = list(scanner.scan_many(inputs, on_verdict=told.append))
    assert sorted(verdict.path for verdict in told) == sorted(verdict.path for verdict in verdicts)
    with pytest.raises(OSError, match="disk full"):
        list(scanner.scan_many(inputs, on_verdict=lambda verdict: (_ for _ in ()).throw(OSError("disk full"))))


class Finds:
    """A detector that finds a face of so many pixels in each frame; none in one that lies on its side."""

    def __init__(self, side_px=100):
        self.side_px = side_px

    def detect(self, image_HW3):
        top, bottom = image_HW3[: len(image_HW3) // 4].mean(), image_HW3[-len(image_HW3) // 4 :].mean()
        return [Face((10, 10, 10 + self.side_px, 10 + self.side_px), 1.0)] if top > bottom + 50 else []


UPRIGHT = np.zeros((200, 200, 3), np.uint8)
UPRIGHT[:100] = 200


@pytest.fixture
def quick(scanner, monkeypatch):
    """A scanner whose network says one thing of each face, and takes no time for it."""
    monkeypatch.setattr(scanner, "detector", Finds())
    monkeypatch.setattr(scanner, "networks", [Says(scanner.cards[0], -9.0)])
    return scanner


def moving(image, frames=20):
    """A film of an image over which a shadow moves."""
    images = [image.copy() for _ in range(frames)]
    for number, moved in enumerate(images):
        left = 12 * number % 150
        moved[:, left : left + 40] -= moved[:, left : left + 40] // 5
    return images


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_video_that_lies_on_its_side_is_turned(quick, turns):
    verdict = quick.scan_frames([np.rot90(image, -turns) for image in moving(UPRIGHT)])
    assert (verdict.turned_degrees, verdict.frames_with_faces) == (90 * turns, 16)
    assert any(f"turned by {90 * turns} degrees" in warning for warning in verdict.warnings) == bool(turns)


def test_a_scanner_that_is_told_so_turns_nothing(quick, monkeypatch):
    monkeypatch.setattr(quick, "finds_lost_turns", False)
    verdict = quick.scan_frames([np.rot90(image) for image in moving(UPRIGHT)])
    assert (verdict.status, verdict.turned_degrees) == ("no_face", 0)
    assert verdict.reasons[0].startswith("No face was found in 16 frames.")


def judged(scanner, frames=20, **facts):
    """Return the verdict on a video of which something else is known."""
    video = video_of_arrays(moving(UPRIGHT, frames), None)
    draft = Verdict("clip.mp4", "internal_error", None, None)
    verdict = scanner.scan_video(replace(video, facts=replace(video.facts, **facts)), draft)
    assert_sayable(verdict.reasons)
    return verdict


@pytest.mark.parametrize(
    ("facts", "warning"),
    [
        ({"sample_aspect_ratio": 1.1}, "Pixels are not square (1.10): faces look squeezed to the model."),
        ({"sample_aspect_ratio": 0.9}, "Pixels are not square (0.90): faces look squeezed to the model."),
        ({"sample_aspect_ratio": 1.09}, ""),
        ({"high_range": "HLG"}, "The footage is of high dynamic range (HLG): the model saw it brought to ordinary "),
        ({"is_followed": True}, "Another recording follows in the file, and was not looked at: files were joined; "),
        ({"interlaced": True}, "The footage is interlaced: where rows show two moments, the model saw one, at half "),
        ({"pieces": 5, "missing_pieces": 2}, "2 of the 5 pieces of the recording could not be read."),
        ({"cut_short": True}, "The file is cut short: its header promises more than the 20 frames that are there."),
    ],
)
def test_what_limits_the_answer_is_told(quick, facts, warning):
    verdict = judged(quick, **facts)
    assert (verdict.status, verdict.label) == ("ok_partial" if "cut_short" in facts else "ok", "real")
    assert [told.startswith(warning) for told in verdict.warnings] == [True] * bool(warning)


def test_faces_that_are_too_small_are_told(quick, monkeypatch):
    monkeypatch.setattr(quick, "detector", Finds(10))
    least = quick.cards[0].crop.min_side_px
    verdict = judged(quick)
    assert verdict.reasons == (f"The faces are too small to judge: below {least} pixels.",)
    assert (verdict.reasons[0].code, verdict.warnings) == ("faces_too_small", ("16 faces were too small to judge.",))
    assert judged(quick, 1).warnings == ("One face was too small to judge.",)


def test_a_picture_without_a_face_has_a_cure_of_its_own(quick, monkeypatch):
    monkeypatch.setattr(quick, "finds_lost_turns", False)
    monkeypatch.setattr(Finds, "detect", lambda *_: [])
    assert judged(quick, 1, is_picture=True).reasons[0].code == "no_face_in_picture"
    assert judged(quick, 1, is_picture=False).reasons[0].startswith("No face was found in 1 frame. ")


def test_of_a_file_that_is_cut_short_a_quarter_and_eight_frames_are_worth_a_verdict(quick):
    """Of what a full scan would have asked for: what the header claims, or else what a scan looks at."""
    assert judged(quick, 8, cut_short=True).status == "ok_partial"
    assert judged(quick, 7, cut_short=True).status == "unreadable"
    seven = judged(quick, 7, cut_short=True, frames_claimed=9)
    assert (seven.frames_asked, seven.reasons[0]) == (9, "The file is damaged: 7 of 9 frames could be decoded.")
    assert judged(quick, 1, cut_short=True, is_picture=True).status == "ok_partial"


def test_a_damaged_file_is_looked_at_in_full_however_clear_it_is(quick, monkeypatch):
    monkeypatch.setattr(quick, "stop_rule", Adaptive())
    assert (judged(quick).frames_asked, judged(quick).label) == (8, "real")
    assert judged(quick, cut_short=True).frames_asked == 16


def test_a_video_is_real_where_frames_of_each_second_were_looked_at(quick, monkeypatch):
    each_second = quick.scan_frames(moving(UPRIGHT, 33), np.arange(33) / 2)
    assert (each_second.label, [reason.code for reason in each_second.reasons]) == ("real", ["no_trace"])
    monkeypatch.setattr(quick, "stop_rule", FullScan())
    apart = quick.scan_frames(moving(UPRIGHT, 33), np.arange(33.0))
    assert (apart.label, apart.reasons[-1].code) == ("inconclusive", "frames_apart_not_real")
    assert apart.reasons[-1] == (
        "Frames are up to 3.0 s apart: what is shorter may lie between them, so the video is not called real (--frames "
        "34 looks at every second)."
    )
    quick.networks[0].logit = 0.0
    open_answer = quick.scan_frames(moving(UPRIGHT, 33), np.arange(33.0))
    assert (open_answer.label, open_answer.reasons[-1].code) == ("inconclusive", "frames_apart")
    quick.networks[0].logit = 9.0
    accused = quick.scan_frames(moving(UPRIGHT, 33), np.arange(33.0))
    assert (accused.label, [reason.code for reason in accused.reasons]) == ("fake", ["person_fake"])


def test_options_choose_the_frames_and_when_to_stop(scanner):
    assert scanner.make_sampler(ScanOptions(frames=3)) == EvenSampler(3, "time")
    assert scanner.make_sampler(ScanOptions(frames=3, sampling="keyframes")) == KeyframeSampler(3)
    rules = [
        scanner.make_stop_rule(ScanOptions(sampling="reference", adaptive=adaptive))
        for adaptive in (False, True, Adaptive(sigmas=3))
    ]
    assert rules == [FullScan(), Adaptive(), Adaptive(sigmas=3)]
    closer = scanner.make_stop_rule(ScanOptions(frames=3, adaptive=True))
    assert (closer.rule, closer.frames, closer.max_frames) == (Adaptive(), 3, 24)


def test_a_verdict_has_all_that_it_takes_to_repeat_the_scan(scanner):
    assert set(scanner.settings) == {
        "scanner", "frames", "max_frames", "sampling", "adaptive", "limits", "identity", "precision", "crops",
        "fusion", "thresholds", "calibration", "signatures",
    }  # fmt: skip
    told = Scanner(frames=3, adaptive=True, fuse=Fusion(frames="max"), sampling="reference").settings
    assert (told["scanner"], told["max_frames"], told["adaptive"]["first_frames"]) == ("Scanner", None, 8)
    assert (told["fusion"]["frames"], told["fusion"]["weight"]) == ("max", scanner.cards[0].fusion.weight)
    assert (scanner.settings["max_frames"], scanner.settings["adaptive"]) == (128, None)
