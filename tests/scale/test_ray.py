"""Actors of a Ray cluster: the same bytes, also while machines leave and join."""

import sys
import threading
import time
from functools import partial

import pytest

ray = pytest.importorskip("ray", reason="the extra ray is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

from tests.scale.gpu_stub import StubWork  # noqa: E402
from tests.scale.runs import do, expected, merged, rows_named  # noqa: E402
from unmask import Scanner  # noqa: E402
from unmask.errors import UsageError  # noqa: E402
from unmask.scale.engines import LocalEngine  # noqa: E402
from unmask.scale.ray_engine import RayEngine  # noqa: E402
from unmask.scale.rows import Row  # noqa: E402
from unmask.scale.scanning import ScanWork  # noqa: E402

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="nodes are processes of this machine"),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]

NODE = {"object_store_memory": 80 << 20, "include_dashboard": False}


@pytest.fixture(scope="module")
def cluster():
    """A cluster of a head without cores and a machine with two."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_health_check_failure_threshold", "3")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **NODE})
        cluster.first = cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
        ray.init(address=cluster.address, log_to_driver=False)
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def test_poison_and_killed_workers_cost_what_they_cost_here(cluster, tmp_path):
    names = ["sleep-0.01"] * 80
    names[10] = "segfault"
    rows = rows_named(names)
    do(tmp_path / "ray", rows, engine=RayEngine())
    do(tmp_path / "here", rows)
    assert merged(tmp_path / "ray") == merged(tmp_path / "here")
    assert merged(tmp_path / "ray").count(b"crashed") == 1


def test_one_machine_leaves_and_another_joins(cluster, tmp_path):
    """The raylet of the only machine with cores is killed in the middle; the next one takes up the work."""
    rows = rows_named(["sleep-0.03"] * 300)
    run = threading.Thread(target=do, args=(tmp_path, rows), kwargs={"engine": RayEngine()})
    run.start()
    until = time.monotonic() + 120
    while not list(tmp_path.glob("commits/*")) or not list(tmp_path.glob("parts/*/*")):
        assert time.monotonic() < until, "no part"
        time.sleep(0.05)
    cluster.remove_node(cluster.first, allow_graceful=False)
    cluster.add_node(num_cpus=2, object_store_memory=80 << 20)
    run.join(240)
    assert not run.is_alive()
    assert merged(tmp_path) == expected(rows)


def test_an_actor_with_a_graphics_card_fills_batches_across_clips(cluster, short_clips, tmp_path):
    """Ray places the actor by its card; two clips share the queue in front of the network, which runs on the CPU."""
    rows = [Row(str(path), path.name) for path in short_clips.values()]
    do(tmp_path / "here", rows, engine=LocalEngine(1), make=partial(ScanWork, partial(Scanner, "bundled", frames=6)))
    node = cluster.add_node(num_cpus=2, num_gpus=1, object_store_memory=80 << 20)
    try:
        engine = RayEngine(gpu_cores=2)
        assert engine.size() == 1
        do(tmp_path / "ray", rows, engine=engine, make=partial(StubWork, tmp_path / "notes"))
    finally:
        cluster.remove_node(node)
    assert merged(tmp_path / "ray") == merged(tmp_path / "here")
    batches = [line.split() for line in (tmp_path / "notes").read_text().splitlines()]
    assert {card for card, _ in batches} == {"0"}
    assert max(int(clips) for _, clips in batches) == 2


def test_a_work_that_cannot_be_loaded_ends_the_run(cluster, tmp_path):
    from tests.scale.test_run import fail

    with pytest.raises(UsageError, match="no such model"):
        do(tmp_path, rows_named(["quick"]), engine=RayEngine(), make=fail)


def test_a_cluster_that_is_not_there(monkeypatch):
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def init(**_):
        raise ConnectionError("nobody answers\nat all")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UsageError, match=r"10\.0\.0\.9:6379 cannot be reached: nobody answers$"):
        RayEngine("10.0.0.9:6379")
