"""Where a run trains: on a card that is there, or not at all."""
# ruff: noqa: E402 - torch is not in every environment

import pytest

torch = pytest.importorskip("torch")

from unmask.errors import UsageError
from unmask.training.cluster import join


@pytest.mark.parametrize(
    ("available", "cards", "rank", "told"),
    [(False, 0, "0", "no graphics card to train on"), (True, 1, "1", "there are 1; start 1 processes")],
)
def test_a_card_that_is_not_there_is_refused(monkeypatch, available, cards, rank, told):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(UsageError, match=told), join("cuda"):
        pass
    if not available:
        with join("auto") as cluster:
            assert cluster.device == "cpu"
