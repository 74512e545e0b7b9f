"""Run a module in a process without network or further processes, within bounds of memory, time and output.

    python -P -m unmask.isolation.process package.module < job > answer

It is for files that may be hostile. The limits come first and the module's imports after them, see
`unmask.isolation.confine`. The module's ``main`` takes the job, bytes, and returns the answer, bytes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from unmask.errors import ModelError
from unmask.isolation.confine import confine, resource_module

_LIMITS = {"CORE": 0, "DATA": 16 << 30, "FSIZE": 8 << 30, "CPU": 3600}
"""Name of the resource -> bytes, or seconds of computing."""

_FORBIDDEN = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "os.startfile")
"""How the audit events begin that make connections or start processes."""

_STDERR_SHOWN = 300
_MAX_ANSWER_BYTES = 1 << 20


def run_isolated(module: str, job: bytes, folder: Path, timeout_seconds: float) -> bytes:
    """Run ``module.main(job)`` in a process of its own.

    Args:
        module: Name of a module with a function ``main``.
        job: Argument of ``main``.
        folder: Working folder of the process.
        timeout_seconds: Wall time after which the process is killed.

    Returns:
        What ``main`` returned.

    Raises:
        ModelError: It took too long or too much, or crashed.
    """
    command = [sys.executable, "-P", "-B", "-m", __name__, module]  # -P: a file torch.py in the folder is not imported
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in paths if path)}
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, one of our modules
            command, input=job, capture_output=True, cwd=folder, env=environment, timeout=timeout_seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"reading it took longer than {timeout_seconds:.0f} seconds and was stopped") from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip()[-_STDERR_SHOWN:].splitlines()[-1:] or ["no message"]
        how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with {done.returncode}"
        raise ModelError(f"the process that read it {how} ({last[0]}); it is damaged, or asks for more than is allowed")
    if len(done.stdout) > _MAX_ANSWER_BYTES:
        raise ModelError(f"the process that read it gave {len(done.stdout)} bytes; it is damaged, or was made to do so")
    return done.stdout


@contextmanager
def memory_bounded(data_bytes: int) -> Iterator[None]:
    """Bound the memory of this process within the block, where the platform can."""
    resource = resource_module()
    if resource is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bounds = [limit for limit in (data_bytes, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min(bounds), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _refuse(event: str, _: object) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"{event} is not allowed here: a file from outside is being read")


def main() -> None:
    """Run the module that the command line names."""
    confine(_LIMITS, files=True)
    sys.addaudithook(_refuse)  # which cannot be taken away again
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what libraries print is no part of the answer
        answer.write(import_module(sys.argv[1]).main(sys.stdin.buffer.read()))


if __name__ == "__main__":
    main()
