"""Change the code a little, again and again, and see whether a test fails: who tests the tests.

    python scripts/mutants.py measure                        # which test runs which line, and the coverage; minutes
    python scripts/mutants.py measure --of media isolation   # the same of two packages and their tests alone
    python scripts/mutants.py storage --count 80 --seed 1    # try 80 of the package's mutants, drawn at random

A mutant is one change of one expression or statement (`ways`) of a package. The tests that run the changed line are
run until one fails, those of the file's own test file first; a mutant that no test run notices survives. What starts
further processes has them use the mutant as well. Printed are the survivors, and the share that was noticed with its
95 % interval (Wilson).

Left out are annotations, decorators, docstrings, what lies within f-strings, and texts with a blank in them: prose,
which tests look at by parts. `scripts/mutants.json` lists mutants that no test can notice, each with its reason; they
count neither way. Everything else that survives counts against the tests, also where they were cut short.
"""

from __future__ import annotations

import argparse
import ast
import compileall
import gc
import json
import os
import random
import select
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import pytest

ROOT = Path(__file__).parents[1]
SOURCE, DATA, EQUIVALENT = ROOT / "src", ROOT / "build" / "mutants", ROOT / "scripts" / "mutants.json"
PACKAGES = ("isolation", "media", "net", "scale", "scan", "storage")
FURTHER_TESTS = {
    "media": (
        "tests/evidence/test_labels.py",
        "tests/evidence/test_second_encoding.py",
        "tests/evidence/test_signature.py",
        "tests/hostile/test_fuzz.py",
        "tests/scan/test_films.py",
    ),
    "net": ("tests/cli/test_addresses.py", "tests/models/test_card.py"),
    "scale": ("tests/faults/test_every_call.py",),
}
"""Package -> tests that concern it, beside those of its own folder."""
MEASURE_SECONDS = 3600
"""Longest time that a measurement may take."""
MOST_TESTS = 300
"""Of a mutant; further ones are left out."""

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
SUMS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change."""

    path: str
    """File, from the root of the repository."""
    line: int
    """Its line, from 1."""
    text: str
    """That line as it is."""
    old: str
    """What is replaced."""
    new: str
    """By what."""
    source: str
    """The whole file, changed; all other lines keep their numbers."""
    function: tuple[str, int] | None
    """Qualified name and first line of the outermost function whose body is changed; None outside of functions."""

    def is_equivalent(self, known: list[dict[str, str]]) -> bool:
        """Tell whether it is among those that are known to change nothing."""
        return any(
            (entry["path"], entry["text"], entry["old"], entry["new"]) == (self.path, self.text, self.old, self.new)
            for entry in known
        )


def ways(node: ast.AST) -> Iterator[ast.AST | str]:  # noqa: C901 - a table
    """Yield what a node may become."""
    match node:
        case ast.Compare(left, [op, *ops], comparators):
            yield ast.Compare(left, [COMPARISONS[type(op)](), *ops], comparators)
        case ast.BinOp(left, op, right) if type(op) in SUMS:
            yield ast.BinOp(left, SUMS[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.Constant(bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.Constant(str() as value) if " " not in value:
            yield ast.Constant("XX" + value)
        case ast.Constant(bytes() as value):
            yield ast.Constant(b"XX" + value)
        case ast.Return(ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield "return None"
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.If(test=ast.Call() | ast.Name() | ast.Attribute() as test):
            yield test  # replaced by its negation, see `_replacements`
        case ast.AugAssign(target, op, value) if type(op) in SUMS:
            yield ast.AugAssign(target, SUMS[type(op)](), value)
        case ast.Expr(ast.Call()) | ast.Raise():
            yield "pass"
        case ast.Break():
            yield "continue"
        case ast.Continue():
            yield "break"


def mutants_of(path: Path) -> list[Mutant]:
    """List all mutants of a file."""
    source = path.read_text()
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    raw, found = source.encode(), []
    for node, function in _nodes(ast.parse(source), None, ()):
        for change in ways(node):
            target = node.test if isinstance(node, ast.If) else node
            new = f"not ({ast.unparse(change)})" if isinstance(node, ast.If) else _text(change)
            begin = starts[target.lineno - 1] + target.col_offset
            end = starts[target.end_lineno - 1] + target.end_col_offset
            old, filler = raw[begin:end].decode(), "\n" * (target.end_lineno - target.lineno)
            spliced = f"({new}{filler})" if isinstance(target, ast.expr) else new + filler
            changed = (raw[:begin] + spliced.encode() + raw[end:]).decode()
            place, text = str(path.relative_to(ROOT)), lines[target.lineno - 1].strip()
            found.append(Mutant(place, target.lineno, text, old, new, changed, function))
    return found


def _text(change: ast.AST | str) -> str:
    return change if isinstance(change, str) else ast.unparse(ast.fix_missing_locations(change))


def _nodes(
    node: ast.AST, function: tuple[str, int] | None, names: tuple[str, ...]
) -> Iterator[tuple[ast.AST, tuple[str, int] | None]]:
    """Yield all nodes that may be changed, each with the outermost function in whose body it lies."""
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment") or isinstance(node, ast.JoinedStr):
            continue
        inside, path = function, names
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            path = (*names, node.name)
            if isinstance(node, ast.FunctionDef) and name == "body":
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                inside = function or (".".join(path), first)
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_left_out(child, inside):
                continue
            yield child, inside
            yield from _nodes(child, inside, path)


def _is_left_out(node: ast.AST, function: tuple[str, int] | None) -> bool:
    match node:
        case ast.Expr(ast.Constant()):  # a docstring
            return True
        case ast.If(test=ast.Name("TYPE_CHECKING")) | ast.Assign(targets=[ast.Name("__all__")]):
            return True
        case ast.Assign(value=ast.BinOp(op=ast.BitOr()) | ast.Subscript()):  # the name of a type
            return function is None
    return False


def measure(packages: Sequence[str]) -> None:
    """Run the tests, and keep which of them runs which line, in this process and in those that it starts.

    Args:
        packages: Those whose tests are run; none for all.
    """
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir(parents=True)
    rules = "[run]\ninclude = */unmask/*\nbranch = true\n[report]\nexclude_also =\n    if TYPE_CHECKING:\n"
    (DATA / "rules").write_text(rules)
    chosen = packages or PACKAGES
    tests = [*(f"tests/{name}" for name in chosen), *(path for name in chosen for path in FURTHER_TESTS.get(name, ()))]
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        (place / "rules").write_text(rules)
        (place / "now").write_text("")
        place.chmod(0o755)  # tests become somebody else
        paths = f"{ROOT / 'scripts' / 'measured'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
        environment = os.environ | {"UNMASK_MEASURED": made, "PYTHONPATH": paths.rstrip(os.pathsep)}
        options = ["-q", "-p", "no:cacheprovider", "-p", "no:cov", "-p", "by_test", f"--basetemp={place / 't'}"]
        with collector(place) as told:
            subprocess.run(
                [sys.executable, "-m", "pytest", *options, "--timeout=120", *tests],
                cwd=ROOT, env=environment, check=False, timeout=MEASURE_SECONDS,
            )  # fmt: skip
        combined = coverage.CoverageData(str(DATA / "combined"))
        for path in sorted(told.iterdir()):
            one = coverage.CoverageData(no_disk=True)
            one.loads(path.read_bytes())
            combined.update(one)
    combined.close()
    report(packages)


@contextmanager
def collector(place: Path) -> Iterator[Path]:
    """Keep what processes send to ``place / "socket"``, see scripts/measured, as files; yield their folder."""
    folder = place / "told"
    folder.mkdir()
    numbers = count()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if content := self.rfile.read():  # a killed process says nothing
                (folder / str(next(numbers))).write_bytes(content)

    class Server(socketserver.ThreadingUnixStreamServer):
        request_queue_size, daemon_threads = 100, True

    with Server(str(place / "socket"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        (place / "socket").chmod(0o777)
        try:
            yield folder
            time.sleep(1.0)  # for the last decoders
        finally:
            server.shutdown()
            thread.join(10)


def report(packages: Sequence[str] = ()) -> None:
    """Print the coverage of each package, and what of it no test runs."""
    measured = coverage.Coverage(data_file=str(DATA / "combined"), config_file=str(DATA / "rules"))
    measured.load()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        measured.json_report(outfile=str(DATA / "report.json"))
    files = json.loads((DATA / "report.json").read_text())["files"]
    for name in packages or PACKAGES:
        within = {Path(path).name: facts for path, facts in files.items() if f"/unmask/{name}/" in path}
        total = Counter[str]()
        for file, facts in within.items():
            total.update({key: value for key, value in facts["summary"].items() if isinstance(value, int)})
            if facts["missing_lines"] or facts["missing_branches"]:
                branches = " ".join(f"{start}->{end}" for start, end in facts["missing_branches"])
                print(f"    {name}/{file}: lines {facts['missing_lines']}; branches {branches}")
        done_lines, done_branches = total["covered_lines"], total["covered_branches"]
        all_lines, all_branches = total["num_statements"], total["num_branches"]
        print(
            f"{name}: {done_branches} of {all_branches} branches, {done_branches / max(1, all_branches):.1%}; "
            f"{done_lines} of {all_lines} lines, {done_lines / max(1, all_lines):.1%}; both together "
            f"{(done_lines + done_branches) / max(1, all_lines + all_branches):.1%}"
        )


IMPORT = -1
"""Stands for the lines that run as modules are imported."""


def tests_by_line(data: coverage.CoverageData, path: str) -> dict[int, list[str]]:
    """Return which tests run each line of a file; line 0 has those that run any line of it.

    Line `IMPORT` has the numbers of those that run as modules are imported, as text.
    """
    own = f"tests/{Path(path).parent.name}/test_{Path(path).stem}.py"
    found: dict[int, set[str]] = {0: set(tests_of(path))}
    for line, contexts in data.contexts_by_lineno(str(ROOT / path)).items():
        found.setdefault(IMPORT, set()).update({str(line)} if "" in contexts else ())
        found[line] = {test for test in contexts if "::" in test}
        found[0] |= found[line]

    def far(test: str) -> tuple[bool, bool, str]:
        file = test.partition("::")[0]
        return file != own, not file.startswith(own.rpartition("/")[0]), test

    return {line: sorted(tests, key=far) for line, tests in found.items()}


FUNCTIONS: dict[str, list[FunctionType]] = {}
"""File -> the functions of it that are loaded in this process."""


def tests_of(path: str) -> list[str]:
    """Return all tests of the file's own test file, since a confined process cannot tell which lines it runs."""
    own = ROOT / "tests" / Path(path).parent.name / f"test_{Path(path).stem}.py"
    return [str(own.relative_to(ROOT))] if own.is_file() else []


