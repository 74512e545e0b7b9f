"""Tubes and aligned faces: the text form, the vote, the links, and where each crop is cut."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.faces.tubes import (
    AlignedFaces,
    ScoredBox,
    aligned_crops,
    boxes_of_faces,
    build_tubes,
    corner_iou,
    format_boxes,
    majority_count,
    parse_boxes,
    plan_tubes,
)
from unmask.types import Face

README_EXAMPLE = """6
766 238 215 317 0.99811953 
1530 925 136 133 0.3763613 
1805 990 43 57 0.07622631 
1278 916 140 131 0.0581847 
1490 959 113 110 0.033537783 
1826 978 63 77 0.022241158 
"""  # noqa: W291  the trailing space is part of the form

boxes = st.builds(
    ScoredBox,
    x=st.integers(-50, 400),
    y=st.integers(-50, 400),
    width=st.integers(1, 300),
    height=st.integers(1, 300),
    score=st.floats(0, 1),
)
videos = st.dictionaries(st.integers(0, 60), st.lists(boxes, max_size=4), max_size=12)


def box(x: int, y: int = 100, width: int = 40, height: int = 40, score: float = 0.9) -> ScoredBox:
    return ScoredBox(x, y, width, height, score)


def places(plan: AlignedFaces) -> list[list[tuple[int, int, tuple[int, int, int]]]]:
    return [[(c.frame_index, c.source_index, c.xy_side_px) for c in crops] for crops in plan.crops]


# --- text form


def test_published_example_round_trips() -> None:
    found = parse_boxes(README_EXAMPLE)
    assert found[0] == ScoredBox(766, 238, 215, 317, 0.99811953)
    assert len(found) == 6
    assert format_boxes(found) == README_EXAMPLE


@given(st.lists(boxes, max_size=20))
def test_text_round_trips_surest_first(some: list[ScoredBox]) -> None:
    assert list(parse_boxes(format_boxes(some))) == sorted(some, key=lambda b: b.score, reverse=True)


def test_text_of_no_boxes() -> None:
    assert format_boxes([]) == "0\n"
    assert parse_boxes("0") == parse_boxes("0\n\n") == ()


def test_trailing_space_blank_lines_and_crlf_are_optional() -> None:
    expected = (ScoredBox(-1, 2, 3, 4, 0.5),)
    for text in ("1\n-1 2 3 4 0.5", "1\n-1 2 3 4 0.5 \n\n", "1\r\n-1 2 3 4 0.5 \r\n", "1 \n-1 2 3 4 5e-1\n \n"):
        assert parse_boxes(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"line 1 is '', not the number of boxes"),
        ("many\n", r"line 1 is 'many'"),
        ("-1\n", r"line 1 is '-1'"),
        ("1.0\n1 2 3 4 0.5\n", r"line 1 is '1.0'"),
        ("2\n1 2 3 4 0.5\n", r"line 1 says 2 boxes, 1 lines follow"),
        ("1\n1 2 3 4 0.5\n1 2 3 4 0.5\n", r"line 1 says 1 boxes, 2 lines follow"),
        ("1\n1 2 3 4\n", r"line 2 is '1 2 3 4', not four whole numbers and a score"),
        ("1\n1 2 3 4 0.5 6\n", r"line 2 is"),
        ("1\n1.5 2 3 4 0.5\n", r"line 2 is '1.5 2"),
        ("1\n1_0 2 3 4 0.5\n", r"line 2 is"),
        ("1\n9999999999 2 3 4 0.5\n", r"line 2 is"),
        ("2\n1 2 3 4 0.5\n1 2 3 4 sure\n", r"line 3: could not convert string to float: 'sure'"),
        ("1\n1 2 3 4 nan\n", r"line 2: score nan is not a finite number"),
        ("1\n1 2 3 4 inf\n", r"line 2: score inf is not a finite number"),
        ("1\n1 2 3 4 1e999\n", r"line 2: score inf"),
        ("1\n1 2 0 4 0.5\n", r"line 2: a box of 0x4 pixels is empty"),
        ("1\n1 2 3 -4 0.5\n", r"line 2: a box of 3x-4 pixels is empty"),
        ("2\n1 2 3 4 0.5\n\n1 2 3 4 0.5\n", r"line 1 says 2 boxes, 3 lines follow"),
        ("999999999\n", r"line 1 says 999999999 boxes; at most 10000 are allowed"),
        ("10001\n" + "1 2 3 4 0.5 \n" * 10001, r"at most 10000"),
        ("3\n" + "\n" * 100_000 + "x", r"line 1 says 3 boxes, 100001 lines follow"),
    ],
)
def test_malformed_text_is_refused_in_words(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_boxes(text)


@given(st.text(alphabet="0123456789 .-\nenaif_\r", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_boxes(text)
    except ValueError:
        return
    assert all(b.width > 0 and b.height > 0 for b in found)


def test_faces_are_truncated_and_empty_ones_skipped() -> None:
    points = np.zeros((5, 2), np.float32)
    faces = [Face((10.9, -0.9, 20.2, 30.7), 0.75, points), Face((5.1, 5.1, 5.9, 90.0), 0.99, points)]
    assert boxes_of_faces(faces) == (ScoredBox(10, 0, 10, 30, 0.75),)


# --- vote and links


@pytest.mark.parametrize(
    ("counts", "expected"), [([], 0), ([0], 0), ([1, 2, 2], 2), ([2, 1, 1, 2], 2), ([0, 1, 1, 0], 0), ([3, 1, 1], 1)]
)
def test_majority_count(counts: list[int], expected: int) -> None:
    assert majority_count(counts) == expected


def test_iou_counts_the_last_pixel() -> None:
    base = ScoredBox(0, 0, 9, 9, 0.9)  # 10 x 10 pixels
    others = [base, ScoredBox(5, 0, 9, 9, 0.9), ScoredBox(9, 0, 9, 9, 0.9), ScoredBox(10, 0, 9, 9, 0.9),
              ScoredBox(0, 0, 9, 19, 0.9)]  # fmt: skip
    a_N4, b_M4 = (np.array([box.corners for box in boxes], float) for boxes in ([base], others))
    np.testing.assert_allclose(corner_iou(a_N4, b_M4), [[1, 50 / 150, 10 / 190, 0, 0.5]])
    assert corner_iou(a_N4, np.empty((0, 4))).shape == (1, 0)


def test_half_an_overlap_is_enough_to_join() -> None:
    base = ScoredBox(0, 0, 9, 9, 0.9)
    assert len(build_tubes([[base], [ScoredBox(0, 0, 9, 19, 0.9)]])) == 1
    assert len(build_tubes([[base], [ScoredBox(0, 0, 9, 20, 0.9)]])) == 2


def test_second_claimant_is_dropped() -> None:
    first, second = box(102, score=0.95), box(99, score=0.9)
    (tube,) = build_tubes([[box(100)], [first, second]])
    assert [(m.position, m.number, m.box) for m in tube] == [(0, 1, box(100)), (1, 1, first)]


def test_overlapping_boxes_of_one_frame_start_tubes_of_their_own() -> None:
    assert len(build_tubes([[box(100), box(102)]])) == 2


def test_a_tube_outlives_a_long_gap_and_unsure_faces_do_not_count() -> None:
    frames = [[box(100)], *[[box(100, score=0.79)]] * 50, [box(105, score=0.8)]]
    (tube,) = build_tubes(frames)
    assert [m.position for m in tube] == [0, 51]


def test_two_people_crossing_keep_their_tubes() -> None:
    """At different heights they pass each other without taking over the other's tube."""
    steps = range(0, 200, 10)
    plan = plan_tubes({i: [box(x, 100), box(200 - x, 130)] for i, x in enumerate(steps)}, 400, 400)
    assert [[m.box.y for m in tube] for tube in plan.tubes] == [[100] * 20, [130] * 20]
    assert [[m.box.x for m in tube] for tube in plan.tubes] == [list(steps), [200 - x for x in steps]]


