"""The files that a scan writes: which it may replace, what keeps them until it is done, and how they are written."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from unmask.cli.console import say

if TYPE_CHECKING:
    from unmask.scan.inputs import Input
    from unmask.scan.journal import Journal

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ScanOutputs:
    """Where the verdicts of a scan go; a path ``-`` is stdout."""

    csv: Path | None = None
    """The challenge's table."""
    people: Path | None = None
    """The table of people."""
    json: Path | None = None
    """One verdict a line; on stdout as each comes."""
    html: Path | None = None
    """A folder of pages, or one page where it ends in .html."""
    timing: bool = False
    """Write into JSON when and how long each video was scanned."""
    maps: bool = False
    """Write into JSON what the report shows of people."""

    @property
    def keeps_pictures(self) -> bool:
        """Whether some output shows pictures of people."""
        return self.html is not None or self.maps

    @property
    def files(self) -> dict[str, Path]:
        """All outputs but those on stdout, by option, in the order in which the first keeps the journal."""
        named = {"--json": self.json, "--csv": self.csv, "--people": self.people, "--html": self.html}
        to_stdout = self.on_stdout
        return {option: path for option, path in named.items() if path is not None and option not in to_stdout}

    @property
    def on_stdout(self) -> list[str]:
        """Options whose output goes to stdout instead of the lines that people read."""
        named = {"--json": self.json, "--csv": self.csv, "--people": self.people}
        return [option for option, path in named.items() if path is not None and is_stdout(path)]

    @property
    def one_page(self) -> bool:
        """Whether ``html`` is one page, not a folder."""
        return self.html is not None and self.html.suffix.lower() in (".html", ".htm") and not self.html.is_dir()

    def check(self, named: Iterable[str], items: Sequence[Input], resume: bool) -> None:
        """Refuse, before any work, what cannot be written after it, or would destroy what others wrote.

        Args:
            named: The inputs as the user named them, folders among them.
            items: All files and addresses to scan.
            resume: Whether an earlier run is to be taken over.

        Raises:
            UsageError: An output cannot be written, or may not be replaced.
        """
        from unmask.errors import UsageError
        from unmask.storage.outputs import Output, check_outputs

        if self.maps and self.json is None:
            raise UsageError("--maps writes into the JSON; name it: --json FILE")
        if resume and not self.files:
            raise UsageError("--resume needs an output to go on with: --json, --csv, --people or --html")
        if len(self.on_stdout) > 1:
            raise UsageError(f"only one of {' and '.join(self.on_stdout)} can go to stdout; name a file for the other")
        if self.one_page and len(items) > 1:
            raise UsageError(
                f"{self.html} is one page, and there are {len(items)} videos; name a folder, e.g. --html report"
            )
        forms = self._forms()
        outputs = [Output(option, path, forms[option]) for option, path in self.files.items()]
        check_outputs(outputs, [*named, *(item.path for item in items)])

    def _forms(self) -> dict[str, Any]:
        from unmask.report.csv import TABLE
        from unmask.report.html import PAGE, PAGES
        from unmask.report.json import JSON_LINES
        from unmask.report.people import PEOPLE

        return {"--json": JSON_LINES, "--csv": TABLE, "--people": PEOPLE, "--html": PAGE if self.one_page else PAGES}

    def open_journal(self, stack: ExitStack, settings_hash: str, resume: bool) -> Journal | None:
        """Hold the outputs, and open the journal beside the first; None where the rows need not be kept."""
        from unmask.scan.journal import Journal
        from unmask.storage.atomic import is_device, keep_mode
        from unmask.storage.lock import sole_writer

        files = list(self.files.values())
        if not files and self.on_stdout in ([], ["--json"]):
            return None
        for path in files:
            if not is_device(path):
                stack.enter_context(sole_writer(path))
        if not files or is_device(files[0].absolute()):
            beside = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "scan"
        else:
            beside = files[0].absolute()
        path, finished = beside.with_name(f"{beside.name}.partial"), self.files.get("--json")
        journal = stack.enter_context(Journal(path, settings_hash, resume=resume, finished=finished))
        keep_mode(beside, path)  # it holds what the output does
        if resume and journal.foreign_rows:
            say(
                f"unmask: {journal.foreign_rows} rows of an earlier run were made with other models or settings, or by "
                "another version of unmask; their videos are scanned again"
            )
        return journal

    def write(self, journal: Journal, items: Sequence[Input]) -> None:
        """Write everything but the JSON on stdout, which is there already."""
        from unmask.report import write_csv, write_index, write_json_lines, write_page
        from unmask.report.people import write_people
        from unmask.runtime.jsonable import portable
        from unmask.storage.atomic import sweep

        paths, names = [item.path for item in items], [portable(item.name) for item in items]
        if self.csv is not None:
            numbers = (row["fake_probability"] for row in journal.rows(paths))
            unknown = write_csv(zip(names, numbers, strict=True), target_of(self.csv))
            if unknown:
                say(f"unmask: {unknown} videos have no number; {self.csv} says 0.5 for them, since its form needs one")
        if self.people is not None:
            write_people(zip(names, journal.rows(paths), strict=True), target_of(self.people))
        if self.html is not None and self.one_page:
            write_page(next(journal.rows(paths)), self.html)
        elif self.html is not None:
            sweep(self.html)
            write_index(journal.rows(paths), self.html)
        if self.json is not None and not is_stdout(self.json):
            write_json_lines(map(self.json_row, journal.rows(paths)), self.json)

    def json_row(self, row: Row) -> Row:
        """Return a row as JSON shows it: without its time and pictures, unless they were asked for."""
        from unmask.types import TIMING

        shown = row if self.timing else {key: value for key, value in row.items() if key not in TIMING}
        return shown if self.maps else shown | {"pictures": []}


def named_inputs(inputs: Sequence[str]) -> Iterator[str]:
    """Yield the inputs that were named; ``-`` stands for a list on stdin, one a line."""
    from unmask.scan.inputs import read_names

    for name in inputs:
        if name != "-":
            yield name
            continue
        yield from read_names(sys.stdin.buffer.read())


def is_stdout(path: Path) -> bool:
    """Tell whether an output goes to stdout."""
    return str(path) == "-"


def target_of(path: Path) -> Path | BinaryIO:
    """Return what is written to: the file, or stdout."""
    return sys.stdout.buffer if is_stdout(path) else path
