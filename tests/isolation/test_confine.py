"""What a confined process may not do."""

import os
import subprocess
import sys

import pytest

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
