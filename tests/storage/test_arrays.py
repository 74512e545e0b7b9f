"""NumPy's files are read from several threads at once."""

from __future__ import annotations

import ast
import gc
import sys
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from unmask.storage.arrays import read_array, read_arrays


def test_a_header_that_is_parsed_is_not_disturbed_by_another_thread(tmp_path):
    """Python 3.11 counts how deep an expression is for all threads, which may take turns where garbage is collected."""
    np.save(tmp_path / "one.npy", np.zeros(3))
    others: list[Future[NDArray[Any]]] = []

    def read_in_another_thread(phase: str, _: object) -> None:
        if phase == "start" and not others and sys._getframe(1).f_code is ast.parse.__code__:
            others.append(pool.submit(read_array, tmp_path / "one.npy"))
            wait(others, timeout=0.3)  # the other one waits its turn until this one has read

    threshold = gc.get_threshold()
    with ThreadPoolExecutor(1) as pool:
        gc.callbacks.append(read_in_another_thread)
        gc.set_threshold(1)
        try:
            assert read_array(tmp_path / "one.npy").tolist() == [0, 0, 0]
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(read_in_another_thread)
    assert [other.result(timeout=10).tolist() for other in others] == [[0, 0, 0]] * len(others)
    assert others


def test_arrays_come_back_as_they_were(tmp_path):
    np.savez(tmp_path / "two.npz", first=np.arange(3, dtype=np.int16), second=np.array(0.5))
    np.save(tmp_path / "one.npy", np.arange(6).reshape(2, 3))
    arrays = read_arrays(tmp_path / "two.npz")
    assert list(arrays) == ["first", "second"]
    assert arrays["first"].dtype == np.int16
    assert arrays["second"] == 0.5
    assert read_array(tmp_path / "one.npy").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_objects_of_python_are_refused(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        read_array(tmp_path / "objects.npy")
