"""Checks of the installation, each by itself; `unmask doctor` as a whole is in test_scan."""

import json
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from unmask import __version__
from unmask.cli import app, checks
from unmask.media.server import CAN_ISOLATE


def test_missing_packages_are_named_with_the_cure(monkeypatch):
    def version(name):
        if name == "mtcnn":
            raise PackageNotFoundError(name)
        return "1.0"

    assert "numpy" in checks.CHECKS["packages"]()
    monkeypatch.setattr(checks, "version", version)
    with pytest.raises(RuntimeError, match="missing: mtcnn; run: pip install"):
        checks.CHECKS["packages"]()


def test_extras_are_there_or_named(monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "nncf" else object())
    assert "train is there" in checks.CHECKS["extras"]()
    assert "int8 lacks nncf: pip install 'unmask[int8]'" in checks.CHECKS["extras"]()


def test_two_wheels_of_opencv_are_one_too_many(monkeypatch):
    wheels = [SimpleNamespace(metadata={"Name": f"opencv-python{suffix}"}) for suffix in ("", "-headless")]
    monkeypatch.setattr(checks, "distributions", lambda: wheels)
    with pytest.raises(RuntimeError, match="pip uninstall -y opencv-python opencv-python-headless && pip install"):
        checks.CHECKS["OpenCV"]()


@pytest.mark.skipif(not CAN_ISOLATE, reason="this platform cannot fork")
def test_what_confines_decoders_is_named(monkeypatch):
    monkeypatch.setattr("unmask.media.guards_in_force", lambda: ("session", "limits"))
    assert checks.CHECKS["decoding"]().startswith("in a process a file, confined by session, limits; this kernel lacks")
    monkeypatch.setattr("unmask.media.guards_in_force", lambda: ())
    assert "scan untrusted files in a virtual machine" in checks.CHECKS["decoding"]()


def test_the_video_decoders_are_listed():
    assert "decodes h264, hevc" in checks.CHECKS["video"]()


def test_what_is_found_can_be_sent_as_json(monkeypatch):
    def broken():
        raise RuntimeError("it is broken; run: mend it")

    monkeypatch.setattr(checks, "CHECKS", {"one": lambda: "whole", "other": broken})
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == 3
    found = json.loads(done.stdout)
    assert found.pop("cores") >= 1
    assert set(found) == {"unmask", "Python", "platform", "checks"}
    assert found["unmask"] == __version__
    assert found["checks"] == [
        {"check": "one", "ok": True, "said": "whole"},
        {"check": "other", "ok": False, "said": "it is broken; run: mend it"},
    ]
    said = CliRunner().invoke(app, ["doctor"]).stdout.splitlines()
    assert said[1:] == ["ok    one: whole", "FAIL  other: it is broken; run: mend it"]
