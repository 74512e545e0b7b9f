"""The same clips get the same verdicts wherever, by however many, and beside whatever they are scanned.

python -m pytest tests/journeys/test_same_answer.py -m kills       # the whole grid, in processes of their own: minutes
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from unmask import Scanner

NOT_OF_THE_CLIP = ("path", "scanned_at", "elapsed_seconds")
"""What a row says of the moment and the name, not of the clip."""


@pytest.fixture(scope="module")
def handful(short_clips, clips, tmp_path_factory):
    """Two short clips, a longer one, the first part of one, nothing, and what is no film."""
    folder = tmp_path_factory.mktemp("handful")
    for name, clip in short_clips.items():
        shutil.copy(clip, folder / f"{name}.mp4")
    shutil.copy(clips["blended"], folder / "longer.mp4")
    whole = short_clips["authentic"].read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "broken.mp4").write_bytes(b"no film")
    (folder / "empty.mp4").touch()
    return sorted(folder.iterdir())


def answers(scanner, paths):
    rows = {Path(verdict.path).name: verdict.to_dict() for verdict in scanner.scan_many(paths)}
    return {name: without(row, NOT_OF_THE_CLIP) for name, row in rows.items()}


def without(row, keys):
    return {key: value for key, value in row.items() if key not in keys}


@pytest.fixture(scope="module")
def expected(handful):
    return answers(Scanner(frames=8, workers=1), handful)


@pytest.mark.parametrize("workers", [4, pytest.param(2, marks=pytest.mark.kills)])
def test_workers_order_and_neighbours_change_nothing(handful, expected, workers, tmp_path):
    """Beside others, in another order, and some of them twice."""
    neighbour = tmp_path / "neighbour.mp4"
    shutil.copy(handful[-2], neighbour)
    others = [neighbour, *reversed(handful), handful[0], tmp_path / "missing.mp4", handful[2]]
    found = answers(Scanner(frames=8, workers=workers), others)
    assert {name: found[name] for name in expected} == expected
    assert len({row["label"] for row in expected.values()}) > 1, "else equality says nothing"


def scan(handful, folder, options=(), umask=0o022, drop=(), **environment):
    """Scan in a process of its own; return the rows without what is of the moment."""
    folder.mkdir()
    command = [sys.executable, "-m", "unmask", "scan", *map(str, handful), "--json", "o.jsonl", "--csv", "s.csv"]
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    done = subprocess.run(
        [*command, "--frames", "8", "-q", *options], cwd=folder, env=kept | environment, umask=umask,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    lines = (folder / "o.jsonl").read_text().splitlines()
    return {Path(row["path"]).name: without(row, NOT_OF_THE_CLIP) for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def locales(tmp_path_factory):
    """A folder of locales that the system need not have: Turkish has another i, German another decimal sign."""
    folder = tmp_path_factory.mktemp("locales")
    if shutil.which("localedef") is None:
        pytest.skip("localedef is not installed")
    for name in ("tr_TR", "az_AZ", "de_DE"):
        command = ["localedef", "-i", name, "-f", "UTF-8", "--no-archive", str(folder / f"{name}.UTF-8")]
        if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode:
            pytest.skip(f"there is no definition of {name}; on Debian: apt-get install locales")
    return str(folder)


PLACES = {
    "Turkish": {"LC_ALL": "tr_TR.UTF-8"},
    "German": {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"},
    "none": {"LC_ALL": "C", "PYTHONUTF8": "0", "TZ": "Pacific/Kiritimati"},
    "all may read": {"umask": 0o000, "PYTHONHASHSEED": "7"},
    "nobody may read": {"umask": 0o077, "PYTHONHASHSEED": "0"},
    "no home": {"drop": ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "LOGNAME", "USER")},
    "one core": {"options": ("--workers", "1"), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    "four workers": {"options": ("--workers", "4")},
}


@pytest.mark.kills
@pytest.mark.parametrize("place", PLACES)
def test_the_place_changes_nothing(handful, expected, locales, tmp_path, place):
    assert scan(handful, tmp_path / "out", **PLACES[place], LOCPATH=locales) == expected


@pytest.mark.parametrize("language", ["tr_TR", "az_AZ"])
def test_networks_are_built_in_turkish_and_azeri(locales, language):
    """Where ``I`` is not the large ``i``, OpenVINO did not know its own words."""
    code = (
        "import ctypes, locale; from unmask.runtime.openvino import op; import numpy as np\n"
        "ones = np.ones((1, 3, 3, 3))\n"
        "op.convolution(op.parameter([1, 3, 8, 8]), ones.astype('f4'), [1] * 2, [0] * 2, [0] * 2, [1] * 2)\n"
        "print(ctypes.CDLL(None).tolower(73), locale.setlocale(locale.LC_CTYPE), end='')"
    )
    environment = os.environ | {"LC_ALL": f"{language}.UTF-8", "LOCPATH": locales}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.split() == ["105", "C.UTF-8"], done.stderr


@pytest.mark.kills
def test_nor_do_guards(handful, expected, tmp_path):
    """Decoded within the scanning process: the settings say so, and all else is the same."""
    found = scan(handful, tmp_path / "out", ("--limits", "isolate=no"))
    assert {name: without(row, "settings") for name, row in found.items()} == {
        name: without(row, "settings") for name, row in expected.items()
    }


PROCESSORS = ("AVX2", "AVX512_CORE", "AVX512_CORE_VNNI", "AVX512_CORE_BF16")
"""From a laptop of 2013 to a server with the newest number formats; OpenVINO cannot be held to less than the first."""


@pytest.mark.kills
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="sets the instructions of x86 processors")
@pytest.mark.parametrize("instructions", PROCESSORS)
def test_the_processor_changes_next_to_nothing(handful, expected, tmp_path, instructions):
    """Scores within 0.005; all that is no score is the same."""
    found = scan(handful, tmp_path / "out", ONEDNN_MAX_CPU_ISA=instructions)
    assert_close(found, expected)


def assert_close(found, expected, where=""):
    """Compare JSON; numbers may differ by 0.005, and so may those that stand in a sentence, by a hundredth."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_close(found[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for number, pair in enumerate(zip(found, expected, strict=True)):
            assert_close(*pair, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, abs=0.005), where
    elif isinstance(expected, str) and found != expected:
        numbers = [[float(number) for number in re.findall(r"\d+\.\d+", text)] for text in (found, expected)]
        assert re.sub(r"\d+\.\d+", "", found) == re.sub(r"\d+\.\d+", "", expected), where
        assert numbers[0] == pytest.approx(numbers[1], abs=0.0101), where
    else:
        assert found == expected, where
