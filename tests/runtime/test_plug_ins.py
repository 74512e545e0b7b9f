"""A package beside unmask adds readers, detectors, rules and kinds of checkpoints by its entry points."""

from pathlib import Path

import numpy as np
import pytest

import unmask
from unmask.datasets import read_index
from unmask.errors import UsageError
from unmask.faces import load_detector
from unmask.models.checkpoints.kinds import CHECKPOINT_KINDS, look_up
from unmask.models.fusion import fuse
from unmask.runtime.plug_ins import enter_plug_ins

ROOT = Path(__file__).parents[2]


def test_every_file_of_the_example_has_at_most_forty_lines():
    files = sorted((ROOT / "examples" / "plug_in").rglob("*.py"))
    assert len(files) == 6
    assert max(len(file.read_text().splitlines()) for file in files) <= 40


def test_a_reader_of_a_plug_in_reads_its_layout_and_leaves_others_alone(plug_in, short_clips, tmp_path):
    for name in ("anna_real.mp4", "anna_fake.mp4"):
        (tmp_path / name).write_bytes(short_clips["authentic"].read_bytes())
    index = read_index(tmp_path)
    assert index.dataset == "suffixed"
    assert {clip.id: (clip.label, clip.original) for clip in index.clips} == {
        "anna_real": ("real", None),
        "anna_fake": ("fake", "anna_real"),
    }
    (tmp_path / "notes.txt").write_text("of no label")
    with pytest.raises(UsageError, match="suffixed"):
        read_index(tmp_path, dataset="suffixed")


def test_a_detector_and_a_rule_of_a_plug_in_are_found_by_name(plug_in):
    detector = load_detector(unmask.DetectorSpec(detector="whole_frame"))
    (face,) = detector.detect(np.zeros((40, 60, 3), np.uint8))
    assert face.xyxy_px == (0, 0, 60, 40)
    assert unmask.Fusion(frames="trimmed").frames == "trimmed"
    assert fuse([0.0] + [0.5] * 8 + [1.0], "trimmed") == pytest.approx(0.5)


def test_a_kind_of_checkpoint_of_a_plug_in_is_found_by_name(plug_in):
    assert look_up("kind", CHECKPOINT_KINDS, "plain").network == "plain"


def test_a_broken_plug_in_is_named_with_the_package_to_take_away(tmp_path, monkeypatch):
    facts = tmp_path / "broken_thing-1.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: broken-thing\nVersion: 1\n")
    (facts / "entry_points.txt").write_text("[unmask.readers]\nodd = there_is_no_such_module:read\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"plug-in 'odd' of broken-thing cannot be loaded.*pip uninstall broken-thing"):
        enter_plug_ins("unmask.readers", {})


def test_what_unmask_has_itself_keeps_its_name(plug_in):
    own = object()
    entries = {"trimmed": own}
    enter_plug_ins("unmask.rules", entries)
    assert entries == {"trimmed": own}
