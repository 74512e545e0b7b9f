"""Nothing of what `tests.isolation.escapes` tries gets out, whoever runs unmask and whatever the kernel has."""

import json
import os
import platform
import subprocess
import sys

import pytest

from tests.isolation.escapes import ESCAPES
from unmask.cli.checks import CHECKS, WITHOUT
from unmask.isolation.confine import GUARDS

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="system calls by their numbers on x86-64"
)
as_root = pytest.mark.skipif(sys.platform == "win32" or os.getuid() != 0, reason="only root can become somebody else")


def tried(*options):
    command = [sys.executable, "-m", "tests.isolation.escapes", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    values = json.loads(done.stdout)
    escaped = {name: how for name, how in values["escapes"].items() if not how.startswith("refused")}
    return values["in force"], escaped


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="as it is"),
        pytest.param(["--user", "65534"], id="nobody", marks=as_root),
        pytest.param(["--docker"], id="root in Docker", marks=as_root),
        pytest.param(["--docker", "--user", "65534"], id="nobody in Docker", marks=as_root),
        pytest.param(["--without", "no files"], id="before Linux 5.13"),
        pytest.param(["--without", "no capabilities", "--without", "empty network"], id="without name spaces"),
    ],
)
def test_every_way_out_is_shut(options):
    assert len(ESCAPES) >= 60
    in_force, escaped = tried(*options)
    assert escaped == {}
    assert {"limits", "no new privileges", "system calls"} <= set(in_force)


def test_without_the_two_walls_most_ways_are_open():
    """What is tried is worth trying."""
    _, escaped = tried("--without", "system calls", "--without", "no files")
    assert len(escaped) >= 50
    assert {"open a file", "fork", "read its memory", "io_uring", "signal the parent"} <= set(escaped)


def test_without_the_filter_files_and_connections_stay_shut():
    in_force, escaped = tried("--without", "system calls")
    if "no files" not in in_force:
        pytest.skip("this kernel has no Landlock")
    assert not {"open a file", "make a file", "openat2", "list a folder", "TCP", "signal the parent"} & set(escaped)


def test_the_doctor_says_what_holds_without_a_guard(monkeypatch):
    assert set(WITHOUT) == set(GUARDS)
    monkeypatch.setattr("unmask.media.guards_in_force", lambda: GUARDS[:-2])
    said = CHECKS["decoding"]()
    assert f"this kernel lacks: no files ({WITHOUT['no files']}), system calls ({WITHOUT['system calls']})" in said
