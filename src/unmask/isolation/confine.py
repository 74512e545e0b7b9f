"""Confine a process that reads a file which may be hostile: it may read that file, compute, and answer.

All of it works on the calling process, which cannot undo it. What a kernel lacks is left out and reported.
Leaving the network takes a process with a single thread: confine first, import afterwards.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

GUARDS = (
    "session", "limits", "death signal", "no new privileges", "empty network", "no capabilities", "no files",
    "system calls",
)  # fmt: skip
"""Names of all that `confine` tries, in order."""

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 1, 22, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446
_CAPABILITY_VERSION = 0x20080522
_FILE_CAPABILITIES = (0, 1, 2, 3, 4)  # CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID
_MAX_CAPABILITIES = 64

# System calls by number (Linux): computing, memory, and reading and writing what is open already. No file is opened,
# no socket made, no process started or signalled; files can be looked for (fstat of today is newfstatat), not read.
# What is not named fails with EPERM.
# fmt: off
_ALLOWED: dict[str, tuple[int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, (
        0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 20, 23, 24, 25, 27, 28, 35, 39, 44, 45, 46, 47, 48, 60, 63,
        97, 98, 99, 100, 131, 186, 202, 204, 228, 229, 230, 231, 262, 270, 271, 273, 309, 318, 324, 334,
    )),
    "aarch64": (0xC00000B7, (
        57, 62, 63, 64, 65, 66, 67, 72, 73, 79, 80, 93, 94, 98, 99, 101, 113, 114, 115, 123, 124, 132, 134, 135,
        139, 153, 160, 163, 165, 168, 172, 178, 179, 206, 207, 210, 211, 212, 214, 215, 216, 222, 226, 232, 233, 278,
        283, 293,
    )),
}
# fmt: on
"""Machine -> audit architecture and the numbers of the system calls that stay, whatever their arguments."""

_FCNTL = {"x86_64": 72, "aarch64": 25}
"""Machine -> number of fcntl, of which the commands below stay; others have a file signal any process of the user."""
_FCNTL_COMMANDS = (0, 1, 2, 3, 1030)
"""F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_DUPFD_CLOEXEC."""

_CLONE = {"x86_64": 56, "aarch64": 220}
"""Machine -> number of clone, which starts a thread with the flag below, and a process without."""
_CLONE_THREAD, _CLONE3, _NO_SUCH_CALL = 0x10000, 435, 0x00050000 | 38
"""clone3 hides its flags from a filter; where it fails with ENOSYS, C libraries use clone."""


def confine(limits: Mapping[str, int], files: bool = False, threads: bool = False) -> list[str]:
    """Confine the calling process for good.

    Args:
        limits: Resource, as in ``RLIMIT_<resource>`` -> bytes, seconds or items that it may have.
        files: Whether it may still open and write files; then all system calls stay, and what root may do with files.
        threads: Whether it may start threads of its own; processes it may not start.

    Returns:
        What is in force, out of `GUARDS`.
    """
    steps = {
        "session": os.setsid if hasattr(os, "setsid") else _missing,
        "limits": lambda: _limit(limits),
        "death signal": lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        "no new privileges": lambda: _prctl(_PR_SET_NO_NEW_PRIVS, 1),
        "empty network": _leave_network,
        "no capabilities": lambda: _drop_capabilities(_FILE_CAPABILITIES if files else ()),
        "no files": _missing if files else _leave_files,
        "system calls": _missing if files else lambda: _filter_system_calls(threads),
    }
    in_force = []
    for name in GUARDS:
        with suppress(OSError, ValueError, KeyError):
            steps[name]()
            in_force.append(name)
    return in_force


def resource_module() -> Any:
    """Return the standard library's ``resource``, or None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    return resource


def _missing() -> None:
    raise OSError("not here")


def _limit(limits: Mapping[str, int]) -> None:
    if (resource := resource_module()) is None:
        _missing()
    refused = []
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (value, value))
        except (ValueError, OSError):  # macOS knows some of them by name only
            refused.append(name)
    if refused:
        raise OSError(f"no limit on {', '.join(refused)}")


