"""Sixty and more ways out of a decoder, each tried in a process that is confined as a decoder is.

    python -m tests.isolation.escapes                             # as it is
    python -m tests.isolation.escapes --without "system calls"    # as on a kernel that lacks a guard
    python -m tests.isolation.escapes --user 65534 --docker       # as nobody, under what Docker forbids by default

A call counts as refused when the kernel says that it is forbidden, not there, or beyond a limit. Arguments that would
do harm make no sense on purpose: an error about them shows that the call was looked at, which counts as a way out.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import tempfile

from unmask.isolation import confine as confine_module
from unmask.isolation.confine import confine

LIMITS = {"AS": 2 << 30, "CPU": 60, "CORE": 0, "FSIZE": 0, "NOFILE": 16}
REFUSED = (
    errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EMFILE, errno.ENOMEM, errno.EFBIG, errno.EAGAIN, errno.EXDEV,
)  # fmt: skip

ESCAPES = {
    # files
    "open a file": "os.open('/etc/hostname', os.O_RDONLY)",
    "make a file": "os.open('new', os.O_CREAT | os.O_WRONLY)",
    "make a file, as of old": "call(85, b'new', 0o600)",
    "openat2": "call(437, -100, b'/etc/hostname', bytes(24), 24)",
    "open what is open again": "os.open('/proc/self/fd/3', os.O_RDWR)",
    "open by handle": "call(304, spare, bytes(16), 0)",
    "get a handle": "call(303, -100, b'spare', struct.pack('Ii', 128, 0) + bytes(128), bytes(8), 0)",
    "list a folder": "os.listdir('/')",
    "write to an open file": "os.write(spare, b'x' * 100)",
    "make an open file longer": "call(285, spare, 0, ctypes.c_long(0), ctypes.c_long(1 << 20))",
    "cut a file": "call(76, b'spare', 0)",
    "cut an open file": "call(77, spare, 0)",
    "remove a file": "os.unlink('other')",
    "rename a file": "os.rename('other', 'another')",
    "link a file": "os.link('other', 'linked')",
    "make a symbolic link": "os.symlink('/etc', 'linked')",
    "make a folder": "os.mkdir('folder')",
    "make a pipe with a name": "os.mkfifo('pipe')",
    "change a mode": "os.chmod('other', 0o777)",
    "change an owner": "os.chown('other', 0, 0)",
    "change times": "os.utime('other', (0, 0))",
    "set an attribute": "os.setxattr('other', 'user.a', b'b')",
    "move to a folder": "os.chdir('/')",
    "splice files": "call(275, spare, None, pipes[1], None, 1, 0)",
    "send a file": "os.sendfile(pipes[1], spare, 0, 1)",
    "watch files": "call(294, 0)",
    "watch all files": "call(300, 0, 0)",
    # the file system
    "change the root": "os.chroot('.')",
    "mount": "call(165, b'none', b'.', b'no-such-kind', 0, None)",
    "unmount": "call(166, b'.', 0)",
    "pivot the root": "call(155, b'.', b'.')",
    "open a mount": "call(428, -100, b'.', 0)",
    "make a file system": "call(430, b'no-such-kind', 0)",
    # the network
    "TCP": "socket.socket().connect(('127.0.0.1', 9))",
    "UDP": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
    "a socket with a name": "socket.socket(socket.AF_UNIX).connect('\\0nobody')",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "raw packets": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    # processes
    "fork": "os._exit(0) if os.fork() == 0 else None",
    "clone": "call(56, 1 << 31, 0, 0, 0, 0)",
    "clone3": "call(435, bytes(64), 7)",
    "run a program": "os.execv('/no/such/program', ['x'])",
    "run what lies in memory": "call(322, spare, b'', None, None, 0x1000)",
    "memory that is a file": "os.memfd_create('x')",
    "secret memory": "call(447, 0)",
    "signal the parent": "os.kill(os.getppid(), 0)",
    "signal a thread of it": "call(234, os.getppid(), os.getppid(), 0)",
    "queue a signal": "call(129, os.getppid(), 0, bytes(128))",
    "have a pipe signal it": "fcntl.fcntl(pipes[0], fcntl.F_SETOWN, os.getppid())",
    "hold it by a descriptor": "os.pidfd_open(os.getppid())",
    "take its descriptors": "call(438, spare, 0, 0)",
    "trace it": "call(101, 16, os.getppid(), 0, 0)",
    "be traced": "call(101, 0, 0, 0, 0)",
    "read its memory": "call(310, os.getppid(), None, 0, None, 0, 0)",
    "write its memory": "call(311, os.getppid(), None, 0, None, 0, 0)",
    "open its memory": "os.open(f'/proc/{os.getppid()}/mem', os.O_RDWR)",
    "open its own memory": "os.open('/proc/self/mem', os.O_RDWR)",
    "compare processes": "call(312, os.getppid(), os.getppid(), 0, 0, 0)",
    "change its limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CORE)",
    "shared memory with a number": "call(29, 0x756e, 4096, 0o600)",
    "a queue of messages": "call(68, 0x756e, 0o600)",
    "a semaphore": "call(64, 0x756e, 1, 0o600)",
    # the kernel
    "io_uring": "call(425, 1, bytes(120))",
    "userfaultfd": "call(323, 1)",
    "bpf": "call(321, 99, None, 0)",
    "perf events": "call(298, None, 0, -1, -1, 0)",
    "keys": "call(250, 99, 0, 0, 0, 0)",
    "load a module": "call(175, None, 0, b'')",
    "load a kernel": "call(246, 0, 0, None, 99)",
    "restart": "call(169, 0, 0, 0, None)",
    "rename the machine": "call(170, b'x', 9999)",
    "ports": "call(173, 0, 1, 1)",
    "another name space": "call(272, 0x20000000)",
    "join a name space": "call(308, spare, 0)",
    "become another user": "os.setresuid(12345, 12345, 12345)",
    "another personality": "call(135, 0x0400000)",
    "calls by the other numbers": "call(0x40000000 + 39)",
    # the guards themselves
    "loosen the filter": "call(317, 1, 0, bytes(16))",
    "keep capabilities": "call(157, 8, 1, 0, 0, 0)",
    "outlive the parent": "call(157, 1, 0, 0, 0, 0)",
    "raise a limit": "resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))",
    "go first": "call(141, 0, 0, -20)",
    # floods
    "many descriptors": "[os.dup(spare) for _ in range(64)]",
    "much memory": "mmap.mmap(-1, 3 << 30)",
    "many threads": "__import__('_thread').start_new_thread(int, ())",
}  # fmt: skip
"""What is tried -> a line of Python; ``call`` is a system call by its number on x86-64."""


def call(number: int, *arguments: object) -> int:
    """Call the kernel, or raise OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    if (done := libc.syscall(ctypes.c_long(number), *values)) < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return done


