"""Rewrite the table of results in README.md from the JSON files of the benchmarks.

python benchmarks/table.py
"""

from __future__ import annotations

import json
from pathlib import Path

BEGIN, END = "<!-- results: made by table.py -->", "<!-- end of results -->"
HERE = Path(__file__).parent


def main() -> None:
    page = HERE / "README.md"
    before, rest = page.read_text().split(BEGIN)
    _, after = rest.split(END)
    page.write_text(f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}")


def table() -> str:
    """Return one row for each goal, in order, and what the files were measured on."""
    rows: list[str] = []
    places: dict[str, list[str]] = {}
    for path in sorted((HERE / "results").glob("*.json")):
        result = json.loads(path.read_text())
        if "goals" not in result:  # measured for a page of its own
            continue
        environment = result["environment"]
        place = f"{result['source']}; {environment['processor']}, {environment['cores']} cores"
        places.setdefault(place, []).append(path.stem)
        for goal in result["goals"]:
            if goal["goal"] is None and not goal["what"].startswith("floor"):  # watched, see trend.py
                continue
            sign = "<=" if goal["at_most"] else ">="
            must = "" if goal["goal"] is None else f"{sign} {goal['goal']:g}"
            stretch = "" if goal["stretch"] is None else f"{goal['stretch']:g}"
            numbers = f"{goal['value']:.3g} | {goal['bound']:.3g} | {must} | {stretch}"
            met = "" if goal["goal"] is None else "yes" if goal["met"] else "**no**"
            rows.append(f"| {goal['name']} | {goal['what']} | {numbers} | {met} | {path.stem} |")
    rows.sort(key=lambda row: int(row.split()[1].removeprefix("P")) if row.startswith("| P") else 1000)
    head = ["| goal | what | value | bound | must | stretch | met | file |", "|---|---|---|---|---|---|---|---|"]
    notes = [f"* {', '.join(stems)}: {place}." for place, stems in places.items()]
    return "\n".join([*head, *rows, "", *notes])


if __name__ == "__main__":
    main()
