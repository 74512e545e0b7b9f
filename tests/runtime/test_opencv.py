import cv2
import pytest

from unmask.runtime.opencv import one_thread


def test_the_number_of_threads_comes_back():
    before = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError), one_thread():  # noqa: PT012
        assert cv2.getNumThreads() == 1
        raise ZeroDivisionError
    assert cv2.getNumThreads() == before
