# ruff: noqa: E402 - torch is not in every environment

import io
import os
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from contextlib import suppress

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("timm")

from tests.models.checkpoints.files import TINY, network, published, save, tensors
from unmask.errors import ModelError
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.models.checkpoints.convert import tensors_for
from unmask.models.checkpoints.program import MAX_INSTRUCTIONS, read_program
from unmask.models.networks.export import layout_differences


@pytest.fixture(scope="module")
def layout():
    return network().state_dict()


@pytest.fixture(scope="module")
def files():
    """The same checkpoint in torch's two formats."""
    return {name: saved(published(tensors()), name == "legacy") for name in ("zip", "legacy")}


def made(content, layout):
    return tensors_for(layout, read_checkpoint(content), TINY.prefix)


def repacked(content, change, name="archive/data.pkl", **options):
    """Return a zip checkpoint of which one member is another."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", **options) as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if info.filename == name else data)
    return file.getvalue()


def saved(value, legacy=False):
    file = io.BytesIO()
    save(file, value, legacy)
    return file.getvalue()


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_published_checkpoints_are_read_to_the_last_bit(form, files, layout):
    found = made(files[form], layout)
    assert {name: tensor.dtype for name, tensor in found.items()} == {n: t.dtype for n, t in layout.items()}
    assert all(torch.equal(found[name], tensor) for name, tensor in layout.items())
    assert read_checkpoint(files[form]).facts == {"epoch": 37}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrap", [dict, published, lambda state: {"model": dict(state)}])
def test_other_wrappings_and_no_prefix_are_read_too(legacy, wrap, layout):
    found = made(saved(wrap(tensors(prefix="")), legacy), layout)
    assert all(torch.equal(found[name], tensor) for name, tensor in layout.items())


@pytest.mark.parametrize("legacy", [False, True])
def test_views_and_shared_storages_are_read_as_they_are_seen(legacy):
    base = torch.arange(24.0).reshape(4, 6)
    state = {"turned": base.T, "part": base[1:3, 2:5], "one": torch.tensor(7), "none": torch.zeros(0, 3)}
    content = read_checkpoint(saved(state, legacy))
    found = tensors_for({name: tensor.clone() for name, tensor in state.items()}, content, "module.")
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(half, layout):
    state = {name: tensor.to(half) if tensor.is_floating_point() else tensor for name, tensor in layout.items()}
    found = made(saved(published(state)), layout)
    assert all(torch.equal(found[name], state[name].to(tensor.dtype)) for name, tensor in layout.items())


def test_names_shapes_and_types_must_be_those_of_the_layout(layout):
    state = tensors()
    del state["module.fc.bias"]
    state["module.fc.weight"] = torch.zeros(2, 256)
    state["module.head.weight"] = torch.zeros(1)
    with pytest.raises(ModelError) as raised:
        made(saved(published(state)), layout)
    message = str(raised.value)
    assert "missing: fc.bias" in message
    assert "unexpected: head.weight" in message
    assert "of another shape: fc.weight [2, 256] instead of [1, 256]" in message
    with pytest.raises(ModelError, match=r"fc.bias has numbers of type float64; float32 is needed"):
        made(saved(tensors() | {"module.fc.bias": torch.zeros(1).double()}), layout)
    name = "module.encoder.bn1.num_batches_tracked"
    with pytest.raises(ModelError, match=r"num_batches_tracked has numbers of type int32; int64 is needed"):
        made(saved(tensors() | {name: torch.zeros((), dtype=torch.int32)}), layout)
    with pytest.raises(ModelError, match="with and without"):
        made(saved(tensors() | {"fc.bias": torch.zeros(1)}), layout)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(value, layout):
    state = tensors()
    state["module.fc.weight"] = torch.full((1, 256), value)
    with pytest.raises(ModelError, match=r"fc.weight has weights that are no finite numbers"):
        made(saved(state), layout)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_truncated_files_are_refused(form, files, layout):
    content = files[form]
    for length in (0, 1, 8, 100, 1000, len(content) // 2, len(content) - 1000, len(content) - 1):
        with pytest.raises(ModelError):
            made(content[:length], layout)


@pytest.mark.parametrize("form", ["zip", "legacy"])
def test_longer_files_are_refused(form, files, layout):
    with pytest.raises(ModelError, match=r"zip|goes on for 4 bytes"):
        made(files[form] + b"PK\x05\x06" * (form == "zip") + b"more" * (form == "legacy"), layout)


def test_damage_is_found_by_the_checksums_of_the_archive(files, layout):
    content = files["zip"]
    random = np.random.default_rng(0)
    expected = made(content, layout)
    for place in random.integers(0, len(content), 30):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(random.integers(8))
        try:
            found = made(bytes(damaged), layout)
        except ModelError:
            continue
        # Some bytes mean nothing: padding, dates.
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


def test_damage_of_a_pickle_is_an_error_and_never_a_crash(files):
    content = files["zip"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        pickled = archive.read("archive/data.pkl")
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        damaged = bytearray(pickled[:3000] + b".")
        for place in random.integers(0, 3000, 3):
            damaged[place] = int(random.integers(256))
        try:
            read_program(io.BytesIO(bytes(damaged)))
        except ModelError:
            refused += 1
    assert refused > 100


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


class Builder:
    """Calls by way of its state."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return OrderedDict, (), Payload(self.path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("hidden", [Payload, Builder])
