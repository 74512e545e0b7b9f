import os

import pytest

from unmask.media.memory import nameless_memory


@pytest.mark.parametrize("has_linux_call", [True, False])
def test_memory_has_its_size_and_no_name(has_linux_call, monkeypatch, tmp_path):
    if not has_linux_call:
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with os.fdopen(nameless_memory(5000), "r+b") as file:
        assert file.read() == bytes(5000)
        file.seek(0)
        file.write(b"kept")
        file.seek(0)
        assert file.read(4) == b"kept"
    assert list(tmp_path.iterdir()) == []
