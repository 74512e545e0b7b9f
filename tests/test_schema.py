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


def test_the_schema_of_comparisons_is_that_of_the_types():
    made = runpy.run_path(str(ROOT / "scripts" / "make_schema.py"))["comparison_schema"]()
    written = (ROOT / "docs" / "comparison.schema.json").read_text()
    assert json.dumps(made, indent=1) + "\n" == written, "run: python scripts/make_schema.py"


def test_every_field_is_described():
    for name, part in {"Verdict": SCHEMA, **SCHEMA["$defs"]}.items():
        for key, facts in part["properties"].items():
            assert len(facts.get("description", "")) > 5, f"{name}.{key}: run python scripts/make_schema.py"


def test_verdicts_are_valid(scanner, short_clips, tmp_path):
    for path in (short_clips["authentic"], short_clips["blended"], tmp_path / "missing.mp4"):
        verdict = scanner.scan(path)
        VALIDATOR.validate(json.loads(json.dumps(verdict.to_dict())))
        VALIDATOR.validate(json.loads(json.dumps(verdict.to_dict(timing=True))))


def test_a_changed_verdict_is_not(scanner, short_clips):
    row = json.loads(json.dumps(scanner.scan(short_clips["authentic"]).to_dict()))
    for change in ({"status": "fine"}, {"extra": 1}, {"fake_probability": "high"}):
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(row | change)
    del row["label"]
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(row)