def test_longest_tubes_are_kept_and_equals_in_order_of_appearance() -> None:
    plan = plan_tubes({0: [box(300)], 1: [box(0)], 2: [box(0)], 3: [box(200)], 4: [box(200)]}, 400, 400)
    assert [[m.position for m in tube] for tube in plan.tubes] == [[1, 2]]


def test_fewer_tubes_than_the_vote() -> None:
    plan = plan_tubes({0: [box(100)], 1: [box(100), box(101)], 2: [box(100), box(101)]}, 400, 400)
    assert plan.num_faces == len(plan.to_dict()["face_tubes"]) == 1


# --- alignment


def test_candidate_sides_and_placement_by_hand() -> None:
    """Candidates are 52 and 65, so both crops are 64; the centres are 120 and 125."""
    plan = plan_tubes({0: [box(100, 100, 40, 40)], 1: [box(100, 100, 50, 50)]}, 400, 400)
    assert places(plan) == [[(0, 0, (88, 88, 64)), (1, 1, (93, 93, 64))]]


def test_crop_is_shifted_into_the_frame() -> None:
    """Both candidates ask for 65; from 375 - 32 = 343 there are 57 pixels left, from 370 - 32 = 338 there are 62."""
    corner, inside = [box(350, 350, 50, 50)], [box(345, 345, 50, 50)]
    assert places(plan_tubes({0: corner}, 400, 400)) == [[(0, 0, (344, 344, 56))]]
    assert places(plan_tubes({0: corner, 1: inside}, 400, 400)) == [[(0, 0, (338, 338, 62)), (1, 1, (338, 338, 62))]]


