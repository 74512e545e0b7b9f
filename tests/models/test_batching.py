import gc
import threading
import time

import numpy as np
import pytest

from unmask.errors import ModelError
from unmask.models import Network, QueuedNetwork, load_card, model_folder
from unmask.models.cpu import batch_crops


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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_backlog_stays_small(network, crops):
    futures = network.submit(np.tile(crops, (3, 1, 1, 1)))
    assert network._pool._work_queue.qsize() <= network._streams
    assert all(future.result() is not None for future in futures)


class StubNetwork(QueuedNetwork):
    """Counts how many of its kind compute at a time, and how often it rests."""

    computing, most, rests = 0, 0, 0
    lock = threading.Lock()

    def __init__(self, slots, cores):
        card = load_card(model_folder("bundled"))
        super().__init__(card, slots, precision="fp32", device="cpu", weights_file="", batch_crops=1, cores=cores)

    def _compute(self, slot, crops):
        with StubNetwork.lock:
            StubNetwork.computing += 1
            StubNetwork.most = max(StubNetwork.most, StubNetwork.computing)
        time.sleep(0.002)
        with StubNetwork.lock:
            StubNetwork.computing -= 1
        return np.zeros(len(crops), np.float32), None

    def _rest(self):
        assert not self._turns
        self.rests += 1


@pytest.mark.parametrize(("cores", "most"), [(threading.Semaphore(1), 1), (None, 4)])
def test_networks_that_share_cores_take_turns(crops, cores, most):
    StubNetwork.most = 0
    networks = [StubNetwork(["a", "b"], cores) for _ in range(2)]
    futures = [future for network in networks for future in network.submit(crops[:20])]
    assert {future.result(timeout=60).logit for future in futures} == {futures[0].result().logit}
    assert StubNetwork.most <= most
    assert cores is None or StubNetwork.most == 1
    until = time.monotonic() + 30
    while not all(network.rests for network in networks) and time.monotonic() < until:
        time.sleep(0.01)
    assert all(network.rests for network in networks)


def test_crops_of_many_pixels_run_alone():
    assert [batch_crops(size_px) for size_px in (64, 224, 300, 380, 1024)] == [8, 4, 2, 1, 1]
