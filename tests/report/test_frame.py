import sys
from types import SimpleNamespace

import pytest

from unmask import UsageError, Verdict, to_pandas


def test_a_table_of_verdicts(scanner, short_clips, monkeypatch):
    made = lambda rows, columns: [dict(zip(columns, row, strict=True)) for row in rows]  # noqa: E731
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=made))
    verdict, missing = scanner.scan(short_clips["blended"]), Verdict("b.mp4", "unreadable", None, None, ("why",))
    first, second = to_pandas([verdict, missing])
    assert (first["label"], first["people"], first["width"]) == ("fake", 1, verdict.media.width)
    assert first["reason"] == verdict.reasons[0]
    assert (second["path"], second["status"], second["fake_probability"], second["sha256"]) == (
        "b.mp4", "unreadable", None, None,
    )  # fmt: skip
    (person,) = to_pandas([verdict, missing], people=True)
    assert (person["person"], person["region"]) == (1, verdict.faces[0].region)


def test_with_pandas():
    pytest.importorskip("pandas")
    table = to_pandas([Verdict("b.mp4", "unreadable", None, None, ("why",))])
    assert table.status.tolist() == ["unreadable"]
    assert len(to_pandas([], people=True).columns) == 9


def test_without_pandas_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(UsageError, match="pip install pandas"):
        to_pandas([])