def test_small_frame_limits_the_side() -> None:
    """The centre is 49, 49: 49 - 25 = 24 fits across; down, only 51 - 50 = 1 pixel is left to move."""
    plan = plan_tubes({0: [box(0, 0, 99, 99)]}, 51, 101)
    assert places(plan) == [[(0, 0, (24, 1, 50))]]
    tiny = plan_tubes({0: [box(0, 0, 1, 1)], 1: [box(900, 900, 1, 1)]}, 2, 3)
    assert {crop.xy_side_px[2] for crops in tiny.crops for crop in crops} == {2}
    with pytest.raises(ValueError, match="too small"):
        plan_tubes({}, 1, 100)


def test_nearest_member_and_ties_go_to_the_earlier() -> None:
    """Two frames show the face, two do not: the vote ties, and the first frame decides."""
    plan = plan_tubes({2: [box(100)], 4: [], 6: [box(100)], 8: []}, 400, 400)
    assert [(c.frame_index, c.source_index) for c in plan.crops[0]] == [(2, 2), (4, 2), (6, 6), (8, 6)]


def test_nearest_goes_by_true_numbers() -> None:
    plan = plan_tubes({0: [box(100)], 10: [], 90: [], 100: [box(100)], 101: [box(100)]}, 400, 400)
    assert [c.source_index for c in plan.crops[0]] == [0, 0, 100, 100, 101]


@pytest.mark.parametrize("detections", [{}, {0: []}, {0: [], 3: [box(1, score=0.5)], 6: [box(1)]}])
def test_videos_without_faces(detections: dict[int, list[ScoredBox]]) -> None:
    plan = plan_tubes(detections, 30, 40)
    assert plan.to_dict() == {"height": 30, "width": 40, "num_frames": len(detections), "num_faces": 0}
    assert aligned_crops(plan, 0) == ()


def test_negative_frame_number_is_refused() -> None:
    with pytest.raises(ValueError, match="frame number -1 is negative"):
        plan_tubes({-1: []}, 30, 40)


def test_info_has_the_original_keys() -> None:
    plan = plan_tubes({0: [box(100)], 30: [], 60: [box(101, score=0.3), box(100, score=0.95)]}, 400, 400)
    info = plan.to_dict()
    assert json.loads(json.dumps(info)) == info
    assert list(info) == ["height", "width", "num_frames", "num_faces", "face_tubes", "saved_faces"]
    assert info["face_tubes"] == [[[1, 1], [61, 1]]]
    assert list(info["saved_faces"]) == ["frame1", "frame31", "frame61"]
    assert info["saved_faces"]["frame31"]["face1"] == {
        "score": 0.9, "bbox": [100, 100, 140, 140], "crop_bbox": [94, 94, 52], "original_idx": 1, "source": "frame1",
    }  # fmt: skip
    assert [crop.name for crop in aligned_crops(plan, 0)] == ["frame1_face1", "frame31_face1"]


@given(videos, st.integers(2, 300), st.integers(2, 300))
def test_every_frame_has_one_crop_of_each_tube(detections: dict[int, list[ScoredBox]], height: int, width: int) -> None:
    plan = plan_tubes(detections, height, width)
    for face, crops in enumerate(plan.crops, 1):
        assert [crop.frame_index for crop in crops] == sorted(detections)
        assert {crop.face for crop in crops} == {face}
        (side,) = {crop.xy_side_px[2] for crop in crops}
        assert 0 < side <= min(height, width)
        assert side % 2 == 0
        assert all(0 <= c.xy_side_px[0] <= width - side and 0 <= c.xy_side_px[1] <= height - side for c in crops)
    streamed = [crop for index in sorted(detections) for crop in aligned_crops(plan, index)]
    assert sorted(crop.name for crop in streamed) == sorted(crop.name for crops in plan.crops for crop in crops)
    assert len({crop.name for crop in streamed}) == plan.num_frames * plan.num_faces


@given(videos)
def test_crops_come_from_the_nearest_member(detections: dict[int, list[ScoredBox]]) -> None:
    plan = plan_tubes(detections, 300, 300)
    for tube, crops in zip(plan.tubes, plan.crops, strict=True):
        members = [plan.frame_indices[m.position] for m in tube]
        assert members == sorted(set(members))
        for crop in crops:
            assert crop.source_index == min(members, key=lambda m: abs(m - crop.frame_index))
            assert crop.member.box in detections[crop.source_index]


@given(st.lists(st.lists(boxes, max_size=4), max_size=8))
def test_tubes_take_each_sure_face_at_most_once(frames: list[list[ScoredBox]]) -> None:
    tubes = build_tubes(frames)
    seen = [(m.position, m.number) for tube in tubes for m in tube]
    assert len(seen) == len(set(seen))
    assert all(m.box is frames[m.position][m.number - 1] and m.box.score >= 0.8 for tube in tubes for m in tube)
