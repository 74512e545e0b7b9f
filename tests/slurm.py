"""A real Slurm, whose daemons the tests start on this machine."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

STEP_SECONDS = 240
DAEMONS = ("munged", "slurmctld", "slurmd")
SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
FirstJobId={first_job}
NodeName=localhost NodeHostname={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def missing():
    """Return why Slurm cannot be started here, or an empty text."""
    absent = [name for name in (*DAEMONS, "srun", "sbatch", "scontrol") if shutil.which(name, path=SBIN) is None]
    if absent:
        return f"{', '.join(absent)} not found; on Debian: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root"


needs_slurm = [pytest.mark.slurm, pytest.mark.skipif(bool(missing()), reason=missing())]
"""Marks of a module whose tests use the fixture `slurm`."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, what):
    """Ask until the answer is true."""
    deadline = time.monotonic() + STEP_SECONDS
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"no {what} within {STEP_SECONDS} s"
        time.sleep(0.05)
    return answer


def end_all(environment):
    """Kill whatever belongs to this Slurm: daemons, the keepers of its steps, and their tasks."""
    mark = f"SLURM_CONF={environment['SLURM_CONF']}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0") and int(process.name) != os.getpid():
                os.kill(int(process.name), signal.SIGKILL)
        except OSError:
            continue  # gone in the meantime


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of this machine; its environment."""
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "key").write_bytes(secrets.token_bytes(1024))
    (folder / "key").chmod(0o400)
    ports = (free_port(), free_port())
    # The job's number gives the port where its processes meet; another one each time.
    facts = {"folder": folder, "ports": ports, "host": socket.gethostname().split(".")[0], "first_job": ports[0]}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**facts))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "SBATCH"))}
    environment |= {"PATH": SBIN, "SLURM_CONF": str(folder / "slurm.conf"), "OMP_NUM_THREADS": "1"}
    key = [f"--{name}={folder / name}" for name in ("key-file", "pid-file", "seed-file", "log-file")]
    key = [text.replace("/key-file", "/key") for text in key]
    commands = (["munged", "--force", "--foreground", f"--socket={folder}/munge.sock", *key],)
    commands += (["slurmctld", "-D"], ["slurmd", "-D"])
    with ExitStack() as stack:
        stack.callback(end_all, environment)
        for command in commands:
            log = stack.enter_context((folder / f"{command[0]}.out").open("wb"))
            daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            stack.callback(daemon.wait)
            stack.callback(daemon.kill)
        wait_for(lambda: "idle" in run(environment, "sinfo", "--noheader", "--format=%t", check=False), "idle node")
        yield environment


def run(environment, *command, check=True):
    """Return what a command prints."""
    options = {"env": environment, "capture_output": True, "text": True, "timeout": STEP_SECONDS}
    done = subprocess.run([str(part) for part in command], check=False, **options)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout
