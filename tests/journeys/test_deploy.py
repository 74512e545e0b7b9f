"""What people copy to deploy unmask: it parses, names options that exist, and gives no rights that are not needed."""

import re
import runpy
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from unmask.cli import app

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXTS = {path: path.read_text() for path in sorted(DEPLOY.rglob("*")) if path.is_file()}
OPTIONS = {option for command in get_command(app).commands.values() for p in command.params for option in p.opts}


@pytest.mark.parametrize("path", [path for path in TEXTS if path.suffix == ".sh"], ids=lambda path: path.name)
def test_scripts_parse(path):
    assert subprocess.run(["sh", "-n", str(path)], capture_output=True, check=False).stderr == b""


def test_options_of_unmask_are_there():
    named = [(path.name, line) for path, text in TEXTS.items() for line in text.splitlines() if "unmask scan" in line]
    assert len(named) >= 4
    for name, line in named:
        options = re.findall(r"(?<= )--[a-z-]+", line.partition("unmask scan")[2])
        assert set(options) <= OPTIONS, name


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_images_run_as_an_ordinary_user(name):
    text = (DEPLOY / "docker" / name).read_text()
    assert re.findall(r"^USER (.+)$", text, flags=re.M) == ["10001:10001"]
    for source in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.M):
        assert all((DEPLOY.parent / each).exists() for each in source.split())


def test_the_script_that_builds_without_a_builder_understands_the_steps(tmp_path):
    path = DEPLOY.parent / "scripts" / "image_in_chroot.py"
    names = runpy.run_path(str(path), run_name="image_in_chroot")
    stages = names["read_stages"](DEPLOY / "docker" / "Dockerfile", tmp_path)
    assert list(stages) == ["build", "image"]
    (tmp_path / "build" / "opt" / "unmask").mkdir(parents=True)
    for stage in stages.values():
        assert re.fullmatch(r"debian:\w+-slim", stage.base)
        for word, rest in stage.steps:
            if word != "RUN":
                names["do_step"](stage, word, rest, stages, DEPLOY.parent)
    image = stages["image"]
    assert (image.user, image.folder, image.command) == ("10001:10001", "/data", ["unmask", "--help"])
    assert image.environment["PATH"].startswith("/opt/unmask/bin:/usr")
    assert (tmp_path / "build" / "src" / "src" / "unmask" / "__init__.py").is_file()
    assert (tmp_path / "image" / "opt" / "unmask").is_dir()


def test_manifests_parse_and_ask_for_little():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    job = yaml.safe_load((DEPLOY / "kubernetes" / "indexed-job.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"]
    assert f"/{job['spec']['completions']}" in pod["containers"][0]["args"][0]
    ray_job = yaml.safe_load((DEPLOY / "kubernetes" / "rayjob.yaml").read_text())
    assert ray_job["kind"] == "RayJob"
    compose = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())
    assert compose["services"]["unmask"]["read_only"]