@pytest.mark.parametrize("place", ["beside", "within", "as key", "all"])
def test_payloads_are_never_run(legacy, hidden, place, tmp_path):
    target = tmp_path / "ran"
    payload = hidden(target)
    value = {
        "beside": {"state_dict": tensors(), "epoch": payload},
        "within": {"state_dict": tensors() | {"module.fc.bias": payload}},
        "as key": {"state_dict": tensors(), (1, payload): 0},
        "all": payload,
    }[place]
    content = saved(value, legacy)
    with pytest.raises(ModelError, match=r"it asks for '(posix|nt).system'.*nothing that a file names is ever run"):
        read_checkpoint(content)
    assert not target.exists()
    with suppress(pickle.UnpicklingError):
        torch.load(io.BytesIO(content), weights_only=False)
    assert target.exists(), "the payload works where it is run"


@pytest.mark.parametrize(
    "name", ["builtins eval", "builtins getattr", "torch load", "torch._utils _rebuild_tensor", "os system", "a.b c"]
)
def test_names_are_refused_before_anything_is_called(name):
    module, function = name.split()
    with pytest.raises(ModelError, match="it asks for"):
        read_program(io.BytesIO(f"\x80\x02c{module}\n{function}\n)R.".encode("latin1")))


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (b"\x80\x02i" + b"os\nsystem\n.", "instruction INST"),
        (b"\x80\x02\x82\x01.", "instruction EXT1"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "protocol 4"),
        (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "an object that is no tensor"),
        (b"\x80\x02K\x01K\x01R.", "cannot be called"),
        (b"\x80\x02ccollections\nOrderedDict\n(K\x01tR.", "cannot be called"),
        (b"\x80\x02}(K\x01u.", "damaged"),
        (b"\x80\x02}]K\x01s.", "damaged"),
        (b"\x80\x02.", "damaged"),
        (b"\x80\x02(.", "damaged"),
        (b"\x80\x02(K\x01", "damaged"),
        (b"\x80\x02h\x07.", "damaged"),
        (b"\x80\x02X\xff\xff\xff\x7fabc.", "damaged"),
        (b"\x80\x02" + b"N" * MAX_INSTRUCTIONS + b".", "more than 500000 instructions"),
        (b"\x80\x02(X\x06\x00\x00\x00modulectorch\nFloatStorage\nX\x01\x00\x00\x000NK\x01tQ.", "more than tensors"),
    ],
)
def test_programs_that_do_anything_else_are_refused(program, message):
    with pytest.raises(ModelError, match=message):
        read_program(io.BytesIO(program))


