import gc
import threading
import time

import numpy as np
import pytest

from unmask.errors import ModelError
from unmask.models import Network, model_folder


@pytest.fixture(scope="module")
def network():
    return Network(model_folder("bundled"), "fp32")


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).integers(0, 256, (40, 224, 224, 3), np.uint8)


def test_scores_come_in_order_and_do_not_depend_on_neighbours(network, crops):
    together = network.score(crops)
    alone = [network.score(crops[i : i + 1])[0] for i in (0, 17, 39)]
    assert [together[i].logit for i in (0, 17, 39)] == [score.logit for score in alone]
    assert together[0].map_hw.shape == (28, 28)
    assert 0 <= together[0].map_hw.min() <= together[0].map_hw.max() <= 1
    assert 0 <= together[0].fake_probability <= 1
    assert network.score(crops[:0]) == []


def test_many_threads_share_a_network(network, crops):
    crops = crops[:15]
    expected = [score.logit for score in network.score(crops)]
    results = {}
    threads = [
        threading.Thread(target=lambda k=k: results.__setitem__(k, [s.logit for s in network.score(crops)]))
        for k in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(results[k] == expected for k in range(6))


def test_a_score_that_is_no_number_is_an_error(network, crops, monkeypatch):
    monkeypatch.setattr(np, "isfinite", lambda values: np.zeros(np.shape(values), bool))
    with pytest.raises(ModelError, match="no number"):
        network.score(crops[:2])
    monkeypatch.undo()
    assert len(network.score(crops[:2])) == 2


def test_dropping_a_network_ends_its_threads(crops):
    before = threading.active_count()
    network = Network(model_folder("bundled"), "fp32")
    network.score(crops[:4])
    assert threading.active_count() > before
    del network
    gc.collect()
    until = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_too_few_scores_are_an_error(crops, monkeypatch):
    network = Network(model_folder("bundled"), "fp32", streams=1)
    monkeypatch.setattr(network, "_compute", lambda slot, batch: (np.zeros(3, np.float32), None))
    with pytest.raises(ModelError, match="3 scores for 4 crops"):
        network.score(crops[:4])


def test_the_backlog_stays_small(network, crops):
    futures = network.submit(np.tile(crops, (3, 1, 1, 1)))
    assert network._pool._work_queue.qsize() <= network._streams
    assert all(future.result() is not None for future in futures)
