"""Write a model's card as the README.md that model hubs show: what it is for, its terms, numbers and limits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from unmask.models.card import Card


def readme(card: Card, repository: str = "OWNER/NAME") -> str:
    """Return the page of a model, in the form of Hugging Face: YAML between dashes, then Markdown.

    Args:
        card: Of the model.
        repository: Where it will lie, for the commands on the page.
    """
    facts = {
        "library_name": "unmask",
        "license": "other",
        "license_name": card.licence,
        "pipeline_tag": "video-classification",
        "tags": ["deepfake-detection", "face-forgery-detection", "video", "onnx"],
    }
    lines = ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in facts.items()), "---", ""]
    lines += [f"# {card.name} {card.version}", "", card.purpose, ""]
    lines += [
        "```sh",
        f"unmask models pull hf:{repository}",
        f"unmask scan clip.mp4 --model {_name(repository)}",
        "```",
    ]
    lines += ["", f"**Network.** {card.architecture}", "", f"**Terms of the weights.** {card.licence}", ""]
    thresholds = card.thresholds
    words = f"from {thresholds.fake_above:g} on a face is called fake, up to {thresholds.real_below:g} real"
    lines += [f"**Words.** 0 is real, 1 is fake: {words}, between them inconclusive.", ""]
    lines += ["## Limits", "", *(f"- {sentence}" for sentence in card.limitations or ("none are named",)), ""]
    for title, part in (("Training", card.training), ("Evaluation", card.evaluation)):
        if part:
            lines += [f"## {title}", "", *_section(part, 3), ""]
    lines += ["## Files", "", "| file | bytes | sha256 |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {file.bytes} | `{file.sha256}` |" for name, file in card.files.items()]
    return "\n".join(lines) + "\n"


def _name(repository: str) -> str:
    return repository.rpartition("/")[2]


def _section(values: dict[str, Any], depth: int) -> Iterator[str]:
    """Yield plain values as a table, and what is nested below them with titles of its own."""
    plain = {key: value for key, value in values.items() if not isinstance(value, dict) and not _is_table(value)}
    if plain:
        yield from ("| | |", "| --- | --- |")
        for key, value in plain.items():
            yield f"| {_words(key)} | {_cell(value)} |"
    for key, value in values.items():
        if key in plain:
            continue
        yield from ("", f"{'#' * min(depth, 6)} {_words(key)}", "")
        yield from _table(value) if _is_table(value) else _section(value, depth + 1)


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _table(rows: list[dict[str, Any]]) -> Iterator[str]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    yield f"| {' | '.join(map(_words, names))} |"
    yield "| --- " * len(names) + "|"
    for row in rows:
        yield f"| {' | '.join(_cell(row.get(name, '')) for name in names)} |"


def _cell(value: Any) -> str:
    """Return a value in a cell; three numbers are an estimate and its interval, as cards write them."""
    if isinstance(value, list):
        numbers = [_cell(item) for item in value]
        is_interval = len(value) == 3 and all(isinstance(item, float) for item in value)
        return f"{numbers[0]} ({numbers[1]} to {numbers[2]})" if is_interval else ", ".join(numbers)
    if isinstance(value, dict):
        return "; ".join(f"{_words(key)} {_cell(item)}" for key, item in value.items())
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _words(key: str) -> str:
    return key.replace("_", " ").replace("|", "\\|").replace("<", "&lt;")
