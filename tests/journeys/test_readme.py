"""The README's commands and code do what it says."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from examples.make_clips import PORTRAIT
from PIL import Image
from typer.testing import CliRunner

from unmask.cli import app
from unmask.datasets.synthetic import read_portrait

pytestmark = pytest.mark.usefixtures("searched_once")

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = [command.replace("\\|", "|") for command in re.findall(r"`((?:find .*\| )?unmask [^`]+)`", README)]


@pytest.fixture
def workplace(tmp_path, short_clips, sample, monkeypatch):
    (tmp_path / "sample").symlink_to(sample)
    shutil.copy(short_clips["authentic"], tmp_path / "clip.mp4")
    shutil.copy(short_clips["blended"], tmp_path / "original.mp4")
    (tmp_path / "videos").mkdir()
    shutil.copy(short_clips["blended"], tmp_path / "videos" / "blended.mp4")
    picture = read_portrait(PORTRAIT)
    Image.fromarray(picture).save(tmp_path / "picture.jpg")
    for name in ("clip_1", "clip_2"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(picture).save(tmp_path / "faces" / name / f"{number}.png")
    (tmp_path / "stream").mkdir()
    for number in range(2):
        shutil.copy(short_clips["authentic"], tmp_path / "stream" / f"{number}.mp4")
    (tmp_path / "stream.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nstream/0.mp4\n#EXTINF:1,\nstream/1.mp4\n")
    for name in ("a", "b"):
        target = tmp_path / "path" / "to" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(ROOT / "src" / "unmask" / "models" / "bundled")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_command(workplace, command):
    listed = None
    if "|" in command:
        listing, command = command.split("|")
        listed = subprocess.run(shlex.split(listing), capture_output=True, text=True, check=True).stdout
    if "--engine ray" in command:  # a cluster is for a process of its own
        pytest.importorskip("ray", reason="the extra ray is not installed")
        args = [sys.executable, "-m", "unmask", *shlex.split(command)[1:]]
        ran = subprocess.run(args, capture_output=True, text=True, timeout=600, check=False)
        assert (ran.returncode, ran.stdout) == (0, "run: 1 rows: 1 ok\n"), ran.stderr
        return
    done = CliRunner().invoke(app, shlex.split(command)[1:], input=listed)
    # One of the sample's clips is broken.
    assert done.exit_code == (3 if " sample " in command else 0), done.output
    assert done.stdout


def test_commands_were_found():
    assert len(COMMANDS) >= 10


def test_python_block(workplace, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
    assert "videos/blended.mp4 ok" in capsys.readouterr().out.replace("\\", "/")
    assert (workplace / "clip.html").exists()


def test_linked_files_exist():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_models_numbers_are_those_of_its_card():
    done = subprocess.run([sys.executable, str(ROOT / "scripts" / "update_readme.py"), "--check"], check=False)
    assert done.returncode == 0, "run: python scripts/update_readme.py"


def test_third_party_names_every_package():
    rows = (ROOT / "THIRD_PARTY.md").read_text().lower().splitlines()
    listed = {name.strip() for row in rows if row.startswith("| ") for name in row.split("|")[1].split(",")}
    wanted, seen = ["unmask"], set()
    from importlib.metadata import PackageNotFoundError, requires

    while wanted:
        name = wanted.pop()
        try:
            needs = requires(name) or []
        except PackageNotFoundError:
            continue  # of another platform
        for need in needs:
            package = re.match(r"[A-Za-z0-9_.-]+", need)[0].lower().replace("_", "-")
            if "extra ==" not in need and package not in seen:
                seen.add(package)
                wanted.append(package)
    assert {"numpy", "pygments", "cloudpickle"} <= seen
    assert sorted(package for package in seen if package not in listed) == []
