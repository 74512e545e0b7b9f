"""Write the JSON schemas of verdicts and comparisons, made from the types, into docs/.

python scripts/make_schema.py
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

import unmask.compared
import unmask.types
from unmask.compared import COMPARISON_TIMING, COMPARISON_VERSION, Comparison
from unmask.types import SCHEMA_VERSION, TIMING, Verdict

DOCS = Path(__file__).parents[1] / "docs"


def schema() -> dict[str, Any]:
    """Return the schema of `Verdict.to_dict`; every key is always there but the time, and there are no others."""
    made = _schema(Verdict, SCHEMA_VERSION, TIMING)
    made["properties"]["reason_codes"] = {
        "description": "What each of `reasons` says, for programs and other languages; an error's code is the status.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "code": {"description": "What it says.", "type": "string"},
                "values": {
                    "description": "Its numbers and texts by name.",
                    "type": "object",
                    "additionalProperties": {"type": ["string", "number", "null"]},
                },
            },
            "required": ["code", "values"],
            "additionalProperties": False,
        },
    }
    made["required"] = sorted([*made["required"], "reason_codes"])
    thumbnail = made["$defs"]["PersonVerdict"]["properties"]["thumbnail_jpeg"]
    thumbnail |= {"type": "string", "contentEncoding": "base64"}
    thumbnail.pop("format", None)
    return made


def comparison_schema() -> dict[str, Any]:
    """Return the schema of `Comparison.to_dict`, with the same rules."""
    made = _schema(Comparison, COMPARISON_VERSION, COMPARISON_TIMING)
    for part in made["$defs"].values():
        for value in part["properties"].values():
            if value.get("format") == "binary":
                del value["format"]
                value["contentEncoding"] = "base64"
    return made


SCHEMAS = {"verdict.schema.json": schema, "comparison.schema.json": comparison_schema}
"""Name of a file in docs/ -> what makes it."""


def _schema(root: type, version: int, timing: tuple[str, ...]) -> dict[str, Any]:
    made = TypeAdapter(root).json_schema(mode="serialization")
    for name, part in {root.__name__: made, **made["$defs"]}.items():
        kind = getattr(unmask.types, name, None) or getattr(unmask.compared, name)
        for key, text in descriptions(kind).items():
            part["properties"][key]["description"] = text
            part["properties"][key].pop("default", None)
        part["required"] = sorted(part["properties"].keys() - set(timing))
        part["additionalProperties"] = False
    made["properties"]["schema_version"] = {
        "const": version,
        "description": "Version of this schema; raised when a field changes.",
    }
    made["required"] = sorted([*made["required"], "schema_version"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def descriptions(kind: type) -> dict[str, str]:
    """Return the line that stands after each field of a dataclass, by name of the field."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            assert isinstance(text.value, ast.Constant)
            found[field.target.id] = inspect.cleandoc(str(text.value.value)).replace("``", "`")
    return found


if __name__ == "__main__":
    for file, make in SCHEMAS.items():
        (DOCS / file).write_text(json.dumps(make(), indent=1) + "\n")
