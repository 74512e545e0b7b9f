"""Workers as actors of a Ray cluster: one core each, models loaded once; Ray finds them places.

An actor holds a worker's process as the driver does on one machine, and writes its parts itself, so the folder of the
run is one that all machines share. Only names and counts travel.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from unmask.errors import UsageError
from unmask.runtime.parallel import CORES_VARIABLE, Stopped, cores
from unmask.scale.child import Hello, Refusal
from unmask.scale.rows import Ended, Lease, MakeWork
from unmask.scale.worker import WorkerProcess

OBJECT_STORE_BYTES = 80 << 20
"""Of a cluster that is started here: no frames travel."""
PLACE_SECONDS = 1.0
"""How long a worker waits for a place before it says that it has none."""

_STOP_SECONDS = 0.5
_FLUSH_SECONDS = 6.0


class RayEngine:
    """Workers that are actors of a Ray cluster."""

    def __init__(self, address: str | None = None, workers: int | None = None, gpu_cores: int = 0) -> None:
        """Join a cluster, or start one on this machine.

        Args:
            address: The cluster's; None takes that of ``RAY_ADDRESS``, or starts a cluster of this machine alone.
            workers: Actors; None for as many as the cluster has cores (or graphics cards) at any time.
            gpu_cores: Cores of each actor, which has a graphics card; 0 for actors of one core without one.

        Raises:
            UsageError: Ray is not installed, or the cluster cannot be reached.
        """
        self._ray = _require_ray()
        self._workers, self._gpu_cores = workers, gpu_cores
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            _connect(self._ray, address or os.environ.get("RAY_ADDRESS") or "local", workers)
        needs = {"num_cpus": gpu_cores, "num_gpus": 1} if gpu_cores else {"num_cpus": 1}
        self._actor_class = self._ray.remote(RayHolder).options(max_concurrency=2, **needs)

    def size(self) -> int:
        """Return how many actors there can be: as many as asked for, or as the cluster has room for now."""
        if self._workers is not None:
            return self._workers
        return int(self._ray.cluster_resources().get("GPU" if self._gpu_cores else "CPU", 0))

    def worker(self, make_work: MakeWork, parts: Path, stopping: threading.Event) -> RayWorker:
        """Return a further actor, which may wait for a place."""
        environment = {CORES_VARIABLE: str(max(1, self._gpu_cores))}
        return RayWorker(self._ray, self._actor_class, (make_work, parts.absolute(), environment), stopping)

    def close(self) -> None:
        """Leave the cluster; one that was started here ends."""
        if self._is_ours:
            self._ray.shutdown()


class RayWorker:
    """An actor, as the driver's thread for it sees it."""

    def __init__(self, ray: Any, actor_class: Any, arguments: tuple[Any, ...], stopping: threading.Event) -> None:
        self._ray, self._class, self._arguments, self._stopping = ray, actor_class, arguments, stopping
        self._actor: Any = None
        self._ready: Any = None

    def ready(self) -> Hello | None:
        """Return what the worker says of its work; None where it has no place yet."""
        if self._actor is None:
            self._actor = self._class.remote(*self._arguments)
            self._ready = self._actor.ready.remote()
        done, _ = self._ray.wait([self._ready], timeout=PLACE_SECONDS)
        if not done:
            return None
        hello: Hello | None = self._result(self._ready)
        return hello

    def run(self, lease: Lease) -> Ended | None:
        """Do a lease; None where the actor is gone."""
        answer = self._actor.run.remote(lease)
        while not self._ray.wait([answer], timeout=_STOP_SECONDS)[0]:
            if self._stopping.is_set():
                self._actor.stop.remote()
                if not self._ray.wait([answer], timeout=_FLUSH_SECONDS)[0]:
                    return None
                break
        ended: Ended | None = self._result(answer)
        return ended

    def close(self) -> None:
        """End the actor, and with it its worker."""
        if self._actor is not None and self._ray.is_initialized():
            self._ray.kill(self._actor)
        self._actor = None

    def _result(self, reference: Any) -> Any:
        """Return a result; None, and forget the actor, where it is gone."""
        try:
            result = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            if isinstance(error, self._ray.exceptions.RayTaskError):
                raise UsageError(f"a worker failed: {error}") from error
            self.close()
            return None
        if isinstance(result, Refusal):
            raise UsageError(result.reason)
        return result


class RayHolder:
    """What runs in an actor: it holds a worker's process."""

    def __init__(self, make_work: MakeWork, parts: Path, environment: dict[str, str]) -> None:
        self._stopping = threading.Event()
        self._worker = WorkerProcess(make_work, parts, self._stopping, environment)
        self._meters = _RayMeters()
        parts.mkdir(parents=True, exist_ok=True)

    def ready(self) -> Hello | Refusal:
        """Start the worker."""
        try:
            return self._worker.start()
        except (UsageError, Stopped) as error:
            return Refusal(str(error))

    def run(self, lease: Lease) -> Ended | Refusal:
        """Do a lease."""
        try:
            ended = self._worker.run(lease)
        except Stopped:
            return Ended((), tuple(range(len(lease.rows))), lost=True)
        except (UsageError, OSError) as error:
            return Refusal(str(error))
        self._meters.count(ended)
        return ended

    def stop(self) -> None:
        """End the lease that is under way, and write what came of it."""
        self._stopping.set()

    def pid(self) -> int | None:
        """Return the number of the worker's process."""
        return self._worker.pid


class _RayMeters:
    """Counters that Ray's dashboard and its endpoint for Prometheus show."""

    def __init__(self) -> None:
        from ray.util import metrics

        self._rows = metrics.Counter("unmask_rows", "Rows answered, by status.", ("status",))
        self._cpu_seconds = metrics.Counter("unmask_cpu_seconds", "CPU time of the workers.")
        self._bytes = metrics.Counter("unmask_bytes", "Length of the files answered.")
        self._deaths = metrics.Counter("unmask_worker_deaths", "Workers that died by themselves.")

    def count(self, ended: Ended) -> None:
        statuses = Counter(row[2] for commit in ended.commits for row in commit["rows"])
        for status, count in statuses.items():
            self._rows.inc(count, {"status": status})
        for counter, value in (
            (self._cpu_seconds, ended.spent.cpu_seconds),
            (self._bytes, float(ended.spent.size_bytes)),
            (self._deaths, float(bool(ended.suspects))),
        ):
            if value > 0:
                counter.inc(value)


def _require_ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no telemetry
    try:
        import ray
    except ImportError as error:
        raise UsageError("the engine ray needs ray; run: pip install 'unmask[ray]'") from error
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> None:
    own = {"num_cpus": workers or cores(), "object_store_memory": OBJECT_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(
            address=address, log_to_driver=False, logging_level=logging.ERROR, **(own if address == "local" else {})
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        what = (str(error).splitlines() or [""])[0]
        raise UsageError(f"the Ray cluster {address} cannot be reached: {what}") from error
