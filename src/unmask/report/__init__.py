"""Writing verdicts: the Kaggle table, JSON lines, HTML pages, and the journal that makes a long scan resumable.

Importing this package gives `Verdict.save` its suffixes: ``.json``, ``.csv``, ``.html``.
"""

from unmask.log import json_line
from unmask.report.journal import Journal
from unmask.report.page import render, write_index, write_page
from unmask.report.rows import write_csv, write_json, write_json_lines
from unmask.types import Verdict

__all__ = [
    "Journal",
    "Verdict",
    "json_line",
    "render",
    "write_csv",
    "write_index",
    "write_json",
    "write_json_lines",
    "write_page",
]
