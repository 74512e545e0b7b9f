"""Numbers that people read never claim certainty, and labels are counted before statuses."""

import pytest

from unmask.report.words import count_text, probability_text


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "< 0.01"), (0.003, "< 0.01"), (0.006, "0.01"), (0.5, "0.50"), (0.994, "0.99"), (0.997, "> 0.99"),
     (1.0, "> 0.99")],
)  # fmt: skip
def test_no_number_claims_certainty(probability, text):
    assert probability_text(probability) == text


def test_labels_come_first_and_nothing_is_counted_that_is_not_there():
    counts = {"no_face": 1, "real": 1, "unreadable": 3, "fake": 4, "inconclusive": 2}
    assert count_text(counts) == "4 fake, 2 inconclusive, 1 real, 3 unreadable, 1 no_face"
    assert count_text({"fake": 0, "ok": 2}) == "2 ok"
    assert count_text({}) == ""
