"""Run preparations, and read what lies in a folder."""

from pathlib import Path

from unmask.datasets import Index
from unmask.prepare.preparation import Preparation


def prepare(index: Index, out: Path, **options):
    """Run a preparation; return the records of its clips by id, and its outcome."""
    with Preparation(index, out, **options) as preparation:
        records = {record.id: record for record in preparation.run()}
        return records, preparation.finish()


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
