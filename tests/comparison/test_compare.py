import numpy as np
import pytest

import unmask
from tests.comparison.films import frames_of, mirror, write
from unmask.comparison.answer import SCORE_NOISE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def judge():
    return unmask.Scanner(frames=8, pictures=False)


@pytest.fixture(scope="module")
def films(made_once, portrait, blended):
    """The original; a mirrored copy whose face is blended; and an authentic one."""

    def fill(folder):
        write(folder / "original.mp4", frames_of(portrait))
        write(folder / "blended.mp4", (mirror(frame) for frame in frames_of(blended)), crf=30)
        write(folder / "copy.mp4", (mirror(frame) for frame in frames_of(portrait)), crf=38)
        write(folder / "one.mp4", list(frames_of(portrait))[:1])

    return made_once("compared_films", fill)


@pytest.fixture(scope="module")
def changed(films, judge):
    return unmask.compare(films / "blended.mp4", films / "original.mp4", judge)


def test_a_blended_face_is_found_in_a_mirrored_copy(changed, films):
    assert changed.outcome == "changed"
    assert changed.alignment.mirrored
    assert changed.higher == "suspect"
    (face,) = changed.faces
    assert face.excess > 0.05
    assert face.difference > 3 * face.background_difference
    assert face.score_difference > SCORE_NOISE
    assert face.suspect_probability > face.original_probability
    assert [score.original_seconds for score in face.scores] == pytest.approx(
        [score.time_seconds for score in face.scores], abs=0.05
    )
    assert (changed.suspect, changed.frames_compared) == (str(films / "blended.mp4"), 8)
    assert len(face.pictures) == 6
    assert all(each.map_png.startswith(b"\x89PNG") for each in face.pictures)


def test_it_comes_back_from_json(changed):
    whole = changed.to_dict(timing=True, pictures=True)
    assert unmask.Comparison.from_dict(whole).to_dict(timing=True, pictures=True) == whole
    assert unmask.Comparison.from_dict(changed.to_dict()).faces[0].pictures == ()
    for wrong in ({"schema_version": 9}, {"schema_version": 1, "outcome": "changed"}):
        with pytest.raises(unmask.UsageError, match="comparison"):
            unmask.Comparison.from_dict(wrong)


def test_an_authentic_copy_is_unchanged(films, judge):
    found = unmask.compare(films / "copy.mp4", films / "original.mp4", judge)
    assert found.outcome == "unchanged"
    assert found.faces[0].excess < 0
    assert "no face differs" in found.reasons[0]


def test_one_file_one_frame_and_broken_files_end_in_errors_that_name_the_file(films, judge, tmp_path):
    original = films / "original.mp4"
    broken, cut = tmp_path / "broken.mp4", tmp_path / "cut.mp4"
    broken.write_bytes(np.random.default_rng(0).bytes(4000))
    cut.write_bytes(original.read_bytes()[:900])
    with pytest.raises(unmask.UsageError, match="same file"):
        unmask.compare(original, original, judge)
    with pytest.raises(unmask.UsageError, match=r"the suspect, .*one\.mp4, is a?.*name a film"):
        unmask.compare(films / "one.mp4", original, judge)
    with pytest.raises(unmask.InputError, match=r"the suspect, .*broken\.mp4"):
        unmask.compare(broken, cut, judge)
    with pytest.raises(unmask.InputError, match=r"the original, .*cut\.mp4"):
        unmask.compare(original, cut, judge)
    with pytest.raises(unmask.InputError, match=r"the original, .*missing\.mp4"):
        unmask.compare(original, tmp_path / "missing.mp4", judge)
