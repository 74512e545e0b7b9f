"""The floors of the package: no import goes in a circle, and the drawing in CONTRIBUTING.md is the contract's."""

import re
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_no_import_goes_in_a_circle():
    grimp = pytest.importorskip("grimp", reason="import-linter, which brings grimp, is not installed")
    graph = grimp.build_graph("unmask", exclude_type_checking_imports=False, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert "unmask.types" in imported["unmask.media.frames"]
    try:
        TopologicalSorter(imported).prepare()
    except CycleError as error:
        pytest.fail(" is imported by ".join(error.args[1]))


def floors(lines, prefix=""):
    return [{name.strip().removeprefix(prefix) for name in line.split("|")} for line in lines]


def test_the_drawing_of_the_floors_is_the_contracts():
    (drawing,) = re.findall(r"^```\n(cli\b.+?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), flags=re.M | re.S)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = [contract for contract in contracts if contract["type"] == "layers"]
    assert floors(drawing.splitlines()) == floors(contract["layers"], "unmask.")


def test_every_module_of_the_package_has_a_floor():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = set().union(*floors(contracts[0]["layers"], "unmask."))
    package = ROOT / "src" / "unmask"
    folders = {path.name for path in package.iterdir() if (path / "__init__.py").exists()}
    modules = {path.stem for path in package.glob("*.py") if not path.stem.startswith("_")}
    assert named == folders | modules
