"""Who takes part in a training: one process, several under torchrun, or several under srun."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed

from unmask.errors import UsageError


@dataclass(frozen=True, slots=True)
class Cluster:
    """This process among all."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Number of processes."""
    local_rank: int = 0
    """Number of this process on its machine, from 0."""
    device: str = "cpu"
    """``cpu``, or ``cuda:N``."""

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0

    def any_of(self, here: bool) -> bool:
        """Whether ``here`` holds in any process; all must ask at the same time."""
        if self.size == 1:
            return here
        anywhere = torch.tensor(int(here), device=self.device)
        distributed.all_reduce(anywhere, distributed.ReduceOp.MAX)
        return bool(anywhere.item())


def slurm_rendezvous(environment: Mapping[str, str]) -> dict[str, str]:
    """Translate what srun says into the variables that torch looks for.

    The first node of the job is where the processes meet; the port follows from the job's number, so that two jobs on
    one node do not clash.

    Args:
        environment: With ``SLURM_PROCID`` and ``SLURM_NTASKS``, and where they are known ``SLURM_LOCALID``,
            ``SLURM_JOB_ID`` and ``SLURM_STEP_NODELIST``.
    """
    port = 20_000 + int(environment.get("SLURM_JOB_ID", "0")) % 12_000  # below those that Linux hands out by itself
    nodes = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST", "localhost")
    return {
        "RANK": environment["SLURM_PROCID"],
        "WORLD_SIZE": environment["SLURM_NTASKS"],
        "LOCAL_RANK": environment.get("SLURM_LOCALID", "0"),
        "MASTER_ADDR": environment.get("MASTER_ADDR", first_node(nodes)),
        "MASTER_PORT": environment.get("MASTER_PORT", str(port)),
    }


def first_node(nodes: str) -> str:
    """Return the first name of a Slurm list such as ``gpu[003-005,9],login1``."""
    match = re.match(r"([^\[,]+)(?:\[([^\]]*)\]([^,]*))?", nodes)
    if match is None:
        return "localhost"
    name, numbers, rest = match.groups()
    return name + re.split(r"[,-]", numbers)[0] + (rest or "") if numbers else name


def _check_card(number: int) -> None:
    """Refuse to train on a graphics card that is not there."""
    if not torch.cuda.is_available():
        why = "torch sees none" if torch.version.cuda else "this torch is built for the CPU"
        raise UsageError(f"there is no graphics card to train on ({why}); leave --device out, or see unmask doctor")
    if number >= (cards := torch.cuda.device_count()):
        raise UsageError(
            f"process {number} of this machine finds no graphics card of its own: there are {cards}; start {cards} "
            "processes"
        )


@contextmanager
def join(device: str = "auto") -> Iterator[Cluster]:
    """Meet the other processes, if there are any.

    Args:
        device: ``cpu``, ``cuda``, or ``auto``: the graphics card where there is one.

    Raises:
        UsageError: There is no graphics card for this process.
    """
    environment = os.environ
    if "RANK" not in environment and int(environment.get("SLURM_NTASKS", "1")) > 1:
        environment.update(slurm_rendezvous(environment))
    size, rank = int(environment.get("WORLD_SIZE", "1")), int(environment.get("RANK", "0"))
    local_rank = int(environment.get("LOCAL_RANK", "0"))
    on_cuda = device.startswith("cuda") or (device == "auto" and torch.cuda.is_available())
    place = f"cuda:{local_rank}" if on_cuda else "cpu"
    if on_cuda:
        _check_card(local_rank)
        torch.cuda.set_device(local_rank)
    if size > 1:
        distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield Cluster(rank, size, local_rank, place)
    finally:
        if size > 1:
            distributed.destroy_process_group()
