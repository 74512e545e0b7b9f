"""What a confined process may not do."""

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
    "raises its limits": "resource.setrlimit(resource.RLIMIT_FSIZE, (99, 99))",
    "opens many": "[os.dup(spare) for _ in range(64)]",
    "takes memory": "bytearray(3 << 30)",
}


@linux
@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_confined_process_cannot(what, tmp_path):
    code = f"""
import os, resource, socket, sys
from unmask.isolation.confine import confine
spare = os.open("spare", os.O_CREAT | os.O_WRONLY)
in_force = confine({{"AS": 2 << 30, "CPU": 60, "CORE": 0, "FSIZE": 0, "NOFILE": 16}})
sys.stdout.write(str(len(in_force))); sys.stdout.flush()
try:
    {FORBIDDEN[what]}
except (OSError, ValueError, MemoryError):
    os._exit(0)
os._exit(77)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) in {(0, "5"), (0, "6")}, done.stderr
