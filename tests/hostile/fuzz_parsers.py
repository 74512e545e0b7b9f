"""Fuzz one of our parsers with atheris (pip install atheris; Linux), which looks for input that takes new branches.

    python -m tests.hostile.fuzz_parsers metadata -max_total_time=60

Options go to libFuzzer. Without an option naming a corpus, it starts from the parser's good input.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=["unmask"]):
        from tests.hostile.parsers import PARSERS

    if len(sys.argv) < 2 or sys.argv[1] not in PARSERS:
        raise SystemExit(f"{__doc__}\nParsers: {', '.join(PARSERS)}")
    parser = PARSERS[sys.argv[1]]
    with tempfile.TemporaryDirectory() as made, tempfile.TemporaryDirectory() as used:
        for number, seed in enumerate(parser.seeds(Path(used))):
            (Path(made) / str(number)).write_bytes(seed)

        def read(data: bytes) -> None:
            parser(data, Path(used))

        atheris.Setup([sys.argv[0], made, *sys.argv[2:]], read)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
