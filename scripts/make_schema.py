"""Write the JSON schema of a verdict, made from the types, to docs/verdict.schema.json.

python scripts/make_schema.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from unmask.types import SCHEMA_VERSION, Verdict

PATH = Path(__file__).parents[1] / "docs" / "verdict.schema.json"


def schema() -> dict[str, Any]:
    """Return the schema of `Verdict.to_dict`; every key is always there, and there are no others."""
    made = TypeAdapter(Verdict).json_schema(mode="serialization")
    made["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    del made["properties"]["elapsed_seconds"]
    for part in (made, *made["$defs"].values()):
        part["required"] = sorted(part["properties"])
        part["additionalProperties"] = False
    made["$defs"]["PersonVerdict"]["properties"]["thumbnail_jpeg"] = {"type": "string", "contentEncoding": "base64"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


if __name__ == "__main__":
    PATH.write_text(json.dumps(schema(), indent=1) + "\n")
