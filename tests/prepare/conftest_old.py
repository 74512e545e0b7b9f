"""One small dataset and its preparation, made once a run."""

from pathlib import Path

import pytest

from unmask.datasets import Index, read_index
from unmask.prepare.preparation import Preparation


@pytest.fixture(scope="session")
def index(sample) -> Index:
    return read_index(sample)


def prepare(index: Index, out: Path, **options):
    """Run a preparation; return its rows by id and its outcome."""
    with Preparation(index, out, **options) as preparation:
        rows = {row["id"]: row for row in preparation.run()}
        return rows, preparation.finish()


@pytest.fixture(scope="session")
def prepared(index, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "out"
    prepare(index, out)
    return out


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by name."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
