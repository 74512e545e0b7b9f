"""What stands around the code: workflows, forms, the citation, and where they must agree."""

import re
import tomllib
from pathlib import Path

import pytest

from unmask._version import __version__

ROOT = Path(__file__).parents[1]
GITHUB = ROOT / ".github"

pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="a source distribution has no workflows")


def test_actions_are_named_by_their_commit():
    used = [
        line for path in GITHUB.glob("workflows/*.yml") for line in path.read_text().splitlines() if "uses:" in line
    ]
    assert len(used) >= 6
    for line in used:
        assert re.search(r"uses: [\w.-]+/[\w.-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+$", line), line
    assert len({line.split("uses: ")[1] for line in used}) == len(
        {line.split("@")[0].split("uses: ")[1] for line in used}
    )


def test_every_python_that_is_promised_is_tested():
    project = (ROOT / "pyproject.toml").read_text()
    promised = re.findall(r"Programming Language :: Python :: (3\.\d+)", project)
    matrix = re.search(r"python: \[(.*)\]", (GITHUB / "workflows" / "test.yml").read_text())[1]
    assert re.findall(r"3\.\d+", matrix) == promised


def test_reports_of_faults_and_verdicts_come_with_what_doctor_says():
    for name in ("fault", "verdict"):
        form = (GITHUB / "ISSUE_TEMPLATE" / f"{name}.yml").read_text()
        (asked,) = [part for part in form.split("- type: ") if "unmask doctor --json" in part]
        assert "required: true" in asked


def test_the_citation_names_this_version():
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()


def test_linked_files_exist():
    for name in ("CODE_OF_CONDUCT.md", "ROADMAP.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name}: {target}"


def test_the_lock_file_is_of_these_dependencies():
    """What `uv lock --check` asks of a registry as well; here by the names, for each extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = tomllib.loads((ROOT / "uv.lock").read_text())
    (own,) = (package for package in lock["package"] if package["name"] == "unmask")
    wanted = project["dependencies"] + [need for needs in project["optional-dependencies"].values() for need in needs]
    named = {re.match(r"[\w.-]+", need)[0].lower().replace("_", "-") for need in wanted}
    assert {need["name"] for need in own["metadata"]["requires-dist"]} | {"unmask"} == named | {"unmask"}
    assert set(own["metadata"]["provides-extras"]) == set(project["optional-dependencies"])
    sources = {package["source"].get("registry") for package in lock["package"] if package is not own}
    assert sources == {"https://pypi.org/simple"}
