"""Values that a column cannot hold: one row's fault costs a cell, never a table."""

import logging

import pytest

pytest.importorskip("pyarrow")

from unmask.datasets.parquet import read_parquet, write_parquet

COLUMNS = {"rate": "float32", "share": "float64", "count": "int32", "name": "string", "tags": "list<string>"}


@pytest.mark.parametrize("rate", [(1 << 24) + 1, 25_000_001, (1 << 53) + 1, -(1 << 60), 0, 2.5, None])
def test_whole_numbers_fit_where_floating_ones_are_wanted(tmp_path, rate):
    write_parquet([{"rate": rate, "share": rate}], tmp_path / "a.parquet", COLUMNS)
    ((row,), _) = read_parquet(tmp_path / "a.parquet")
    assert row["rate"] == (None if rate is None else pytest.approx(rate, rel=1e-7))
    assert row["share"] == (None if rate is None else float(rate))


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("count", 1 << 31, None), ("count", 1 << 70, None), ("count", "many", None),
        ("rate", 10**400, None), ("rate", "fast", None), ("share", {}, None),
        ("name", "\udcff.mp4", "\\udcff.mp4"), ("name", 3, None), ("name", ["a"], None),
        ("tags", ["\udcff"], None),
    ],
)  # fmt: skip
def test_what_does_not_fit_costs_its_cell(tmp_path, caplog, column, value, kept):
    good = {"rate": 1.5, "share": 0.5, "count": 3, "name": "a", "tags": ["b"]}
    with caplog.at_level(logging.WARNING):
        write_parquet([good, good | {column: value}, good], tmp_path / "a.parquet", COLUMNS)
    rows, _ = read_parquet(tmp_path / "a.parquet")
    assert rows == [good, good | {column: kept}, good]
    assert bool(caplog.records) == (kept is None)
