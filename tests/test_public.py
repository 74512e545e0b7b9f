import ast
import inspect
import os
import subprocess
import sys
import typing
from pathlib import Path

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


def annotated(value):
    """Yield what carries the annotations of a public class or function: its fields, its public methods."""
    if not inspect.isclass(value):
        yield value
        return
    if "__dataclass_fields__" in vars(value) or typing.is_typeddict(value):
        yield value
    for name, member in vars(value).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if inspect.isfunction(function) and (name == "__init__" or not name.startswith("_")):
            yield function


def classes_in(hint):
    """Yield all classes that an annotation names."""
    if inspect.isclass(hint) and not typing.get_args(hint):
        yield hint
    for part in typing.get_args(hint):
        for each in part if isinstance(part, list) else [part]:
            yield from classes_in(each)


def test_public_signatures_and_fields_name_public_types_alone():
    public = [value for name in unmask.__all__ if not isinstance(value := getattr(unmask, name), str)]
    named = {base for value in public if inspect.isclass(value) for base in value.__mro__}
    for value in public:
        for part in annotated(value):
            for name, hint in typing.get_type_hints(part).items():
                named |= set() if name.startswith("_") else set(classes_in(hint))
    ours = {each for each in named if each.__module__.split(".")[0] == "unmask"}
    assert {unmask.Limits, unmask.Adaptive, unmask.Fusion, unmask.ScanOptions, unmask.BaseScanner} <= ours
    assert ours <= set(public), sorted(each.__name__ for each in ours - set(public))


def test_the_types_for_editors_agree_with_the_names_that_are_imported():
    tree = ast.parse(Path(unmask.__file__).read_text())
    checking = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in checking.body for alias in node.names}
    assert imported == set(unmask.__all__) - {"__version__"}


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


def test_scanning_never_loads_torch(short_clips, tmp_path, monkeypatch):
    for name in ("torch", "torchvision", "timm"):
        (tmp_path / f"{name}.py").touch()  # so that importing it would succeed
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert loaded_by("import torch") == {"torch"}
    assert not {"torch", "torchvision", "timm"} & loaded_by(
        f"import unmask; unmask.Scanner(frames=2).scan({str(short_clips['authentic'])!r})"
    )


def test_scanning_makes_no_connection_starts_its_decoder_alone_and_writes_nothing(short_clips, tmp_path):
    code = f"""
import sys
events = []
watched = ("socket.connect", "socket.bind", "subprocess.Popen", "os.system")
sys.addaudithook(lambda event, args: events.append((event, args)) if event in watched else None)
import unmask
assert unmask.Scanner(frames=2).scan({str(short_clips["authentic"])!r}).status == "ok"
started = [args[1] for event, args in events if event == "subprocess.Popen"]
assert len(started) == len(events) <= 1, events
assert all("from unmask.media.server import serve" in command[-1] for command in started), started
"""
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
