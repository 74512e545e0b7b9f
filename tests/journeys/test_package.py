"""What is in the package that users install: code, recipes, and the terms of both code and weights."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "recipes").rglob("*.toml"))


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A wheel, built from the source distribution as an installer does, and that distribution."""
    if find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed")
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    subprocess.run([*build, "-t", "sdist"], cwd=ROOT, check=True, capture_output=True, timeout=300)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(out, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # since 3.11.4
    (source,) = (path for path in out.iterdir() if path.is_dir())
    subprocess.run([*build, "-t", "wheel"], cwd=source, check=True, capture_output=True, timeout=300)
    (wheel,) = out.glob("*.whl")
    return sdist, wheel


def test_recipes_are_in_wheel_and_source_distribution(built):
    sdist, wheel = built
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert names >= set(RECIPES)
    assert zipfile.ZipFile(wheel).namelist().count("unmask/recipes/tiny.toml") == 1
    assert set(zipfile.ZipFile(wheel).namelist()) >= {f"unmask/{name}" for name in RECIPES}
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith("share/man/man1/unmask.1")]


def test_the_wheel_tells_of_the_terms_of_the_weights(built):
    with zipfile.ZipFile(built[1]) as wheel:
        (metadata,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        fields = Parser().parsestr(wheel.read(metadata).decode())
        files = fields.get_all("License-File")
        assert fields["License-Expression"] == "Apache-2.0 AND LicenseRef-unmask-weights AND CC0-1.0"
        assert {"LICENSES/LicenseRef-unmask-weights.txt", "LICENSES/CC0-1.0.txt"} <= set(files)
        folder = metadata.removesuffix("METADATA") + "licenses/"
        text = wheel.read(folder + "LICENSES/LicenseRef-unmask-weights.txt").decode()
        assert "unmask/models/bundled/model.onnx" in wheel.namelist()
        assert wheel.getinfo("unmask/models/identity/model.onnx").file_size <= 6_000_000
    assert "non-commercial" in text
    assert "unmask/models/bundled/model.onnx" in text


def test_an_installed_package_finds_its_recipes(built, tmp_path):
    """Run in a process that sees the wheel's files and no checkout."""
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'site')!r})\n"
        "from pathlib import Path\n"
        "from unmask.training.recipes import find_recipe, recipe_names\n"
        "print(find_recipe(Path('b5'))); print(find_recipe(Path('robustforensics/b0'))); print(len(recipe_names()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        str(tmp_path / "site/unmask/recipes/b5.toml"), str(tmp_path / "site/unmask/recipes/robustforensics/b0.toml"),
        str(len(RECIPES)),
    ]  # fmt: skip


def test_the_licence_note_is_named_as_the_project_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for part in project["license"].split(" AND "):
        assert part == "Apache-2.0" or (ROOT / "LICENSES" / f"{part}.txt").is_file()


def test_the_wheel_holds_a_bill_of_the_model_that_it_carries(built):
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from make_sbom import bill
    finally:
        sys.path.pop(0)
    with zipfile.ZipFile(built[1]) as wheel:
        (name,) = (name for name in wheel.namelist() if ".dist-info/sboms/" in name)
        held = json.loads(wheel.read(name))
        hashes = {
            part["name"]: (
                part["hashes"][0]["content"],
                hashlib.sha256(wheel.read(f"unmask/models/bundled/{part['name']}")),
            )
            for part in held["components"][0]["components"]
        }
    assert held == bill(), "run scripts/make_sbom.py"
    assert set(hashes) == {"model.onnx", "model.int8.xml", "model.int8.bin"}
    assert all(said == found.hexdigest() for said, found in hashes.values())


def test_the_same_source_gives_the_same_wheel_to_the_byte_whenever_and_wherever_it_is_built(built, tmp_path):
    source = next(path for path in built[0].parent.iterdir() if path.is_dir())
    copy = shutil.copytree(source, tmp_path / "elsewhere")
    for path in copy.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    build = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path), "-t", "wheel"]
    environment = os.environ | {"TZ": "Asia/Seoul", "LC_ALL": "C"}
    subprocess.run(build, cwd=copy, check=True, capture_output=True, timeout=300, env=environment)
    (again,) = tmp_path.glob("*.whl")
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(built[1].read_bytes()).digest()
