"""The documents build as a site without a warning: no link leads nowhere, no name of the API is missing."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("sphinx") is None, reason="sphinx is not installed: pip install '.[docs]'")
def test_the_site_builds_without_a_warning_and_shows_commands_names_and_keys(tmp_path):
    build = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-d", str(tmp_path / "trees")]
    done = subprocess.run(
        [*build, str(ROOT / "docs"), str(tmp_path / "site")], capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "")
    site = tmp_path / "site"
    commands = (site / "generated" / "commands.html").read_text()
    assert "unmask models import" in commands
    assert "--frames-folder" in commands
    assert "fake_probability" in (site / "generated" / "verdict.html").read_text()
    assert "scan_many" in (site / "reference" / "python.html").read_text()
    assert "temperature" in (site / "generated" / "card.html").read_text()
