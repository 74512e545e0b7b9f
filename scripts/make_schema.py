"""Write the JSON schema of a verdict, made from the types, to docs/verdict.schema.json.

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

import unmask.types
from unmask.types import SCHEMA_VERSION, TIMING, Verdict

PATH = Path(__file__).parents[1] / "docs" / "verdict.schema.json"


def schema() -> dict[str, Any]:
    """Return the schema of `Verdict.to_dict`; every key is always there but the time, and there are no others."""
    made = TypeAdapter(Verdict).json_schema(mode="serialization")
    for name, part in {"Verdict": made, **made["$defs"]}.items():
        for key, text in descriptions(getattr(unmask.types, name)).items():
            part["properties"][key]["description"] = text
            part["properties"][key].pop("default", None)
        part["required"] = sorted(part["properties"].keys() - set(TIMING))
        part["additionalProperties"] = False
    version = {
        "const": SCHEMA_VERSION,
        "description": "Version of this schema; raised when a field changes.",
    }
    made["properties"]["schema_version"] = version
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
    made["required"] = sorted([*made["required"], "reason_codes", "schema_version"])
    thumbnail = made["$defs"]["PersonVerdict"]["properties"]["thumbnail_jpeg"]
    thumbnail |= {"type": "string", "contentEncoding": "base64"}
    thumbnail.pop("format", None)
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
    PATH.write_text(json.dumps(schema(), indent=1) + "\n")
