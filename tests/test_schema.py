"""Verdicts keep to the JSON schema in the repository, and the schema to the types."""

import json
import runpy
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).parents[1]
SCHEMA = json.loads((ROOT / "docs" / "verdict.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def test_the_schema_is_that_of_the_types():
    made = runpy.run_path(str(ROOT / "scripts" / "make_schema.py"))["schema"]()

    def keys(schema):
        parts = {"Verdict": schema, **schema["$defs"]}
        return {name: sorted(part["properties"]) for name, part in parts.items()}

    assert keys(made) == keys(SCHEMA), "run: python scripts/make_schema.py"


def test_verdicts_are_valid(scanner, clips, tmp_path):
    for path in (clips["authentic"], clips["blended"], tmp_path / "missing.mp4"):
        VALIDATOR.validate(json.loads(json.dumps(scanner.scan(path).to_dict())))


def test_a_changed_verdict_is_not(scanner, clips):
    row = json.loads(json.dumps(scanner.scan(clips["authentic"]).to_dict()))
    for change in ({"status": "fine"}, {"extra": 1}, {"fake_probability": "high"}):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(row | change)
    del row["label"]
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(row)
