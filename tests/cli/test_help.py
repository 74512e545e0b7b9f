"""What the command line says of itself: help, defaults, the manual page, completion in real shells, spelling."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Context
from typer.main import get_command
from typer.testing import CliRunner

from unmask._version import __version__
from unmask.cli import app

ROOT = Path(__file__).parents[2]


def all_commands(group, parent):
    """All commands with their contexts, by what is typed to run them."""
    for name, command in group.commands.items():
        context = Context(command, info_name=name, parent=parent)
        if hasattr(command, "commands"):
            yield from all_commands(command, context)
        else:
            yield context.command_path, command, context


GROUP = get_command(app)
COMMANDS = {
    path: (command, context) for path, command, context in all_commands(GROUP, Context(GROUP, info_name="unmask"))
}
PARAMETERS = [
    pytest.param(path, parameter, id=f"{path} {parameter.name}")
    for path, (command, _) in COMMANDS.items()
    for parameter in command.params
]


@pytest.mark.parametrize(("path", "parameter"), PARAMETERS)
def test_every_option_says_what_it_does_and_its_default(path, parameter):
    _, said = parameter.get_help_record(COMMANDS[path][1])
    assert re.match(r"[A-Z`]|auto: |cpu, ", parameter.help), "a help text begins like a sentence"
    assert parameter.help.endswith("."), "and ends like one"
    default = parameter.default
    if parameter.required:
        assert "required" in said
    elif default is None or default is False or default == ():
        assert "[default: " not in said  # without the option it is not done, or the text itself names the default
    else:
        value = getattr(default, "value", default)
        assert f"[default: {value}" in " ".join(said.split())


def test_every_command_is_listed_with_its_whole_sentence():
    listed = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    more = " ".join(CliRunner().invoke(app, ["models", "--help"]).stdout.split())
    for path, (command, _) in COMMANDS.items():
        assert command.help.partition("\n")[0] in (more if path.startswith("unmask models") else listed)
        assert command.help.partition("\n")[0].endswith(".")


def test_the_version():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"unmask {__version__}\n")


def test_help_loads_nothing_heavy():
    """The times of it are in docs/speed.md; here is what they rest on."""
    code = "import sys; sys.argv[0] = 'unmask'; import unmask.cli\n"
    code += "try:\n    unmask.cli.main()\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    for options in (["--help"], ["scan", "--help"], ["--version"]):
        done = subprocess.run([sys.executable, "-c", code, *options], capture_output=True, text=True, check=True)
        loaded = {name.partition(".")[0] for name in done.stderr.split()}
        assert not loaded & {"numpy", "cv2", "av", "openvino", "rich", "torch", "PIL", "asyncio"}


def test_the_manual_page_is_that_of_the_command_line():
    made = runpy.run_path(str(ROOT / "scripts" / "make_man.py"))["page"]()

    def words(page):  # the form of a value's type is Typer's
        return re.sub(r" <.*?>|^\.TH.*$", "", page, flags=re.M).split()

    assert words(made) == words((ROOT / "docs" / "unmask.1").read_text()), "run: python scripts/make_man.py"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff")
def test_the_manual_page_is_typeset_without_a_warning():
    page = ROOT / "docs" / "unmask.1"
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "unmask scan" in done.stdout


IN_SHELL = {
    "bash": """
        eval "$(_UNMASK_COMPLETE=source_bash unmask)"
        [[ $(complete -p unmask) == *"-F _unmask_completion unmask" ]] || exit 9
        COMP_WORDS=({words}) COMP_CWORD={last}
        _unmask_completion unmask
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        compdef() {{ [[ "$*" == "_unmask_completion unmask" ]] || exit 9 }}  # the shell's own work, as is _arguments
        _arguments() {{ print -r -- "$@" }}
        eval "$(_UNMASK_COMPLETE=source_zsh unmask)"
        words=({words}) CURRENT={number}
        _unmask_completion
    """,
}
"""What a shell does when the key for completion is pressed."""


@pytest.mark.skipif(sys.platform == "win32", reason="shells of Unix")
@pytest.mark.parametrize("shell", list(IN_SHELL))
@pytest.mark.parametrize(
    ("words", "wanted"), [("unmask sc", "scan"), ("unmask scan --js", "--json"), ("unmask models ver", "verify")]
)
def test_a_real_shell_completes(shell, words, wanted, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    start = f"import sys; sys.path[:] = {sys.path!r}; sys.argv[0] = 'unmask'; from unmask.cli import main; main()"
    command = tmp_path / "unmask"
    command.write_text(f"#!{sys.executable}\n{start}\n")
    command.chmod(0o755)
    number = len(words.split())
    code = IN_SHELL[shell].format(words=words, last=number - 1, number=number)
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([shell, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert wanted in done.stdout
    assert done.stderr == ""
