import os
import subprocess
import sys

import pytest

import unmask

HEAVY = {"numpy", "cv2", "av", "openvino", "torch", "torchvision", "timm", "pydantic", "jinja2", "typer"}


def loaded_by(code):
    """Return which heavy packages a fresh interpreter has loaded after running ``code``."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"]
    return HEAVY & set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_all_names_exist_and_are_sorted():
    assert sorted(unmask.__all__) == unmask.__all__
    for name in unmask.__all__:
        assert getattr(unmask, name) is not None
    assert dir(unmask) == unmask.__all__


@pytest.mark.parametrize("suffix", ["json", "csv", "html"])
def test_a_verdict_can_be_saved_without_a_scanner(tmp_path, suffix):
    saving = f"Verdict('x.mp4', 'no_face', None, None).save('x.{suffix}')"
    subprocess.run([sys.executable, "-c", f"from unmask.types import Verdict; {saving}"], check=True, cwd=tmp_path)
    assert (tmp_path / f"x.{suffix}").stat().st_size > 0


def test_unknown_name():
    with pytest.raises(AttributeError, match="nothing"):
        unmask.nothing  # noqa: B018


def test_importing_unmask_loads_nothing_heavy():
    assert loaded_by("import unmask") == set()


def test_the_command_line_starts_without_the_heavy_parts():
    assert loaded_by("import unmask.cli") <= {"typer"}


def test_scanning_never_loads_torch(clips, tmp_path, monkeypatch):
    for name in ("torch", "torchvision", "timm"):
        (tmp_path / f"{name}.py").touch()  # so that importing it would succeed
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert loaded_by("import torch") == {"torch"}
    assert not {"torch", "torchvision", "timm"} & loaded_by(
        f"import unmask; unmask.Scanner(frames=2).scan({str(clips['authentic'])!r})"
    )


def test_scanning_makes_no_connection_starts_its_decoder_alone_and_writes_nothing(clips, tmp_path):
    code = f"""
import sys
events = []
watched = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system")
sys.addaudithook(lambda event, args: events.append((event, args)) if event in watched else None)
import unmask
assert unmask.Scanner(frames=2).scan({str(clips["authentic"])!r}).status == "ok"
started = [args[1] for event, args in events if event == "subprocess.Popen"]
assert len(started) == len(events) <= 1, events
assert all("from unmask.media.server import serve" in command[-1] for command in started), started
"""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
