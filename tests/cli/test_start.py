import gc
import os

import pytest

from unmask import cli
from unmask.cli.start import keep_products_single, loading


def test_products_stay_on_one_thread_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr(cli, "app", lambda: None)
    cli.main()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    keep_products_single()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "4"


def test_nothing_is_collected_while_modules_are_loaded():
    def load():
        with loading():
            assert not gc.isenabled()
            raise ImportError

    try:
        with pytest.raises(ImportError):
            load()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