def test_tensors_stay_within_their_numbers(files, layout):
    def forged(**changes):
        parts = {"key": "0", "items": 4, "offset": 0, "shape": (4,), "stride": (1,)} | changes

        class Tensor:
            def __reduce__(self):
                return torch._utils._rebuild_tensor_v2, (Store(), parts["offset"], parts["shape"], parts["stride"])

        class Store:
            pass

        class Pickler(pickle.Pickler):
            def persistent_id(self, value):
                if type(value) is Store:
                    return "storage", torch.FloatStorage, parts["key"], "cpu", parts["items"]
                return None

        file = io.BytesIO()
        Pickler(file, protocol=2).dump({"a": Tensor()})
        return repacked(saved({"a": torch.arange(4.0)}), lambda _: file.getvalue())

    wanted = {"a": torch.arange(4.0)}
    assert torch.equal(made(forged(), wanted)["a"], wanted["a"])
    for changes, message in [
        ({"items": 4096, "shape": (4096,)}, "has 16 bytes for a, which needs 16384 bytes"),
        ({"shape": (5,)}, "reaches past the numbers"),
        ({"offset": 1}, "reaches past the numbers"),
        ({"stride": (2,)}, "reaches past the numbers"),
        ({"offset": -1}, "damaged"),
        ({"stride": (-1,)}, "damaged"),
        ({"shape": (4.0,)}, "damaged"),
        ({"key": "7"}, "has nothing for a"),
        ({"key": "../0"}, "has nothing for"),
    ]:
        with pytest.raises(ModelError, match=message):
            read_checkpoint(forged(**changes))
    bomb = read_checkpoint(forged(shape=(1 << 20, 1 << 20), stride=(0, 0)))
    with pytest.raises(ModelError, match="of another shape"):
        tensors_for(wanted, bomb, "")
    with pytest.raises(ModelError, match="repeats its numbers"):
        tensors_for({"a": torch.zeros(8)}, read_checkpoint(forged(shape=(8,), stride=(0,))), "")


def test_archives_hold_what_torch_writes_and_nothing_else(files, tmp_path):
    content = files["zip"]

    def with_member(name, data=b"x"):
        file = io.BytesIO(content)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(name, data)
        return file.getvalue()

    inner = saved({"state_dict": Payload(tmp_path / "ran")})
    for name in (
        "archive/inner.pth",
        "archive/code/__torch__.py",
        "archive/data/0/1",
        "../archive/data.pkl",
        "/x",
        "x",
    ):
        with pytest.raises(ModelError, match=r"which torch.save does not write"):
            read_checkpoint(with_member(name, inner))
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = with_member("archive/data.pkl", b"\x80\x02}.")
    with pytest.raises(ModelError, match=r"which torch.save does not write"):
        read_checkpoint(twice)
    # A nested checkpoint where numbers should be is never looked into.
    swapped = repacked(content, lambda _: inner, "archive/data/0")
    with pytest.raises(ModelError, match=r"bytes for module.encoder.conv_stem.weight, which needs"):
        read_checkpoint(swapped)
    assert not (tmp_path / "ran").exists()


def test_bombs_are_refused_by_the_directory_alone(files):
    with pytest.raises(ModelError, match=r"larger than itself|is compressed"):
        read_checkpoint(repacked(files["zip"], lambda data: data, compression=zipfile.ZIP_DEFLATED))
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(1 << 24))
    assert len(bomb.getvalue()) < 1 << 16
    with pytest.raises(ModelError, match="larger than itself"):
        read_checkpoint(bomb.getvalue())


def test_other_byte_orders_are_refused(files):
    with pytest.raises(ModelError, match="big-endian"):
        read_checkpoint(repacked(files["zip"], lambda _: b"big", "archive/byteorder"))
    with pytest.raises(ModelError, match="big-endian"):
        read_checkpoint(files["legacy"].replace(b"little_endianq\x02\x88", b"little_endianq\x02\x89", 1))