def attempt(line: str, without: tuple[str, ...]) -> str:
    """Try to get out, in a child that is confined; return how that went."""
    answers, theirs = os.pipe()
    if pid := os.fork():
        os.close(theirs)
        said = os.read(answers, 200).decode()
        os.close(answers)
        _, status = os.waitpid(pid, 0)
        return said or f"refused: ended with {os.waitstatus_to_exitcode(status)}"
    try:
        names = {"spare": os.open("spare", os.O_CREAT | os.O_WRONLY), "pipes": os.pipe(), "call": call}
        names |= {module.__name__: module for module in (os, socket, struct, fcntl, resource, mmap, ctypes)}
        confine_module.GUARDS = tuple(guard for guard in confine_module.GUARDS if guard not in without)
        confine(LIMITS)
        try:
            eval(line, names)
            said = "went through"
        except OSError as error:
            said = "refused" if error.errno in REFUSED else f"looked at: {errno.errorcode.get(error.errno)}"
        except (MemoryError, ValueError, RuntimeError) as error:
            said = f"refused: {type(error).__name__}"
        os.write(theirs, said.encode())
    finally:
        os._exit(0)


def as_in_docker() -> None:
    """Give up the capabilities that Docker's default does not have, and refuse name spaces, as its profile does."""
    kept = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if capability not in kept:
            libc.prctl(24, capability, 0, 0, 0)
    mask = sum(1 << capability for capability in kept)
    libc.capset(struct.pack("Ii", 0x20080522, 0), struct.pack("6I", mask, mask, 0, 0, 0, 0))
    refused = (165, 166, 155, 272, 308, 321, 323, 425, 298, 175, 246, 250)
    program = [(0x20, 0, 0, 0)]
    program += [step for number in refused for step in ((0x15, 0, 1, number), (0x06, 0, 0, 0x00050001))]
    program.append((0x06, 0, 0, 0x7FFF0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in program))
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)), 0, 0):
        raise OSError(ctypes.get_errno(), "no filter")


def main() -> None:
    """Try all, and print as JSON what is in force and what came of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--user", type=int)
    parser.add_argument("--docker", action="store_true")
    asked = parser.parse_args()
    signal.alarm(60)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in ("spare", "other"):
            with open(name, "w") as file:
                file.write(name)
        os.chmod(folder, 0o777)
        os.chmod("spare", 0o666)
        if asked.docker:
            as_in_docker()
        if asked.user is not None:
            os.setresgid(asked.user, asked.user, asked.user)
            os.setresuid(asked.user, asked.user, asked.user)
        outcome = {name: attempt(line, tuple(asked.without)) for name, line in ESCAPES.items()}
        sys.stdout.write(json.dumps({"in force": guards(tuple(asked.without)), "escapes": outcome}))
        sys.stdout.flush()
        os._exit(0) if asked.user is not None or asked.docker else None


def guards(without: tuple[str, ...]) -> list[str]:
    """Return what is in force here in a child that is confined."""
    answers, theirs = os.pipe()
    if not os.fork():
        confine_module.GUARDS = tuple(guard for guard in confine_module.GUARDS if guard not in without)
        os.write(theirs, json.dumps(confine(LIMITS)).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(answers, 1000))


if __name__ == "__main__":
    main()
