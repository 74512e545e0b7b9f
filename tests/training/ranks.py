"""The processes of a training that runs in two, each told of the others as torchrun would tell it.

They are forked from one that has torch loaded: to load it takes most of a short training's time.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import sys
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess

from unmask.cli import main

SIZE = 2


def _rank(number: int, port: int, args: list[str]) -> None:
    """Run ``unmask`` in this process."""
    sys.argv = ["unmask", *args]
    ranks = {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": SIZE, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in ranks.items()}, MASTER_ADDR="127.0.0.1")
    sys.exit(main())


@contextlib.contextmanager
def ranks(*args: object) -> Iterator[list[ForkServerProcess]]:
    """Start ``unmask`` with some arguments, once for each rank; whatever happens, none of them stays."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "unmask.training.loop", "unmask.models.networks"])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    processes: list[ForkServerProcess] = [
        context.Process(target=_rank, args=(number, port, list(map(str, args)))) for number in range(SIZE)
    ]
    try:
        for process in processes:
            process.start()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.join(60)
