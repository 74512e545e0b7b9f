"""What lies around Ray's calls, with a stand-in for Ray; tests/scale/test_ray.py has a whole cluster."""

import os
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from tests.scale import stubs
from tests.scale.runs import rows_named
from unmask.errors import UsageError
from unmask.runtime.parallel import Stopped
from unmask.scale import ray_engine
from unmask.scale.child import Hello, Refusal
from unmask.scale.ray_engine import RayEngine, RayHolder
from unmask.scale.rows import Ended, Lease, Spent


class RayError(Exception):
    pass


class RayTaskError(RayError):
    pass


class Ray:
    """Ray, of which one actor is an object of this process whose calls are done at once, or never."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self):
        self.began, self.killed, self.is_there, self.actor, self.needs = None, [], False, None, None

    def is_initialized(self):
        return self.is_there

    def init(self, **how):
        self.began, self.is_there = how, True
        if how["address"] == "gone":
            raise ConnectionError("nobody answers\nat all")

    def shutdown(self):
        self.is_there = False

    def cluster_resources(self):
        return {"CPU": 12.0, "GPU": 3.0}

    def remote(self, _):
        return SimpleNamespace(
            options=lambda **needs: setattr(self, "needs", needs) or SimpleNamespace(remote=self.make)
        )

    def make(self, *arguments):
        self.actor.arguments = arguments
        calls = {name: SimpleNamespace(remote=getattr(self.actor, name)) for name in ("ready", "run", "stop")}
        return SimpleNamespace(**calls)

    def wait(self, references, timeout):
        return [each for each in references if each != "never"], []

    def get(self, reference):
        if isinstance(reference, Exception):
            raise reference
        return reference

    def kill(self, actor):
        self.killed.append(actor)


class Actor:
    """Answers as it is told to."""

    def __init__(self, ready=None, run=None):
        self.answers, self.stopped = {"ready": ready, "run": run}, 0

    def ready(self):
        return self.answers["ready"]

    def run(self, lease):
        return self.answers["run"]

    def stop(self):
        self.stopped += 1


@pytest.fixture
def ray(monkeypatch):
    ray = Ray()
    monkeypatch.setitem(sys.modules, "ray", ray)
    for name in ("RAY_ADDRESS", "RAY_USAGE_STATS_ENABLED"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return ray


def worker_of(ray, tmp_path, stopping=None, **answers):
    ray.actor = Actor(**answers)
    return RayEngine(workers=2).worker(stubs.make(), tmp_path, stopping or threading.Event())


def test_without_a_cluster_one_of_this_machine_begins_and_ends(ray):
    engine = RayEngine(workers=3)
    assert (ray.began["address"], ray.began["num_cpus"], ray.began["include_dashboard"]) == ("local", 3, False)
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0", "nobody is told of it"
    assert engine.size() == 3
    assert ray.needs == {"max_concurrency": 2, "num_cpus": 1}
    engine.close()
    assert not ray.is_there


def test_a_cluster_that_is_named_is_joined_and_its_cores_or_cards_are_used(ray, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert RayEngine().size() == 12
    assert ray.began["address"] == "head:6379"
    assert "num_cpus" not in ray.began
    cards = RayEngine("other:1", gpu_cores=4)
    assert (cards.size(), ray.needs) == (3, {"max_concurrency": 2, "num_cpus": 4, "num_gpus": 1})
    cards.close()
    assert ray.is_there, "it was there before"


def test_a_cluster_that_does_not_answer_is_told_in_one_line(ray):
    with pytest.raises(UsageError, match=r"^the Ray cluster gone cannot be reached: nobody answers$"):
        RayEngine("gone")


def test_ray_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'unmask\[ray\]'"):
        RayEngine()


def test_an_actor_without_a_place_is_waited_for_and_one_without_a_model_is_an_error(ray, tmp_path):
    assert worker_of(ray, tmp_path, ready="never").ready() is None
    hello = Hello("stub", 1)
    assert worker_of(ray, tmp_path, ready=hello).ready() == hello
    assert ray.actor.arguments[2] == {"UNMASK_CORES": "1"}
    with pytest.raises(UsageError, match="no such model"):
        worker_of(ray, tmp_path, ready=Refusal("no such model")).ready()
    with pytest.raises(UsageError, match="a worker failed: out of luck"):
        worker_of(ray, tmp_path, ready=RayTaskError("out of luck")).ready()


def test_an_actor_whose_machine_is_gone_is_asked_for_anew(ray, tmp_path):
    worker = worker_of(ray, tmp_path, ready=Hello("stub", 1), run=RayError("gone"))
    worker.ready()
    assert worker.run(Lease("a", (), ())) is None
    assert len(ray.killed) == 1
    ray.actor.answers["ready"] = Hello("other", 1)
    assert worker.ready() == Hello("other", 1)
    worker.close()
    worker.close()
    assert len(ray.killed) == 2


def test_a_lease_that_is_stopped_is_waited_for_a_little(ray, tmp_path):
    stopping = threading.Event()
    worker = worker_of(ray, tmp_path, stopping, ready=Hello("stub", 1), run="never")
    worker.ready()
    stopping.set()
    assert worker.run(Lease("a", (), ())) is None
    assert ray.actor.stopped == 1
    ended, answers = Ended(()), iter([[], ["done"]])
    ray.actor.answers["run"] = ended
    ray.wait = lambda *_, **__: (next(answers), [])
    assert worker.run(Lease("a", (), ())) is ended
    assert ray.actor.stopped == 2


COUNTS = {}


class Counter:
    def __init__(self, name, about, tags=()):
        self.counts = COUNTS[name] = {}

    def inc(self, value, tags=None):
        key = (tags or {}).get("status", "")
        self.counts[key] = self.counts.get(key, 0) + value


@pytest.fixture
def holder(monkeypatch, tmp_path):
    """What an actor holds, with a worker that does as it is told."""
    metrics = ModuleType("ray.util.metrics")
    metrics.Counter = Counter
    util = ModuleType("ray.util")
    util.metrics = metrics
    for name, module in (("ray", ModuleType("ray")), ("ray.util", util), ("ray.util.metrics", metrics)):
        monkeypatch.setitem(sys.modules, name, module)

    class Process:
        pid, outcome = 5, None

        def __init__(self, make_work, parts, stopping, environment):
            self.stopping = stopping

        def start(self):
            return self.outcome_of()

        def run(self, lease):
            return self.outcome_of()

        def outcome_of(self):
            if isinstance(Process.outcome, Exception):
                raise Process.outcome
            return Process.outcome

    monkeypatch.setattr(ray_engine, "WorkerProcess", Process)
    made = RayHolder(stubs.make(), tmp_path / "parts", {})
    made.process = Process
    return made


def test_an_actor_says_what_its_worker_says(holder, tmp_path):
    assert (tmp_path / "parts").is_dir()
    assert holder.pid() == 5
    holder.process.outcome = Hello("stub", 1)
    assert holder.ready() == Hello("stub", 1)
    for error in (UsageError("no such model"), Stopped("nobody waits")):
        holder.process.outcome = error
        assert holder.ready() == Refusal(str(error))


def test_an_actor_counts_what_came_of_a_lease(holder):
    lease = Lease("a", tuple(rows_named(["quick"] * 3)), (frozenset(),) * 3)
    rows = [["id", "", status, 5, 9] for status in ("ok", "ok", "crashed")]
    holder.process.outcome = Ended(({"rows": rows},), suspects=(1,), spent=Spent(2.5, 700))
    assert holder.run(lease) is holder.process.outcome
    assert COUNTS == {
        "unmask_rows": {"ok": 2, "crashed": 1}, "unmask_cpu_seconds": {"": 2.5}, "unmask_bytes": {"": 700.0},
        "unmask_worker_deaths": {"": 1.0},
    }  # fmt: skip
    holder.process.outcome = Stopped()
    assert holder.run(lease) == Ended((), (0, 1, 2), lost=True)
    holder.process.outcome = OSError(28, "No space left on device")
    assert "No space left" in holder.run(lease).reason
    holder.stop()
    assert holder._worker.stopping.is_set()
