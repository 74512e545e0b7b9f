"""What a confined process may not do."""

import ctypes
import os
import platform
import signal
import struct
import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.isolation.kernel import (
    ALL_CAPABILITIES,
    ALLOW,
    ENOSYS,
    EPERM,
    KILL,
    NEW_NETWORK,
    NEW_USER,
    Kernel,
)
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


@pytest.fixture
def confined(monkeypatch, tmp_path):
    """Return a function that confines this process by another kernel, which returns that and what is in force."""
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(module, "_limit", lambda _: None)
    monkeypatch.setattr(module, "Path", lambda *parts: tmp_path / parts[-1])

    def confined(kernel, **options):
        monkeypatch.setattr(module, "_libc", lambda: kernel)
        return kernel, confine({}, **options)

    return confined


MACHINES = {"x86_64": (0xC000003E, 0, 56, 72), "aarch64": (0xC00000B7, 1, 220, 25)}
"""Machine -> its number, which column of `CALLS` it has, and the numbers of clone and fcntl."""


@linux
@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_lets_through_what_is_listed_and_nothing_else(machine, threads, confined, monkeypatch):
    """The program is run as the kernel does, also for the processor that is not at hand."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    kernel, in_force = confined(Kernel(), threads=threads)
    assert in_force == list(GUARDS)
    architecture, column, clone, fcntl = MACHINES[machine]
    listed = {numbers[column] for numbers in CALLS.values()}
    listed |= {*OF_X86_ALONE.values()} if machine == "x86_64" else set()
    clone3 = ENOSYS if threads else EPERM
    for command, of_fcntl in ((99, EPERM), (3, ALLOW)):
        others = {435: clone3, fcntl: of_fcntl}
        for number in (*range(600), 0x40000000 + 39, 0xFFFFFFFF):
            expected = ALLOW if number in listed else others.get(number, EPERM)
            assert kernel.decide(architecture, number, 0, command) == expected, number
    assert kernel.decide(architecture ^ 0x40000000, 39) == KILL
    for command in range(1100):
        expected = ALLOW if command in (0, 1, 2, 3, 1030) else EPERM
        assert kernel.decide(architecture, fcntl, 5, command) == expected, command
    assert kernel.decide(architecture, clone, 0x10000 | 0x100) == (ALLOW if threads else EPERM)
    assert kernel.decide(architecture, clone, 0x100) == EPERM


LANDLOCK = {
    1: (13, None, None), 2: (14, None, None), 3: (15, None, None), 4: (15, 3, None), 5: (16, 3, None), 6: (16, 3, 3),
    7: (16, 3, 3), 9: (16, 3, 3),
}  # fmt: skip
"""Version -> how many rights to files it knows, and its bits of TCP and of scopes (linux/landlock.h)."""


@linux
@pytest.mark.parametrize("version", LANDLOCK)
def test_each_kernel_is_asked_for_all_that_its_landlock_knows_and_no_more(version, confined):
    """A kernel refuses a bit that it does not know, and the guard would be left out."""
    kernel, in_force = confined(Kernel(landlock=version))
    rights, *others = LANDLOCK[version]
    known = [(1 << rights) - 1, *(bits for bits in others if bits is not None)]
    assert kernel.ruleset == struct.pack(f"{len(known)}Q", *known)
    assert kernel.is_restricted
    assert "no files" in in_force
    with pytest.raises(OSError, match="descriptor"):
        os.fstat(kernel.rules)


@linux
@pytest.mark.parametrize(("files", "kept"), [(False, 0), (True, 0b11111)])
def test_no_set_of_capabilities_keeps_one(files, kept, confined):
    """Also those of a kernel with more of them than this one has, and those that a program it starts would get."""
    kernel, in_force = confined(Kernel(), files=files)
    assert (kernel.effective, kernel.permitted, kernel.bounding) == (kept, kept, kept)
    assert (kernel.inheritable, kernel.ambient) == (0, 0)
    assert "no capabilities" in in_force
    few, _ = confined(Kernel(permitted=0b1010, effective=0b1010), files=files)
    assert (few.effective, few.permitted) == (0b1010 & kept, 0b1010 & kept), "none is gained"


@linux
@pytest.mark.parametrize(
    ("may_leave", "moved"),
    [
        ((NEW_NETWORK, NEW_NETWORK | NEW_USER), [NEW_NETWORK]),
        ((NEW_NETWORK | NEW_USER,), [NEW_NETWORK | NEW_USER]),
        ((), []),
    ],
)
def test_the_network_is_left_as_root_or_as_a_user_of_its_own(may_leave, moved, confined, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    monkeypatch.setattr(os, "getgid", lambda: 56)
    kernel, in_force = confined(Kernel(may_leave=may_leave))
    assert kernel.moved == moved
    assert ("empty network" in in_force) is bool(moved)
    if NEW_USER in [flags & NEW_USER for flags in moved]:
        assert (tmp_path / "setgroups").read_text() == "deny"
        assert (tmp_path / "uid_map").read_text() == "1234 1234 1", "it keeps its name, for what it has open"
        assert (tmp_path / "gid_map").read_text() == "56 56 1"
    else:
        assert not (tmp_path / "uid_map").exists()


@linux
def test_where_a_system_forbids_names_the_network_is_left_all_the_same(confined, tmp_path):
    for name in ("setgroups", "uid_map", "gid_map"):
        (tmp_path / name).mkdir()  # it cannot be written
    kernel, in_force = confined(Kernel(may_leave=(NEW_NETWORK | NEW_USER,)))
    assert kernel.moved == [NEW_NETWORK | NEW_USER]
    assert "empty network" in in_force


@linux
def test_it_ends_with_its_parent_and_gains_no_privilege(confined):
    kernel, _ = confined(Kernel())
    assert kernel.flags == {1: signal.SIGKILL, 38: 1}  # PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS


@linux
@pytest.mark.parametrize(
    ("kernel", "missing"),
    [
        (Kernel(landlock=0), {"no files"}),
        (Kernel(may_restrict=False), {"no files"}),
        (Kernel(may_leave=()), {"empty network"}),
        (Kernel(may_change=False), {*GUARDS} - {"session", "limits", "empty network"}),
        (Kernel(may_change=False, permitted=0, landlock=0, may_leave=()), {*GUARDS} - {"session", "limits"}),
    ],
)
def test_what_a_kernel_refuses_is_not_said_to_be_in_force(kernel, missing, confined):
    _, in_force = confined(kernel)
    assert in_force == [guard for guard in GUARDS if guard not in missing]


@linux
def test_a_processor_whose_calls_are_not_known_has_no_filter(confined, monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    kernel, in_force = confined(Kernel())
    assert in_force == [guard for guard in GUARDS if guard != "system calls"]
    assert kernel.program == []
    assert kernel.bounding != ALL_CAPABILITIES, "all else holds"


def test_where_the_standard_library_has_no_limits_there_are_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows
    assert module.resource_module() is None
