"""What a confined process may not do."""

import ctypes
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from unmask.isolation import confine as module
from unmask.isolation.confine import GUARDS, confine

linux = pytest.mark.skipif(sys.platform != "linux", reason="the guards of Linux")

FORBIDDEN = {
    "reads a file": "open('/etc/hostname')",
    "writes a file": "os.write(os.open('x', os.O_CREAT | os.O_WRONLY), b'x')",
    "writes to an open file": "os.write(spare, b'x' * 100)",
    "makes a socket": "socket.socket()",
    "forks": "os.fork()",
    "runs a program": "os.execv('/bin/true', ['true'])",
    "signals its parent": "os.kill(os.getppid(), 0)",
    "has a pipe signal its parent": "fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getppid())",
    "has a thread of it signalled": "fcntl.fcntl(pipe, 15, struct.pack('ii', 1, os.getppid()))",  # F_SETOWN_EX
    "chooses the signal": "fcntl.fcntl(pipe, 10, signal.SIGKILL)",  # F_SETSIG
    "lets a pipe signal": "fcntl.fcntl(pipe, fcntl.F_SETFL, os.O_ASYNC)",
    "hides a command in the high half": "call(libc.syscall, 72, pipe, ctypes.c_long(8 | 1 << 32), os.getppid())",
    "lets a socket signal": "fcntl.ioctl(pipe, 0x8901, struct.pack('i', os.getppid()))",  # FIOSETOWN
    "leases a file": "fcntl.fcntl(spare, fcntl.F_SETLEASE, fcntl.F_WRLCK)",
    "watches a folder": "fcntl.fcntl(spare, fcntl.F_NOTIFY, fcntl.DN_CREATE)",
    "locks a file": "fcntl.flock(spare, fcntl.LOCK_EX)",
    "queues a signal": "call(libc.syscall, 129, os.getppid(), 10, 0)",
    "arms a timer": "signal.setitimer(signal.ITIMER_REAL, 9)",
    "calls by the other numbers": "call(libc.syscall, 0x40000000 + 39)",
    "becomes another user": "os.setuid(1)",
    "changes its root": "os.chroot('.')",
    "raises its limits": "resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))",
    "opens many": "[os.dup(spare) for _ in range(64)]",
    "takes memory": "bytearray(3 << 30)",
}


@linux
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_confined_process_cannot(what, tmp_path):
    code = f"""
import ctypes, fcntl, os, resource, signal, socket, struct, sys
from unmask.isolation.confine import confine
spare = os.open("spare", os.O_CREAT | os.O_WRONLY)
pipe, _ = os.pipe()
libc = ctypes.CDLL(None, use_errno=True)
def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")
in_force = confine({{"AS": 2 << 30, "CPU": 60, "CORE": 0, "FSIZE": 0, "NOFILE": 16}})
sys.stdout.write(str(len(in_force))); sys.stdout.flush()
try:
    {FORBIDDEN[what]}
except (OSError, ValueError, MemoryError):
    os._exit(0)
os._exit(77)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) in {(0, str(count)) for count in (6, 7, 8)}, done.stderr


@linux
@pytest.mark.parametrize(("files", "may"), [(False, "0"), (True, "1f")])
def test_root_keeps_nothing_but_what_files_take(files, may):
    code = f"""
