"""Every test that docs/asvs.md names exists."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "asvs.md").read_text()
NAMED = re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", TEXT)


def test_the_table_names_tests():
    rows = [line.split("|") for line in TEXT.splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 40
    named = [row for row in rows if "test_" in row[4]]
    assert len(named) > 30
    without = [row for row in rows if "test_" not in row[4]]
    reasons = ("not used", "none", "no accounts", "not stated", "the page's")
    assert all(any(reason in row[3] for reason in reasons) for row in without)


def test_every_named_test_exists():
    assert len(NAMED) > 40
    missing = []
    for file, name in NAMED:
        path = ROOT / file if "/" in file else ROOT / "tests" / "web" / file
        functions = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
        if name and name not in functions:
            missing.append(f"{file}::{name}")
    assert missing == []


def test_every_item_of_level_1_is_there():
    """As the standard's chapters list them (github.com/OWASP/ASVS, 5.0/en); those of OAuth and tokens as ranges."""
    items = (
        "1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.3.1 1.3.2 1.5.1 2.1.1 2.2.1 2.2.2 2.3.1 3.2.1 3.2.2 3.3.1 3.4.1 3.4.2 3.5.1 "
        "3.5.2 3.5.3 4.1.1 4.4.1 5.2.1 5.2.2 5.3.1 5.3.2 6.1.1 6.2.1 6.2.2 6.2.5 6.2.6 6.2.7 6.3.1 6.4.1 6.4.2 7.2.1 "
        "7.2.2 7.2.3 7.2.4 7.4.1 7.4.2 8.1.1 8.2.1 8.2.2 8.3.1 9.1.1 9.2.1 10.4.1 10.4.5 11.3.1 11.3.2 11.4.1 12.1.1 "
        "12.2.1 12.2.2 13.4.1 14.2.1 14.3.1 15.1.1 15.2.1 15.3.1"
    )
    cells = " ".join(line.split("|")[1] for line in TEXT.splitlines() if re.match(r"\| \d", line))
    assert [item for item in items.split() if not re.search(rf"(?<![\d.]){re.escape(item)}(?![\d.])", cells)] == []
