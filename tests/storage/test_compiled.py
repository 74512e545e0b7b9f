import hashlib
import os

import numpy as np
import pytest

from unmask.runtime.openvino import op, ov
from unmask.storage import compiled
from unmask.storage.compiled import compiled_once


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def times(home):
    """A function that returns three times a number by a kept network, and how often one had to be built."""
    built = []

    def build():
        built.append(1)
        x = op.parameter([1, 4], np.float32)
        return ov.Model([op.multiply(x, op.constant(np.float32(3)))], [x], "triple")

    def times(number, source=("triple",)):
        network = compiled_once(source, build)
        return network(np.full((1, 4), number, np.float32))[0].tolist()[0][0], len(built)

    return times


def kept(home):
    return sorted((home / "compiled").iterdir())


def test_a_network_is_compiled_once(home, times):
    assert times(2) == (6, 1)
    (path,) = kept(home)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert times(5) == (15, 1), "it is read again"
    assert times(5, ("another",)) == (15, 2)
    assert len(kept(home)) == 2


def test_where_the_user_has_no_folder_none_is_made(home, times):
    home.rmdir()
    assert [times(2), times(5)] == [(6, 1), (15, 2)]
    assert not home.exists()


@pytest.mark.parametrize("name", ["cpu_name", "version"])
def test_another_processor_or_version_has_its_own(home, times, monkeypatch, name):
    times(1)
    if name == "version":
        monkeypatch.setattr(ov, "__version__", "2099.1")
    else:
        monkeypatch.setattr(compiled, "cpu_name", lambda: "another")
    assert times(2) == (6, 2)


@pytest.mark.parametrize("damage", [b"", b"\0" * 100, "cut", "bit", "sealed nonsense"])
def test_what_is_damaged_is_compiled_again(home, times, damage):
    times(1)
    (path,) = kept(home)
    whole = path.read_bytes()
    damaged = {
        "cut": whole[:-10],
        "bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        "sealed nonsense": hashlib.sha256(b"nonsense").digest() + b"nonsense",
    }
    path.write_bytes(damaged.get(damage, damage))
    assert times(2) == (6, 2)
    assert times(3) == (9, 2), "the file is whole again"


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")
def test_what_others_may_have_written_is_not_read(home, times, monkeypatch):
    times(1)
    kept(home)[0].chmod(0o666)
    assert times(2) == (6, 2)
    assert times(2) == (6, 2), "the file is ours alone again"
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert times(2) == (6, 3)


def test_a_folder_that_takes_no_file_fails_nothing(home, times):
    (home / "compiled").write_text("a file where the folder should be")
    assert times(1) == (3, 1)
    assert times(2) == (6, 2)


def test_a_user_without_a_home_fails_nothing(times, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(compiled, "models_home", nowhere)
    assert times(1) == (3, 1)


def test_a_pipe_in_its_place_is_not_waited_for(home, times):
    times(1)
    (path,) = kept(home)
    path.unlink()
    os.mkfifo(path)
    assert times(2) == (6, 2)
    assert path.is_file()


def test_what_was_not_used_for_the_longest_makes_room(home, times, monkeypatch):
    for number, source in enumerate("abc"):
        times(1, (source,))
        newest = max(kept(home), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (number, number))
    size = newest.stat().st_size
    monkeypatch.setattr(compiled, "MAX_BYTES", 3 * size + size // 2)
    assert times(1, ("a",))[1] == 3, "was used, and so is the newest"
    times(1, ("d",))
    assert len(kept(home)) == 3
    assert times(1, ("a",))[1] == 4
    assert times(1, ("b",))[1] == 5, "had to go"


def test_a_large_network_is_not_kept(home, times, monkeypatch):
    monkeypatch.setattr(compiled, "MAX_FILE_BYTES", 100)
    assert times(1) == (3, 1)
    assert list(home.iterdir()) == []