import os, sys
from unmask.isolation.confine import confine
status = open("/proc/self/status")
confine({{}}, files={files})
held = dict(line.split(":\\t") for line in status.read().splitlines() if line.startswith("Cap"))
print(*(f"{{int(held[name], 16):x}}" for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    inherited, permitted, effective, bounding, ambient = done.stdout.split()
    assert (inherited, ambient) == ("0", "0")
    assert permitted == effective
    if os.getuid() == 0:
        assert (permitted, bounding) == (may, may), done.stderr
    else:
        assert permitted == "0", done.stderr


@linux
def test_what_decoding_takes_stays():
    code = """
import fcntl, mmap, os
from unmask.isolation.confine import confine
ours, memory = os.open("/dev/null", os.O_RDONLY), os.memfd_create("m")
os.ftruncate(memory, 4096)
confine({"NOFILE": 16})
fcntl.fcntl(ours, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
os.close(os.dup(ours))
assert fcntl.fcntl(ours, fcntl.F_GETFL) is not None
mmap.mmap(memory, 4096)[0] = 1
print("went well")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "went well\n", done.stderr


@linux
@pytest.mark.parametrize("threads", [False, True])
def test_threads_start_where_they_may_and_processes_never(threads):
    code = f"""
import os, subprocess, sys, threading
from unmask.isolation.confine import confine
in_force = confine({{}}, threads={threads})
said = []
try:
    thread = threading.Thread(target=said.append, args=["ran"])
    thread.start()
    thread.join()
except RuntimeError:
    said.append("no thread")
for start in (os.fork, lambda: subprocess.run(["true"])):
    try:
        start()
    except OSError:
        said.append("no process")
print("system calls" in in_force, *said)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    expected = f"True {'ran' if threads else 'no thread'} no process no process\n"
    assert done.stdout == expected, done.stderr


CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65), "writev": (20, 66),
    "sched_yield": (24, 124), "mremap": (25, 216), "mincore": (27, 232), "madvise": (28, 233), "nanosleep": (35, 101),
    "getpid": (39, 172), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "shutdown": (48, 210), "exit": (60, 93), "uname": (63, 160), "getrlimit": (97, 163), "getrusage": (98, 165),
    "sysinfo": (99, 179), "times": (100, 153), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "clock_gettime": (228, 113), "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115), "exit_group": (231, 94), "newfstatat": (262, 79), "pselect6": (270, 72),
    "ppoll": (271, 73), "set_robust_list": (273, 99), "getcpu": (309, 168), "getrandom": (318, 278),
    "membarrier": (324, 283), "rseq": (334, 293),
}  # fmt: skip
"""Name -> number on x86-64 and on aarch64."""
OF_X86_ALONE = {"poll": 7, "select": 23}


def test_the_system_calls_that_stay_are_these():
    """Another one is a decision. Both processors have the same, but for two that aarch64 never had."""
    (x86, x86_calls), (arm, arm_calls) = (module._ALLOWED[machine] for machine in ("x86_64", "aarch64"))
    assert sorted(x86_calls) == sorted([*(number for number, _ in CALLS.values()), *OF_X86_ALONE.values()])
    assert sorted(arm_calls) == sorted(number for _, number in CALLS.values())
    assert (x86, arm) == (0x80000000 | 0x40000000 | 62, 0x80000000 | 0x40000000 | 183)  # 64 bits, little-endian, EM_*
    assert (module._FCNTL, module._CLONE) == ({"x86_64": 72, "aarch64": 25}, {"x86_64": 56, "aarch64": 220})


@linux
def test_what_this_kernel_has_is_in_force():
    """A guard that fails is left out, so a mistake in one would show nowhere."""
    code = "from unmask.isolation.confine import confine; print(*confine({'CORE': 0}), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    has_landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1)) >= 1
    wanted = [guard for guard in GUARDS if guard != "empty network" and (has_landlock or guard != "no files")]
    assert [guard for guard in done.stdout.split("\n")[:-1] if guard != "empty network"] == wanted


def test_a_limit_that_is_refused_is_no_guard(monkeypatch):
    set_to = {}

    def setrlimit(kind, limits):
        if kind == "AS":
            raise ValueError("current limit exceeds maximum limit")
        set_to[kind] = limits

    hard = {"AS": -1, "CPU": 30, "NOFILE": -1}
    fake = SimpleNamespace(
        RLIM_INFINITY=-1, RLIMIT_AS="AS", RLIMIT_CPU="CPU", RLIMIT_NOFILE="NOFILE",
        getrlimit=lambda kind: (-1, hard[kind]), setrlimit=setrlimit,
    )  # fmt: skip
    monkeypatch.setattr(module, "resource_module", lambda: fake)
    module._limit({"CPU": 60, "NOFILE": 16})
    assert set_to == {"CPU": (30, 30), "NOFILE": (16, 16)}
    with pytest.raises(OSError, match="no limit on AS"):
        module._limit({"AS": 5, "CPU": 10})
    assert set_to["CPU"] == (10, 10), "the others hold all the same"
    monkeypatch.setattr(module, "resource_module", lambda: None)
    with pytest.raises(OSError, match="not here"):
        module._limit({"CPU": 60})


def test_elsewhere_than_on_linux_only_what_python_has_is_in_force(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(module, "_limit", lambda _: None)
    assert confine({"CPU": 60}) == ["session", "limits"]
