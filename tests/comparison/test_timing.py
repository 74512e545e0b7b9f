import numpy as np
import pytest

from unmask.comparison.timing import TimeLine, find_time_line, likeness, shared_span


def views(times, seed=0):
    """Views (n, 30) of something that moves smoothly and never repeats."""
    rng = np.random.default_rng(seed)
    waves = rng.uniform(0.3, 6, (8, 30)), rng.uniform(0, 6, (8, 30))
    return (100 + 10 * np.sin(np.asarray(times)[:, None, None] * waves[0] + waves[1]).sum(1)).astype(np.float32)


@pytest.mark.parametrize(("offset", "rate"), [(17.4, 1.0), (2.0, 1.2), (5.0, 1.033)])
def test_a_piece_is_found_in_a_longer_film(offset, rate):
    own, other = np.arange(0, 15, 0.1), np.arange(0, 35, 0.1)
    line = find_time_line(own, views(offset + rate * own), other, views(other))
    assert line.rate == pytest.approx(rate, abs=0.004)
    assert line.applied(np.array([7.5]))[0] == pytest.approx(offset + rate * 7.5, abs=0.08)
    assert line.likeness > 0.97
    back = find_time_line(other, views(other), own, views(offset + rate * own))
    assert back.rate == pytest.approx(1 / rate, abs=0.004)


def test_other_motion_is_not_alike():
    own, other = np.arange(0, 10, 0.1), np.arange(0, 30, 0.1)
    assert find_time_line(own, views(own, seed=1), other, views(other)).likeness < 0.6


def test_what_is_too_short_or_does_not_move_has_no_line():
    times = np.arange(0, 5, 0.1)
    assert find_time_line(times[:5], views(times[:5]), times, views(times)) is None
    still = np.full((50, 30), 7, np.float32)
    assert find_time_line(times, still, times, still) is None
    assert likeness(still, still) == 0


def test_the_span_leaves_out_what_the_suspect_alone_shows():
    own, other = np.arange(0, 12, 0.1), np.arange(0, 60, 0.1)
    seen = views(own + 20)
    seen[:40] = np.random.default_rng(0).uniform(0, 255, seen[:40].shape)
    start, end, alike = shared_span(TimeLine(20, 1, 1), own, seen, other, views(other))
    assert (start, end) == pytest.approx((4, 11.9), abs=0.11)
    assert alike > 0.99


def test_a_line_and_its_inverse():
    line = TimeLine(3, 1.2, 0.9)
    assert line.inverse.applied(line.applied(np.array([4.0]))) == pytest.approx([4])
