"""Let every call that writes go wrong in turn, and look at what is left.

    python -m tests.faults.every_call scan                 # every call, in each of the ways
    python -m tests.faults.every_call scan 25 3            # every 25th, from the 3rd
    python -m tests.faults.every_call scan rounds 500      # two at a time on the same outputs, stopped, killed, failing

A process that has imported all that is needed forks for each point: the child does a workload of
`tests.faults.workloads` until its n-th write, fsync, rename, link, new folder or opening for writing, which fails, or
before which it is killed or stopped (`shim.c`). Then each output is what it was before or what it is to be, whole;
another run goes on, and all ends as if nothing had happened.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path

from tests.faults.workloads import OF_KILLED, OF_UNFINISHED, WORKLOADS

WAYS = {"fails": 1, "disk full": 2, "killed": 3, "killed within": 4, "two drivers": 5}
"""Way -> its number in shim.c. Of two drivers one is stopped, another one begins, and the first goes on."""
PATIENCE_SECONDS = 60.0
SHIM = Path(__file__).with_name("shim.c")


def build_shim(folder: Path) -> Path:
    """Compile the shim.

    Raises:
        FileNotFoundError: There is no compiler.
    """
    target = folder / "shim.so"
    command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(target), str(SHIM), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return target


@dataclass(frozen=True)
class End:
    """How a child ended."""

    code: int
    """Its exit code, or minus a signal."""
    said: str
    """What it printed to stderr."""


class Bench:
    """Does a workload in children of this process."""

    def __init__(self, name: str, base: Path) -> None:
        self.shim, self.name = ctypes.CDLL(None), name
        (base / "inputs").mkdir()
        self.work = WORKLOADS[name](base / "inputs")
        self.base, self.said, self.imported = base, base / "stderr", base / "imported"
        # Each outcome is looked at in a folder of the same name: some outputs say where they are.
        self.out = base / "out"
        self.calls = self._undisturbed()

    def _undisturbed(self) -> int:
        """Do it once with nothing going wrong; keep what was there before and after; return how many calls it took."""
        with redirect_stdout(StringIO()):
            self._begin()
        self.old = self.work.outputs(self.out)
        self.start = self.base / "start"
        shutil.copytree(self.out, self.start)
        end = self._join(self._fork(False, 0, 0))
        assert end.code == 0, end
        for name in self.imported.read_text().split():  # once, not in each child anew
            if name not in sys.modules:
                with suppress(ImportError):
                    importlib.import_module(name)
        self.new = self.work.outputs(self.out)
        assert self.new != self.old
        return int(self.shim.fault_calls())

    def _begin(self) -> None:
        self.out.mkdir()
        self.work.begin(self.out)

    def _renew(self) -> None:
        shutil.rmtree(self.out)
        shutil.copytree(self.start, self.out)

    def _fork(self, resume: bool, way: int, call: int, clock: bool = False) -> int:
        sys.stdout.flush()
        if pid := os.fork():
            return pid
        code = 99
        try:
            stderr = os.open(self.said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(stderr, 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            self.shim.fault_clock(int(clock))
            self.shim.fault_arm(os.fsencode(self.out), way, call)
            code = self.work.run(self.out, resume)
            if not call:
                self.imported.write_text("\n".join(sys.modules))
        except BaseException:  # noqa: BLE001 - what the other side looks for
            traceback.print_exc()
        finally:
            self.shim.fault_arm(b"", 0, 0)
            sys.stderr.flush()
            os._exit(code)

    def _join(self, pid: int, stopped: bool = False) -> End:
        """Wait for the end of a child, or until it is stopped, which is the code minus SIGSTOP."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            found, status = os.waitpid(pid, os.WNOHANG | (os.WUNTRACED if stopped else 0))
            if found:
                code = -signal.SIGSTOP if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
                return End(code, self.said.read_text()[-2000:] if self.said.exists() else "")
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return End(-signal.SIGALRM, f"it took over {PATIENCE_SECONDS} seconds: {self.said.read_text()}")

    def try_call(self, way: str, call: int) -> str:
        """Let a call go wrong; return what is wrong then, empty where nothing is."""
        self._renew()
        if way == "two drivers":
            return self._drive_twice(call)
        end = self._join(self._fork(False, WAYS[way], call))
        if way.startswith("killed"):
            # Calls of threads come in an order that may differ a little: the last ones may not come at all.
            if end.code not in (-signal.SIGKILL, 0):
                return f"it ended with {end}"
        elif end.code not in (0, 2) or ("Traceback" in end.said and not self.work.logs_errors):
            return f"it ended with {end}"
        elif left := self._left(*OF_KILLED):
            return f"it left {left}"
        return self._half() or self._go_on(done=end.code == 0)

    def _drive_twice(self, call: int) -> str:
        first = self._fork(False, WAYS["two drivers"], call)
        at_half = self._join(first, stopped=True)
        done = at_half.code == 0
        second = self._join(self._fork(True, 0, 0))
        wrong = "" if second.code in (0, 2) else f"the second ended with {second}"
        wrong = wrong or self._half()
        if at_half.code == -signal.SIGSTOP:
            os.kill(first, signal.SIGCONT)
            end = self._join(first)
            wrong = wrong or ("" if end.code in (0, 2) and "Traceback" not in end.said else f"the first ended: {end}")
            done = end.code == 0
        return wrong or self._half() or self._go_on(done)

    def _half(self) -> str:
        """Name the outputs that are neither old nor new."""
        try:
            now = self.work.outputs(self.out)
        except Exception as error:  # noqa: BLE001 - half a checkpoint
            return f"an output cannot be read: {error!r}"
        wrong = [name for name, data in now.items() if data not in (self.old.get(name), self.new.get(name))]
        wrong = [name for name in wrong if not self.work.may_be(name, now[name])]
        gone = [name for name in self.old if name not in now and name in self.new]
        return f"neither old nor new: {wrong}; gone: {gone}" if wrong or gone else ""

    def _go_on(self, done: bool) -> str:
        """Go on, unless all is done, and compare with what nothing disturbed."""
        if not done and (end := self._join(self._fork(True, 0, 0))).code != 0:
            return f"the next run ended with {end}"
        now = self.work.outputs(self.out)
        if now != self.new:
            names = [name for name in {*now, *self.new} if now.get(name) != self.new.get(name)]
            first, (before, after) = min(names), (self.new.get(min(names), b""), now.get(min(names), b""))
            at = max(60, next((i for i, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), 0))
            shown = [data[at - 60 : at + 60] for data in (before, after)]
            return f"another answer in {len(names)}, e.g. {first}: {shown[0]!r} became {shown[1]!r}"
        return f"at the end it left {left}" if (left := self._left(*OF_KILLED, *OF_UNFINISHED)) else ""

    def _left(self, *names: str) -> list[str]:
        """Return what is there of these names."""
        return [str(path) for path in self.out.rglob("*") if any(fnmatch(path.name, name) for name in names)]

    def drive_round(self, rng: random.Random) -> str:
        """Let two do it at a time: one is stopped somewhere, the other one too, or it is killed, fails, or ends."""
        self._renew()
        first = self._fork(False, WAYS["two drivers"], rng.randint(1, self.calls), clock=rng.random() < 0.5)
        ends = {first: self._join(first, stopped=True)}
        way = rng.choice(["", *WAYS])
        call = rng.randint(1, self.calls) if way else 0
        second = self._fork(True, WAYS.get(way, 0), call, clock=rng.random() < 0.5)
        ends[second] = self._join(second, stopped=True)
        wrong = self._half()
        for pid in rng.sample([first, second], 2):
            if ends[pid].code == -signal.SIGSTOP:
                os.kill(pid, signal.SIGCONT)
                ends[pid] = self._join(pid)
                wrong = wrong or self._half()
        codes = {end.code for end in ends.values()}
        if not wrong and (codes - {0, 2, -signal.SIGKILL} or any("Traceback" in end.said for end in ends.values())):
            wrong = f"they ended with {ends}"
        return wrong or self._go_on(done=False)

    def with_jumping_clock(self) -> str:
        """Do it while the clock jumps back and forth by years."""
        self._renew()
        end = self._join(self._fork(False, 0, 0, clock=True))
        return f"it ended with {end}" if end.code else self._half() or self._go_on(done=True)


