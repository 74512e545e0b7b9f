import pytest

from tests.datasets.readers.layouts import (
    LAYOUTS,
)
from unmask.datasets.index import READERS
from unmask.datasets.read import read_index


@pytest.mark.parametrize(("name", "make"), [(name, make) for name, makes in LAYOUTS.items() for make in makes])
def test_only_its_own_reader_takes_a_layout(tmp_path, name, make):
    root = make(tmp_path)
    index = read_index(root)
    assert index.dataset == name
    assert index.clips
    assert all(index.path_of(clip).is_file() for clip in index.clips)
    assert [clip.id for clip in index.clips] == sorted(clip.id for clip in index.clips)
    assert [other for other, reader in READERS.items() if reader(root) is not None] == [name]
    assert read_index(root, name) == index
