import pytest

from unmask.errors import UsageError
from unmask.storage.lock import lock_file, sole_writer


def test_one_writer_at_a_time(tmp_path):
    output = tmp_path / "s.csv"
    with sole_writer(output):
        with pytest.raises(UsageError, match=r"another run is writing .*s\.csv; wait for it"), sole_writer(output):
            pass
        assert not output.exists()
    with sole_writer(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_locked_until_it_is_closed(tmp_path):
    file = lock_file(tmp_path / "log")
    with pytest.raises(UsageError, match="another run is writing"):
        lock_file(tmp_path / "log")
    file.close()
    lock_file(tmp_path / "log").close()


def test_a_folder_that_is_missing_is_reported(tmp_path):
    with pytest.raises(UsageError, match=r"cannot write .*No such file or directory; mend that"):
        lock_file(tmp_path / "missing" / "log")