def points(bench: Bench) -> list[tuple[str, int]]:
    """Each call in each way; of a second service on the same folder, `tests.web.test_serve` tells."""
    ways = [way for way in WAYS if way != "two drivers" or bench.name != "serve"]
    return [(way, call) for way in ways for call in range(1, bench.calls + 1)]


def try_all(name: str, step: int = 1, first: int = 0) -> dict[str, object]:
    """Try every so many points of a workload; return how many there are, how many were tried, and what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(name, Path(folder).resolve())
        all_points, tried, wrong = points(bench), Counter[str](), []
        if said := bench.with_jumping_clock():
            wrong.append(f"with a jumping clock: {said}")
        for way, call in all_points[first::step]:
            tried[way] += 1
            if said := bench.try_call(way, call):
                wrong.append(f"{way} at call {call}: {said}")
                print(wrong[-1], file=sys.stderr, flush=True)
        facts = {"workload": name, "calls": bench.calls, "points": len(all_points), "tried": tried.total()}
        return facts | {"ways": dict(tried), "wrong": wrong}


def try_rounds(name: str, rounds: int) -> dict[str, object]:
    """Let two do a workload at a time, again and again, with seeds from 0; return what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        bench, wrong = Bench(name, Path(folder).resolve()), []
        for seed in range(rounds):
            if said := bench.drive_round(random.Random(seed)):
                wrong.append(f"round {seed}: {said}")
                print(wrong[-1], file=sys.stderr, flush=True)
        return {"workload": name, "calls": bench.calls, "rounds": rounds, "wrong": wrong}


def run(name: str, *how: object) -> dict[str, object]:
    """Build the shim, and try points, or ``"rounds", count``, in a process that it stands before.

    Raises:
        FileNotFoundError: There is no compiler.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"LD_PRELOAD": str(build_shim(Path(folder))), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.faults.every_call", name, *map(str, how)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, timeout=6000, check=False)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Try points, and print what came of it as JSON."""
    name, *how = sys.argv[1:]
    if not hasattr(ctypes.CDLL(None), "fault_arm"):
        outcome = run(name, *how)
    elif how[:1] == ["rounds"]:
        outcome = try_rounds(name, int(how[1]))
    else:
        outcome = try_all(name, *map(int, how))
    print(json.dumps(outcome))
    raise SystemExit(bool(outcome["wrong"]))


if __name__ == "__main__":
    main()
