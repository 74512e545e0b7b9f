"""Write the pages of the site that follow from the code: commands, the verdict, the card, errors, files beside docs/.

docs/conf.py does it with every build; by hand: python scripts/make_docs.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from make_man import records, walk
from make_schema import descriptions
from typer import Context
from typer.main import get_command

import unmask.models.card
from unmask import errors
from unmask.cli import app

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = "generated"

OUTSIDE = {
    "SECURITY.md": "security",
    "CONTRIBUTING.md": "contributing",
    "CHANGELOG.md": "changelog",
    "THIRD_PARTY.md": "third_party",
    "benchmarks/README.md": "benchmarks",
    "examples/README.md": "examples",
    "src/unmask/systems/winner/README.md": "winner",
    "src/unmask/systems/robustforensics/README.md": "robustforensics_evidence",
}
"""Documents beside the folder of documents -> their names on the site."""


def write_generated(folder: Path) -> None:
    """Write all pages, and leave alone those that would not change: Sphinx reads anew what was written."""
    pages = {"commands": commands_page(), "verdict": verdict_page(), "card": card_page(), "errors": errors_page()}
    for path, name in OUTSIDE.items():
        if (DOCS.parent / path).is_file():
            pages[name] = plain_links((DOCS.parent / path).read_text(), Path(path).parent)
    folder.mkdir(exist_ok=True)
    for name, text in pages.items():
        page = folder / f"{name}.md"
        if not page.is_file() or page.read_text() != text:
            page.write_text(text)


def at_home(text: str, page: str) -> str:
    """Let links from a document in docs/ to one of `OUTSIDE` lead to its copy on the site."""

    def target(found: re.Match[str]) -> str:
        path = (DOCS / page).parent.joinpath(found[1]).resolve()
        name = OUTSIDE.get(path.relative_to(DOCS.parent.resolve()).as_posix())
        return f"](/{GENERATED}/{name}.md{found[2] or ''})" if name else found[0]

    return re.sub(r"\]\(((?:\.\./)+[^)#\s]+)(#[^)\s]*)?\)", target, text)


def plain_links(text: str, folder: Path) -> str:
    """Return a document of another folder, with links to pages of the site; where there is no page, with its path."""

    def target(found: re.Match[str]) -> str:
        words, path = found[1], found[2]
        if re.match(r"[a-z]+:|#", path):
            return found[0]
        place, _, part = path.partition("#")
        there = (DOCS.parent / folder / place).resolve().relative_to(DOCS.parent.resolve()).as_posix()
        if there in OUTSIDE:
            return f"[{words}](/{GENERATED}/{OUTSIDE[there]}.md)"
        if there.startswith("docs/") and there.endswith(".md"):
            return f"[{words}](/{there.removeprefix('docs/')}{'#' + part if part else ''})"
        return f"{words} (`{there}`)" if words != there else f"`{there}`"

    return re.sub(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)", target, text)


def commands_page() -> str:
    """Return all commands with their arguments and options."""
    root = get_command(app)
    lines = ["# Commands", "", "What `unmask COMMAND --help` says.", ""]
    for command, context in walk(root, Context(root, info_name="unmask", **root.context_settings)):
        lines += [f"## {context.command_path}", "", _text(command.help or ""), ""]
        lines += ["| argument or option | what |", "| --- | --- |"]
        lines += [f"| `{_cell(name)}` | {_cell(_text(text))} |" for name, text in records(command, context)]
        lines += ["", *([_text(command.epilog), ""] if command.epilog else [])]
    return "\n".join(lines) + "\n"


def verdict_page() -> str:
    """Return the fields of a verdict's JSON, from its schema."""
    schema = json.loads((DOCS / "verdict.schema.json").read_text())
    lines = ["# The verdict as JSON", "", "What `--json` writes; `docs/verdict.schema.json` is the schema.", ""]
    for name, part in {"Verdict": schema, **schema["$defs"]}.items():
        if "properties" not in part:
            continue
        lines += [f"## {name}", "", _text(part.get("description", "")), ""]
        lines += ["| key | type | meaning |", "| --- | --- | --- |"]
        for key, value in part["properties"].items():
            lines.append(f"| `{key}` | {_cell(_kind(value))} | {_cell(_text(value.get('description', '')))} |")
        lines.append("")
    return "\n".join(lines) + "\n"


def _kind(value: dict[str, Any]) -> str:
    """Return what a value may be, in words."""
    if "anyOf" in value:
        return " or ".join(_kind(choice) for choice in value["anyOf"])
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return str(value["$ref"]).rpartition("/")[2]
    if value.get("type") == "array":
        return f"list of {_kind(value['items'])}" if value.get("items") else "list"
    return str(value.get("type", "any"))


def card_page() -> str:
    """Return the fields of card.json, from its class."""
    lines = ["# The card of a model", "", "A model is a folder; its `card.json` holds:", ""]
    for kind in ("Card", "Calibration", "Thresholds", "QualityFloor", "NetworkSpec", "FileFacts"):
        found = getattr(unmask.models.card, kind)
        lines += [
            f"## {kind}",
            "",
            _text((found.__doc__ or "").split("\n")[0]),
            "",
            "| key | meaning |",
            "| --- | --- |",
        ]
        lines += [f"| `{key}` | {_cell(_text(text))} |" for key, text in descriptions(found).items()]
        lines.append("")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return the tree of errors."""
    text = errors.__doc__ or ""
    head, _, rest = text.partition("\n\n")
    tree, _, end = rest.rpartition("\n\n")
    return f"# Errors in Python\n\n{head}\n\n```text\n{tree}\n```\n\n{end}\n"


def _text(text: str) -> str:
    """Return help or a docstring as a paragraph of Markdown."""
    return " ".join(text.replace("\b", "").replace("``", "`").split()).replace("<", "&lt;")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write_generated(DOCS / GENERATED)
