"""Write verdicts as the challenge's CSV, as JSON, and as HTML pages."""

from unmask.report.csv import write_csv
from unmask.report.html import write_index, write_page
from unmask.report.json import write_json, write_json_lines

__all__ = [
    "write_csv",
    "write_index",
    "write_json",
    "write_json_lines",
    "write_page",
]
