import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.media.sampling import floor_linspace, sample_indices, spread_over_time

WINNER_300 = [0, 9, 19, 28, 38, 48, 57, 67, 77, 86, 96, 106, 115, 125, 135, 144, 154, 163, 173, 183, 192, 202, 212, 221,
              231, 241, 250, 260, 270, 279, 289, 299]  # fmt: skip


def test_reference_indices_are_the_winners():
    assert floor_linspace(np.arange(300) / 30, 32).tolist() == WINNER_300
    assert floor_linspace(np.arange(10) / 30, 32).tolist() == list(range(10))


def test_time_sampling_is_even_in_time_not_in_number():
    slow, fast = np.arange(0, 5, 0.5), np.arange(5, 10, 0.01)
    times = np.concatenate([slow, fast])
    picked = times[spread_over_time(times, 11)]
    assert picked == pytest.approx(np.linspace(0, times[-1], 11), abs=0.26)


@pytest.mark.parametrize(("total", "count"), [(1, 1), (1, 5), (5, 32), (32, 32), (33, 32), (300, 32), (7, 1)])
def test_each_frame_is_taken_once(total, count):
    rng = np.random.default_rng(total)
    times = np.sort(rng.uniform(0, 10, total))
    picked = spread_over_time(times, count)
    assert len(picked) == min(total, count)
    assert (np.diff(picked) > 0).all()
    assert picked.min() >= 0
    assert picked.max() < total


def test_nonsense_is_refused():
    with pytest.raises(UsageError, match="at least 1"):
        sample_indices(np.arange(3.0), 0)
    with pytest.raises(UsageError, match="time, reference"):
        sample_indices(np.arange(3.0), 3, "random")
