"""In a base install every command that needs an extra names it, and gives no traceback."""

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from unmask.cli import app

BLOCKER = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize(
    ("missing", "command", "extra"),
    [
        (("torch",), "train tiny --data d --out o", "train"),
        (("timm", "torchvision"), "train b5 --data d --out o", "train"),
        (("torch", "timm", "safetensors"), "models export d --out o --licence x", "train"),
        (("safetensors",), "models export d --out o --licence x", "train"),
        (("nncf",), "models quantise bundled --data d", "int8"),
        (("pyarrow",), "explore {sample} --out o", "data"),
        (("pyarrow",), "prepare {sample} --out o", "data"),
        (("pyarrow",), "evaluate x.csv --labels index.parquet", "data"),
        (("uvicorn",), "serve --data d", "serve"),
        (("fastapi",), "serve --data d", "serve"),
        (("python_multipart",), "serve --data d", "serve"),
        (("mcp",), "mcp", "mcp"),
    ],
)
def test_the_cure_is_named(tmp_path, sample, missing, command, extra):
    (tmp_path / "sitecustomize.py").write_text(BLOCKER.format(missing=missing))
    (tmp_path / "x.csv").write_text("filename,label\na.mp4,0.5\n")
    (tmp_path / "index.parquet").write_bytes(b"PAR1")
    for kind in ("real", "fake"):
        (tmp_path / "d" / kind).mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, sys.path)])}
    run = [sys.executable, "-m", "unmask", *command.format(sample=sample).split()]
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert f"pip install 'unmask[{extra}]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_fault_of_ours_is_no_missing_extra():
    from unmask.cli.console import missing_package

    assert missing_package("unmask.nothing") is None
    assert missing_package("torch.nn") == "this needs torch, which is not installed; run: pip install 'unmask[train]'"


def test_help_in_short_and_completion():
    for command in ((), ("scan",), ("models",), ("models", "list"), ("evaluate",), ("train",), ("sample",)):
        short, long = (CliRunner().invoke(app, [*command, option]) for option in ("-h", "--help"))
        assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "--install-completion" in CliRunner().invoke(app, ["-h"]).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_commands_and_options(shell):
    values = {
        "bash": {"COMP_WORDS": "unmask scan --js", "COMP_CWORD": "2"},
        "zsh": {"_TYPER_COMPLETE_ARGS": "unmask scan --js"},
        "fish": {"_TYPER_COMPLETE_ARGS": "unmask scan --js", "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }
    code = "import sys; sys.argv[0] = 'unmask'; from unmask.cli import main; main()"
    environment = os.environ | values[shell] | {"_UNMASK_COMPLETE": f"complete_{shell}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "--json" in done.stdout


def test_the_rows_of_a_scan_say_which_libraries_made_them(short_clips):
    done = CliRunner().invoke(app, ["scan", str(short_clips["authentic"]), "--json", "-", "--frames", "2", "-q"])
    assert set(json.loads(done.stdout)["libraries"]) == {"PyAV", "FFmpeg", "OpenVINO", "OpenCV"}
