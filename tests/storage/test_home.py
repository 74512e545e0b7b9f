from pathlib import Path

from unmask.storage.home import models_home


def test_the_users_models_lie_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path))
    assert models_home() == tmp_path / "models"
    monkeypatch.delenv("UNMASK_HOME")
    assert models_home() == Path.home() / ".cache" / "unmask" / "models"
