"""What a process that decodes a stranger's file may still do: read that file, compute, and answer.

Everything here works on the calling process and cannot be undone by it. What a kernel lacks is left out and reported.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

GUARDS = ("session", "limits", "death signal", "no new privileges", "empty network", "system calls")
"""Names of all that `confine` tries, in order."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_CLONE_NEWNET = 0x40000000
_MOST_FILES = 16

# System calls by number (Linux): computing, memory, and reading and writing what is open already. No file is opened,
# no socket made, no process started or signalled; files can be looked for (fstat of today is newfstatat), not read.
# What is not named fails with EPERM.
# fmt: off
_ALLOWED: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, (
        0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 23, 24, 25, 27, 28, 35, 39, 44, 45, 46, 47, 48, 60, 63,
        72, 97, 98, 99, 100, 131, 186, 202, 204, 228, 229, 230, 231, 262, 270, 271, 273, 309, 318, 324, 334,
    )),
    "aarch64": (0xC00000B7, (
        25, 57, 62, 63, 64, 65, 66, 67, 72, 73, 79, 80, 93, 94, 98, 99, 101, 113, 114, 115, 123, 124, 132, 134, 135,
        139, 153, 160, 163, 165, 168, 172, 178, 179, 206, 207, 210, 211, 212, 214, 215, 216, 222, 226, 232, 233, 278,
        283, 293,
    )),
}
# fmt: on
"""Machine -> audit architecture and the numbers of the system calls that stay."""


def confine(memory_bytes: int, cpu_seconds: int) -> list[str]:
    """Confine the calling process for good.

    Args:
        memory_bytes: Address space it may have.
        cpu_seconds: Processor time it may use.

    Returns:
        What is in force, out of `GUARDS`.
    """

    def limits() -> None:
        _limit(memory_bytes, cpu_seconds)

    steps: tuple[Callable[[], None], ...] = (
        _own_session, limits, _die_with_parent, _no_new_privileges, _no_network, _few_system_calls,
    )  # fmt: skip
    in_force = []
    for name, step in zip(GUARDS, steps, strict=True):
        with suppress(OSError, ValueError, AttributeError, KeyError, ImportError):
            step()
            in_force.append(name)
    return in_force


def _own_session() -> None:
    os.setsid()


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    import resource  # not on Windows

    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_NOFILE, _MOST_FILES),
        (resource.RLIMIT_AS, memory_bytes),
    ):
        resource.setrlimit(what, (most, most))


def _die_with_parent() -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _no_network() -> None:
    """Move to a network without even a loopback; needs a privilege, and is a second bar behind the system calls."""
    if _libc().unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")


def _few_system_calls() -> None:
    """Install a seccomp filter: a little program in BPF that the kernel runs before each system call."""
    architecture, allowed = _ALLOWED[platform.machine()]
    load, equal, give = 0x20, 0x15, 0x06
    refuse, permit, kill = 0x00050001, 0x7FFF0000, 0x80000000  # EPERM, go on, end the process
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill), (load, 0, 0, 0)]
    program += [(equal, len(allowed) - i, 0, number) for i, number in enumerate(allowed)]
    program += [(give, 0, 0, refuse), (give, 0, 0, permit)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    _prctl(_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header))


def _prctl(option: int, *values: object) -> None:
    if _libc().prctl(option, *values, *([0] * (4 - len(values)))):
        raise OSError(ctypes.get_errno(), "prctl")


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise OSError("these guards are Linux's")
    return ctypes.CDLL(None, use_errno=True)