class Chosen:
    """Has pytest run the chosen tests in their order, until one fails or their time is over."""

    def __init__(self, tests: list[str], cpu_seconds: float) -> None:
        self._place = {test: number for number, test in enumerate(tests)}
        self._until = time.process_time() + cpu_seconds
        self.is_cut, self.failed, self.ran = False, "", 0

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Choose."""
        last = len(self._place)
        places = [
            min(self._place.get(name, last) for name in (item.nodeid, item.nodeid.partition("::")[0])) for item in items
        ]
        items[:] = [
            item for place, _, item in sorted(zip(places, range(len(items)), items, strict=True)) if place < last
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what failed."""
        self.ran += report.when == "call"
        self.failed = self.failed or (report.nodeid if report.failed else "")

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Stop in time."""
        if self._place and time.process_time() > self._until:
            self.is_cut = True
            item.session.shouldstop = "time is over"


class Bench:
    """A copy of the source in which one file at a time is another one, and processes that test it."""

    def __init__(self, place: Path, cpu_seconds: float, wall_seconds: float) -> None:
        self._place, self._cpu_seconds, self._wall_seconds = place, cpu_seconds, wall_seconds
        self._clock = int(time.time()) - 1_000_000
        shutil.copytree(SOURCE, place / "src", copy_function=os.link, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(place / "src", quiet=2)
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": f"{place / 'src'}{os.pathsep}{ROOT}"}
        sys.dont_write_bytecode = True

    def judge(self, mutant: Mutant, tests: list[str]) -> str:
        """Return ``killed``, ``killed: in time`` or ``survived``, with a few words."""
        overlaid, original = self._place / "src" / Path(mutant.path).relative_to("src"), ROOT / mutant.path
        self._write(overlaid, mutant.source)
        try:
            return self._judge(mutant, tests)
        finally:
            self._write(overlaid, original.read_text())

    def _write(self, path: Path, source: str) -> None:
        path.unlink()  # it may be a link to the original
        path.write_text(source)
        self._clock += 2  # else what was compiled of the last one may count
        os.utime(path, (self._clock, self._clock))

    def _judge(self, mutant: Mutant, tests: list[str]) -> str:
        said = self._place / "said"
        said.unlink(missing_ok=True)
        ends, end = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(ends)
            os.set_inheritable(end, False)
            self._run(mutant, tests, said)
        os.close(end)
        in_time = bool(select.select([ends], [], [], self._wall_seconds)[0])  # it is closed where the process ends
        os.close(ends)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what it started, too
        os.waitpid(pid, 0)
        if not in_time:
            return "killed: takes too long"
        if not said.exists():
            return "killed: brings the tests down"
        return said.read_text()

    def _run(self, mutant: Mutant, tests: list[str], said: Path) -> None:
        """Run the tests in this process, which was forked for it; change the function in place, or else start anew."""
        try:
            os.setsid()
            null = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1, 2):
                os.dup2(null, number)
            sys.path.insert(0, str(self._place / "src"))
            if mutant.function is None or not _exchange(mutant):
                os.execv(
                    sys.executable,
                    [sys.executable, __file__, "within", str(said), json.dumps(tests), str(self._cpu_seconds)],
                )
            run_tests(tests, self._cpu_seconds, said)
        finally:
            os._exit(0)


def run_tests(tests: list[str], cpu_seconds: float, said: Path) -> None:
    """Run tests, and write what came of them."""
    os.chdir(ROOT)
    chosen = Chosen(tests, cpu_seconds)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    with tempfile.TemporaryDirectory() as made:
        options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={made}/t", "--timeout=30"]
        code = pytest.main([*options, *files], plugins=[chosen])
    if chosen.failed or (code and not chosen.is_cut):
        said.write_text(f"killed: {chosen.failed or f'pytest ends with {int(code)}'}")
    else:
        said.write_text(f"survived: {chosen.ran} of {len(tests)} tests")


def _exchange(mutant: Mutant) -> bool:
    """Give the function that a mutant changes its new code, wherever it is known already, and those within it."""
    filename = str(ROOT / mutant.path)
    new = {_name(code): code for code in _codes(compile(mutant.source, filename, "exec"))}
    outer = new[mutant.function]
    within = {mutant.function, *map(_name, _codes(outer))}
    found = [function for function in FUNCTIONS.get(filename, ()) if _name(function.__code__) in within]
    try:
        for function in found:
            function.__code__ = new[_name(function.__code__)]
    except (TypeError, ValueError):  # it closes over other variables
        return False
    return any(_name(function.__code__) == mutant.function for function in found)


def _name(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def try_mutants(package: str, count: int, seed: int, cpu_seconds: float, wall_seconds: float) -> None:
    known = json.loads(EQUIVALENT.read_text()) if EQUIVALENT.exists() else []
    everything = [mutant for path in sorted((SOURCE / "unmask" / package).rglob("*.py")) for mutant in mutants_of(path)]
    able = [mutant for mutant in everything if not mutant.is_equivalent(known)]
    drawn = random.Random(seed).sample(able, min(count, len(able)))
    data = coverage.CoverageData(str(DATA / "combined"))
    data.read()
    tests = {path: tests_by_line(data, path) for path in {mutant.path for mutant in drawn}}
    counts, too_long = Counter[str](), 0
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as made:
        bench = Bench(Path(made), cpu_seconds, wall_seconds)
        warm_up(sorted({test.partition("::")[0] for by_line in tests.values() for test in by_line[0]}))
        for drawn_one in drawn:
            mutant = drawn_one
            by_line = tests[mutant.path]
            if str(mutant.line) in by_line.get(IMPORT, ()):
                mutant = replace(mutant, function=None)
            told = by_line.get(mutant.line, []) if mutant.function else by_line[0]
            own = tests_of(mutant.path)  # a decoder cannot tell which lines it runs
            chosen = [*own, *(test for test in told if test.partition("::")[0] not in own)] or by_line[0]
            outcome = bench.judge(mutant, chosen[:MOST_TESTS]) if chosen else "survived: no test runs its file"
            counts[outcome.partition(":")[0]] += 1
            too_long += "takes too long" in outcome
            if outcome.startswith("survived"):
                print(
                    f"{mutant.path}:{mutant.line}: {mutant.text}\n    {mutant.old} -> {mutant.new}   [{outcome}]",
                    flush=True,
                )
            if counts.total() % 10 == 0:
                print(f"... {counts.total()} tried, {counts['killed']} noticed", flush=True)
    done = counts.total()
    from unmask.evaluation.quality_fit import wilson  # not before: the processes that test import their own unmask

    share = counts["killed"] / done
    low, high = wilson(counts["killed"], done)
    print(
        f"{package}: {counts['killed']} of {done} noticed, {share:.0%} ({low:.0%} to {high:.0%}), drawn of {len(able)} "
        f"with seed {seed}; {len(everything) - len(able)} that no test can notice; {too_long} took too long; "
        f"{time.monotonic() - began:.0f} s"
    )


def warm_up(files: list[str]) -> None:
    """Import all that the tests import, so that no mutant has to."""
    os.chdir(ROOT)
    with Path(os.devnull).open("w") as nowhere:
        kept, sys.stdout = sys.stdout, nowhere
        code = pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", *files])
        sys.stdout = kept
    if code:
        raise SystemExit(f"the tests cannot be collected: {code}")
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType):
            FUNCTIONS.setdefault(thing.__code__.co_filename, []).append(thing)
    gc.freeze()  # else the collector of each mutant's process would touch, and so copy, all that is loaded


def main() -> None:
    if sys.argv[1:2] == ["within"]:
        run_tests(json.loads(sys.argv[3]), float(sys.argv[4]), Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "report", *PACKAGES))
    parser.add_argument(
        "--of", nargs="*", choices=PACKAGES, default=[], help="of `measure` and `report`: these packages only"
    )
    parser.add_argument("--count", type=int, default=60, help="mutants to try")
    parser.add_argument("--seed", type=int, default=0, help="draws them")
    parser.add_argument("--cpu-seconds", type=float, default=20.0, help="for the tests of one mutant")
    parser.add_argument(
        "--wall-seconds", type=float, default=90.0, help="after which it is killed, and counts as noticed"
    )
    told = parser.parse_args()
    if told.what in PACKAGES:
        try_mutants(told.what, told.count, told.seed, told.cpu_seconds, told.wall_seconds)
    else:
        {"measure": partial(measure, told.of), "report": partial(report, told.of)}[told.what]()


if __name__ == "__main__":
    main()
