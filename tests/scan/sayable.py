"""Whether the page can say in other languages what a verdict says in English."""

import json
import re
from functools import cache
from pathlib import Path

import unmask


@cache
def german():
    page = Path(unmask.__file__).parent / "web" / "static" / "de.json"
    return json.loads(page.read_text(encoding="utf-8"))["reasons"]


def assert_sayable(reasons):
    """Each reason has a code that the page knows, and all values that stand in its sentence."""
    for reason in reasons:
        for name in re.findall(r"{(\w+)}", german()[reason.code]):
            needed = {"start_seconds", "end_seconds"} if name == "when" else {name}
            assert needed <= reason.values.keys(), f"{reason.code} lacks {needed - reason.values.keys()}"