def test_storages_of_the_old_format_must_have_their_length(files):
    content, length = bytearray(files["legacy"]), struct.pack("<q", 8)
    place = content.rindex(length)
    content[place : place + 8] = struct.pack("<q", 1 << 60)
    with pytest.raises(ModelError, match="damaged"):
        read_checkpoint(bytes(content))


@pytest.mark.parametrize(
    "value",
    [[1, 2], {}, {"epoch": 1}, {"state_dict": {"a": 1}}, {"a": torch.zeros(1), "b": [torch.zeros(1)]}, torch.zeros(2)],
    ids=str,
)
def test_files_without_a_state_dict_are_refused(value):
    with pytest.raises(ModelError, match="holds no state dict"):
        read_checkpoint(saved(value))


def test_no_file_makes_a_message_longer_than_a_message(layout):
    """A megabyte that holds itself a million times over was once told at its full length."""
    with pytest.raises(ModelError, match="a key of type int is no tensor") as raised:
        read_checkpoint(saved({1 << 2000: torch.zeros(1)}))
    assert len(str(raised.value)) < 300
    long = dict.fromkeys(layout, (1,) * 100_000)
    told = layout_differences({name: tuple(tensor.shape) for name, tensor in layout.items()}, long)
    assert "of 100000 axes" in str(told)
    assert len(str(told)) < 5000


def test_names_that_would_disturb_a_terminal_are_refused():
    with pytest.raises(ModelError, match="no tensor with a proper name") as raised:
        read_checkpoint(saved({"\x1b[2J": torch.zeros(1)}))
    assert "\x1b" not in str(raised.value)


def test_whole_modules_are_refused():
    with pytest.raises(ModelError, match=r"it asks for 'torch.nn"):
        read_checkpoint(saved(torch.nn.Linear(1, 1)))


def test_other_files_are_refused(tmp_path):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    for content, message in [
        (tar.getvalue(), "torch's format of 2016"),
        (b"PK\x03\x04" + bytes(100), "damaged or cut short"),
    ]:
        with pytest.raises(ModelError, match=message):
            read_checkpoint(content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\n<!DOCTYPE html><html><head>", "a web page"),
        (b"<html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        (b'{"error": "not found"}', "JSON"),
        (b"\x89HDF\r\n\x1a\n", "HDF5"),
        (b"\x08\x07\x12\x07pytorch", "ONNX"),
        (b"\x1f\x8b\x08\0", "gzip"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        (b"Rar!\x1a\x07", "RAR"),
        (pickle.dumps({"a": 1}), "a pickle that torch.save did not write"),
        (b"", "empty"),
        (b"hello", "no file of torch.save"),
    ],
)
def test_other_files_are_told_for_what_they_are(content, what):
    with pytest.raises(ModelError, match=what):
        read_checkpoint(content)


def test_one_of_several_sets_of_weights_is_taken():
    one, two = {"a": torch.zeros(1)}, {"b": torch.ones(1)}
    usual = read_checkpoint(saved({"state_dict": one, "state_dict_ema": two, "epoch": 3}))
    assert (list(usual.tensors), usual.weights, usual.other_weights) == (["a"], "state_dict", ("state_dict_ema",))
    chosen = read_checkpoint(saved({"state_dict": one, "ema": two}), "ema")
    assert (list(chosen.tensors), chosen.other_weights) == (["b"], ("state_dict",))
    only = read_checkpoint(saved({"model_state_dict": one, "epoch": 3}))
    assert (list(only.tensors), only.weights, only.facts) == (["a"], "model_state_dict", {"epoch": 3})
    with pytest.raises(ModelError, match=r"several sets of weights, student, teacher; name one with --weights"):
        read_checkpoint(saved({"student": one, "teacher": two}))
    with pytest.raises(ModelError, match=r"holds no weights 'x': it has state_dict"):
        read_checkpoint(saved({"state_dict": one}), "x")
