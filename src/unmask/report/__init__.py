"""Writing verdicts: the Kaggle table, JSON lines, HTML pages, and the journal that makes a long scan resumable."""

from unmask.report.csv import write_csv
from unmask.report.html import write_index, write_page
from unmask.report.journal import Journal
from unmask.report.json import write_json, write_json_lines
from unmask.storage.rowlog import json_line

__all__ = [
    "Journal",
    "json_line",
    "write_csv",
    "write_index",
    "write_json",
    "write_json_lines",
    "write_page",
]
