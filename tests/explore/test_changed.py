from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import GROUP_FRAMES
from unmask.explore.changed import FrameChanges, oddities_of_changes, open_reference
from unmask.explore.exploration import Exploration, ExploreSettings
from unmask.explore.suspicions import find_suspicions
from unmask.media import Limits, open_video, read_frames
from unmask.types import Face


def explored(index, out):
    settings = ExploreSettings(sample=9, frames_per_second=6.25, detectors=("mtcnn",))
    with Exploration(index, out, settings) as exploration:
        return list(exploration.run())


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True], ids=["by differences", "by masks"])
def test_groups_and_passages_are_told(group, tmp_path, masked):
    clips = [replace(c, mask=f"masks/{c.id}.mp4" if masked and c.label == "fake" else None) for c in group.clips]
    index = replace(group, clips=tuple(clips))
    found = explored(index, tmp_path)
    odd = find_suspicions(index, found)
    frames = GROUP_FRAMES // 4
    assert f"the changed face is not the largest in {frames} of {frames} frames" in odd["smaller"]
    assert f"a part-time fake: no face was changed in {frames // 2} of {frames} frames" in odd["passage"]
    assert not any("face" in sentence or "align" in sentence for sentence in odd.get("larger", []))
    assert not any("face" in sentence for sentence in odd.get("group", []))
    assert {change.aligned for clip in found for change in clip.changes} == {True}


@pytest.mark.slow
def test_pairs_that_do_not_align_are_told(group, tmp_path):
    """The fakes of another clip than their original, which shows the same size of frames."""
    by_id = {clip.id: clip for clip in group.clips}
    moved = replace(by_id["larger"], id="moved", label="real", original=None)
    index = replace(group, clips=(moved, replace(by_id["smaller"], original="moved")))
    face = Face((40.0, 80.0, 120.0, 180.0), 1.0)
    with open_video(index.path_of(moved)) as video:
        frames = list(read_frames(video, np.array([0, 4])))
    with open_reference(index, index.clips[1], moved, np.array([0, 4]), Limits()) as reference:
        shifted = replace(frames[0], image_HW3=np.roll(frames[0].image_HW3, 40, 1))
        changes = [reference.compare(frame, [face]) for frame in (shifted, frames[1])]
    assert [change.aligned for change in changes] == [False, True]
    assert "does not align" in oddities_of_changes(changes[:1])[0]


def test_what_cannot_be_compared_is_left_out(group, tmp_path):
    by_id = {clip.id: clip for clip in group.clips}
    broken = replace(by_id["larger"], path="metadata.json", mask="metadata.json")
    wanted = np.array([0])
    with open_video(group.path_of(by_id["group"])) as video:
        (frame,) = read_frames(video, wanted)
    face = Face((40.0, 80.0, 120.0, 180.0), 1.0)
    with open_reference(group, broken, replace(by_id["group"], path="metadata.json"), wanted, Limits()) as reference:
        assert reference.compare(frame, [face]) is None
    with open_reference(group, by_id["group"], by_id["larger"], wanted, Limits()) as reference:
        assert reference.compare(frame, [face]) is None  # an authentic clip is compared with nothing
    with open_reference(group, by_id["larger"], by_id["group"], wanted, Limits()) as reference:
        assert reference.compare(frame, []) is None


def changes(*frames):
    return [FrameChanges(i, tuple(faces.split()), aligned) for i, (faces, aligned) in enumerate(frames)]


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([("yes", True), ("yes", True)], []),
        ([("yes yes", True)], []),
        ([("unclear", True)], []),
        ([("no yes", True), ("yes no", True)], ["the changed face is not the largest in 1 of 2 frames"]),
        ([("no", None), ("yes", None)], ["a part-time fake: no face was changed in 1 of 2 frames"]),
        ([("no no", None)], ["labelled fake, but no face was changed in 1 frames"]),
    ],
)
def test_sentences(frames, expected):
    assert oddities_of_changes(changes(*frames)) == expected