def _leave_network() -> None:
    """Move to a network without any interface, where Linux permits it: with a privilege, or as a user of its own."""
    libc, user, group = _libc(), os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNET) == 0:
        return
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with suppress(OSError):  # where it is forbidden, the user has no name here; files open all the same
            Path("/proc/self", name).write_text(text)


def _leave_files() -> None:
    """Give up all files but those that are open, TCP, and signals to others: a second wall behind the filter of calls.

    It is Landlock, in Linux since 5.13; what a kernel knows of it grows with its version.
    """
    libc = _libc()
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 1:
        raise OSError(ctypes.get_errno(), "landlock")
    rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)
    tcp, scopes = 0b11 * (version >= 4), 0b11 * (version >= 6)  # of signals and of abstract sockets
    wanted = struct.pack("QQQ", (1 << rights) - 1, tcp, scopes)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = libc.syscall(_LANDLOCK_CREATE, wanted, ctypes.c_size_t(len(wanted)), ctypes.c_uint(0))
    if rules < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    try:
        if libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint(0)):
            raise OSError(ctypes.get_errno(), "landlock")
    finally:
        os.close(rules)


def _drop_capabilities(kept: tuple[int, ...]) -> None:
    """Give up what root may do, in this process and in what it could start.

    A process that moved to a user namespace of its own has all capabilities there, which goes as well.
    """
    libc = _libc()
    for capability in range(_MAX_CAPABILITIES):
        if capability not in kept:  # fails beyond the last one that the kernel knows, and for who has none to drop
            libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_VERSION, 0))
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable: low 32 bits, then high ones
    if libc.capget(header, held):
        raise OSError(ctypes.get_errno(), "capget")
    permitted = struct.unpack("6I", held.raw)[1]
    low = permitted & sum(1 << capability for capability in kept)
    if libc.capset(header, ctypes.create_string_buffer(struct.pack("6I", low, low, 0, 0, 0, 0))):
        raise OSError(ctypes.get_errno(), "capset")


def _filter_system_calls(threads: bool) -> None:
    """Install a seccomp filter: a program in BPF that the kernel runs before each system call.

    Of what the kernel hands to it, the number lies at byte 0, the architecture at 4, and at 16 and 24 the low halves of
    the first two arguments: the flags of clone, and a command of fcntl.
    """
    machine = platform.machine()
    architecture, allowed = _ALLOWED[machine]
    load, equal, has, give = 0x20, 0x15, 0x45, 0x06
    refuse, permit, kill = 0x00050001, 0x7FFF0000, 0x80000000  # EPERM, go on, end the process

    def step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
        """Return one instruction; a comparison passes over so many."""
        return struct.pack("HBBI", code, if_so, if_not, value)

    program = [step(load, 4), step(equal, architecture, if_so=1), step(give, kill), step(load, 0)]
    for number in allowed:
        program += [step(equal, number, if_not=1), step(give, permit)]
    if threads:
        program += [step(equal, _CLONE3, if_not=1), step(give, _NO_SUCH_CALL), step(equal, _CLONE[machine], if_not=4)]
        program += [step(load, 16), step(has, _CLONE_THREAD, if_so=1), step(give, refuse), step(give, permit)]
    program += [step(equal, _FCNTL[machine], if_so=1), step(give, refuse), step(load, 24)]
    for command in _FCNTL_COMMANDS:
        program += [step(equal, command, if_not=1), step(give, permit)]
    program.append(step(give, refuse))
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(code))
    _prctl(_PR_SET_SECCOMP, 2, ctypes.create_string_buffer(header))


def _prctl(option: int, *values: object) -> None:
    if _libc().prctl(option, *values, *([0] * (4 - len(values)))):
        raise OSError(ctypes.get_errno(), "prctl")


def _libc() -> ctypes.CDLL:
    if sys.platform != "linux":
        raise OSError("these guards are Linux's")
    return ctypes.CDLL(None, use_errno=True)
