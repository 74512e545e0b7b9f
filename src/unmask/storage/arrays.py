"""Read NumPy's files, from any number of threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ONE_AT_A_TIME = threading.Lock()
"""NumPy parses each header with `ast`, whose depth Python 3.11 counts for all threads together: two at once may end in
``SystemError: AST constructor recursion depth mismatch``."""


def read_array(path: Path) -> NDArray[Any]:
    """Return the array of an ``.npy`` file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no such file, or holds Python objects.
    """
    with _ONE_AT_A_TIME:
        array: NDArray[Any] = np.load(path, allow_pickle=False)
    return array


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of an ``.npz`` file by their names, all of them in memory; errors as `read_array`."""
    with _ONE_AT_A_TIME, np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
