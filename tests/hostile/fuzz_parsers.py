"""Fuzz one of our parsers with atheris (pip install atheris; Linux), which looks for input that takes new branches.

    python -m tests.hostile.fuzz_parsers metadata -max_total_time=60    # what it finds lies in build/fuzz afterwards
    python -m tests.hostile.fuzz_parsers keep                           # and what is new of it goes into corpus.zip

Options go to libFuzzer. It starts from the parser's good input, what is kept of it, and what lies in build/fuzz. The
normal run reads all that is kept (`tests/hostile/test_fuzz.py`).
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).parents[2]
SOURCE, FOUND, KEPT = f"{ROOT / 'src'}/", ROOT / "build" / "fuzz", Path(__file__).with_name("corpus.zip")
MOST_BYTES = 4096
"""Length of an input that is kept, at most."""


def kept(name: str) -> list[bytes]:
    """Return the inputs of a parser that are kept."""
    if not KEPT.is_file():
        return []
    with zipfile.ZipFile(KEPT) as archive:
        return [archive.read(entry) for entry in archive.namelist() if entry.startswith(f"{name}/")]


def steps_of(read: Callable[[bytes, Path], object], data: bytes, folder: Path) -> set[tuple[str, int, int]]:
    """Return the steps from line to line that our code takes, as file, line and line."""
    steps: set[tuple[str, int, int]] = set()

    def enter(frame: FrameType, event: str, argument: object) -> Callable[..., object] | None:
        filename, last = frame.f_code.co_filename, 0
        if not filename.startswith(SOURCE):
            return None

        def step(frame: FrameType, event: str, argument: object) -> Callable[..., object]:
            nonlocal last
            steps.add((filename, last, frame.f_lineno))
            last = frame.f_lineno
            return step

        return step

    earlier = sys.gettrace()
    sys.settrace(enter)
    try:
        read(data, folder)
    finally:
        sys.settrace(earlier)
    return steps


def keep() -> None:
    """Write down the inputs that take steps that no shorter one takes; good input takes its steps first."""
    from tests.hostile.parsers import PARSERS

    chosen: dict[str, list[bytes]] = {}
    for name, parser in PARSERS.items():
        with tempfile.TemporaryDirectory() as used:
            seeds = parser.seeds(Path(used))
            found = {path.read_bytes() for path in sorted((FOUND / name).glob("*"))} | set(kept(name))
            shortest = sorted((data for data in found if len(data) <= MOST_BYTES), key=lambda data: (len(data), data))
            taken: set[tuple[str, int, int]] = set()
            for data in [*seeds, *shortest]:
                steps = steps_of(parser, data, Path(used))
                if not steps <= taken and data not in seeds:
                    chosen.setdefault(name, []).append(data)
                taken |= steps
        print(f"{name}: {len(found)} found, {len(chosen.get(name, []))} kept, {len(taken)} steps", flush=True)
    with zipfile.ZipFile(KEPT, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, inputs in chosen.items():
            for number, data in enumerate(inputs):
                archive.writestr(zipfile.ZipInfo(f"{name}/{number:04d}"), data, zipfile.ZIP_DEFLATED)


def main() -> None:
    if sys.argv[1:] == ["keep"]:
        keep()
        return
    import atheris

    with atheris.instrument_imports(include=["unmask"]):
        from tests.hostile.parsers import PARSERS

    if len(sys.argv) < 2 or sys.argv[1] not in PARSERS:
        raise SystemExit(f"{__doc__}\nParsers: {', '.join(PARSERS)}")
    name = sys.argv[1]
    parser, corpus = PARSERS[name], FOUND / name
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as used:
        for number, seed in enumerate([*parser.seeds(Path(used)), *kept(name)]):
            (corpus / f"start-{number}").write_bytes(seed)

        def read(data: bytes) -> None:
            parser(data, Path(used))

        options = [f"-artifact_prefix={FOUND}/{name}-", f"-max_len={MOST_BYTES}", *sys.argv[2:]]
        atheris.Setup([sys.argv[0], str(corpus), *options], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
