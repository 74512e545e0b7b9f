# ruff: noqa: E402 - torch is not in every environment

import hashlib
import importlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("timm")
pytest.importorskip("onnxscript")

from tests.models.checkpoints.files import TINY, network, published, save, tensors
from tests.server import serve
from tests.shallow import CREATE_WHOLE, shallow_encoders
from unmask.cli import app
from unmask.errors import ModelError, UsageError
from unmask.models import Network, NetworkSpec, load_card, verify_folder
from unmask.models.checkpoints import CHECKPOINT_KINDS, RELEASES, Release, import_checkpoint, pull
from unmask.models.checkpoints.checkpoint import read_checkpoint
from unmask.models.checkpoints.convert import ANSWER, JOB, Answer, fill_network
from unmask.models.checkpoints.convert import main as convert_main
from unmask.models.networks import build_network
from unmask.types import CropSpec, DetectorSpec

VIT = {"encoder": "test_vit", "size_px": 64}

install = importlib.import_module("unmask.models.checkpoints.install")


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module", autouse=True)
def shallow():
    with shallow_encoders():
        yield


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A file of the old format, as the winner's are."""
    return save(tmp_path_factory.mktemp("released") / "final_1_tiny_0_7", published(tensors()), legacy=True)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, a kind of small networks and a release of two of them."""
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setitem(CHECKPOINT_KINDS, "tiny", TINY)
    release = Release(
        base_url="https://unmask.invalid/releases/",
        page_url="https://unmask.invalid/page",
        kind="tiny",
        files={"tiny-1-7": "final_1_tiny_0_7", "tiny-2-8": "final_2_tiny_0_8"},
    )
    monkeypatch.setitem(RELEASES, "small", release)
    return tmp_path / "home"


@pytest.fixture
def instantly(monkeypatch):
    """Let the isolated process write a model at once; what it is asked for comes back as a list."""
    jobs = []

    def convert(job, folder, _):
        jobs.append(job)
        content = b"network"
        (folder / "model").mkdir()
        (folder / "model" / "model.onnx").write_bytes(content)
        card = json.loads((importlib.import_module("unmask.models").model_folder("bundled") / "card.json").read_text())
        card["precision"] = "fp32"  # its int8 network stays behind
        card |= {
            "name": job.name,
            "files": {"model.onnx": {"sha256": sha256(content), "bytes": len(content)}},
            "training": {"checkpoint": {"from": job.origin, "sha256": job.sha256}},
        }
        (folder / "model" / "card.json").write_text(json.dumps(card))
        return Answer()

    monkeypatch.setattr(install, "run_converter", convert)
    return jobs


@pytest.fixture
def here(monkeypatch):
    """Spare a process that imports torch; `test_a_network_of_the_winners_size_is_imported` has one."""

    def convert_here(job, folder, _):
        monkeypatch.chdir(folder)
        return ANSWER.validate_json(convert_main(JOB.dump_json(job)))

    monkeypatch.setattr(install, "run_converter", convert_here)


@pytest.mark.usefixtures("here")
def test_a_published_file_becomes_a_model(checkpoint, home):
    card = import_checkpoint(checkpoint, "tiny")

    assert sorted(path.name for path in (home / "models").iterdir()) == ["tiny-1-7"], "the release's name for the file"
    assert verify_folder(home / "models" / "tiny-1-7") == card
    assert (card.name, card.crop, card.fusion, card.licence) == ("tiny-1-7", TINY.card.crop, TINY.card.fusion, "none")
    assert card.training["checkpoint"] == {
        "from": "final_1_tiny_0_7",
        "sha256": sha256(checkpoint.read_bytes()),
        "bytes": checkpoint.stat().st_size,
    }
    assert (card.training["data"], card.training["checkpoint_says"]) == ("none", {"epoch": 37})
    assert card.network == NetworkSpec(TINY.network, TINY.parameters, TINY.mean, TINY.std), "GPUs need it"
    crops_NSS3 = np.random.default_rng(1).integers(0, 256, (3, 64, 64, 3), np.uint8)
    x_N3SS = (torch.from_numpy(crops_NSS3).permute(0, 3, 1, 2) / 255 - torch.tensor(TINY.mean)[:, None, None]) / (
        torch.tensor(TINY.std)[:, None, None]
    )
    with torch.inference_mode():
        expected = network().eval()(x_N3SS).logit_N.sigmoid().tolist()
    scores = Network(home / "models" / "tiny-1-7", "fp32").score(crops_NSS3)
    assert [score.fake_probability for score in scores] == pytest.approx(expected, abs=1e-4)


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_hostile_files_are_refused_by_the_command(home, tmp_path):
    file = save(tmp_path / "bad.pth", {"state_dict": tensors(), "epoch": Payload(tmp_path / "ran")})
    done = CliRunner().invoke(app, ["models", "import", str(file), "--as", "tiny"])
    assert done.exit_code == 2
    assert "bad.pth is refused: it asks for 'posix.system'" in done.stderr
    assert not (tmp_path / "ran").exists()
    assert list((home / "models").iterdir()) == []


def test_the_winners_kinds_and_release():
    importlib.import_module("unmask.systems")  # enters the kinds of published systems
    kinds = {name: kind for name, kind in CHECKPOINT_KINDS.items() if name.startswith("winner")}
    assert list(kinds) == ["winner-b7", "winner-b6", "winner-b5", "winner-b4", "winner-b3"]
    for name, kind in kinds.items():
        detection = DetectorSpec("mtcnn", 0.5, (0.7, 0.8, 0.8), 20, "bicubic")
        assert kind.card.crop == CropSpec(380, 1 / 3, "box", "cubic", 0, detection, "bt601")
        assert (kind.card.fusion.frames, kind.card.fusion.people) == ("confident", "pool")
        assert (kind.prefix, kind.mean, kind.std) == ("module.", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
        assert kind.parameters == {"encoder": f"tf_efficientnet_{name[-2:]}_ns"}
    release = RELEASES["winner"]
    assert release.base_url == "https://github.com/selimsef/dfdc_deepfake_challenge/releases/download/0.0.1/"
    endings = [file.removeprefix("final_").split("_DeepFakeClassifier_") for file in release.files.values()]
    assert [(seed, rest.removeprefix("tf_efficientnet_b7_ns_")) for seed, rest in endings] == [
        ("111", "0_36"), ("555", "0_19"), ("777", "0_29"), ("777", "0_31"), ("888", "0_37"), ("888", "0_40"),
        ("999", "0_23"),
    ]  # fmt: skip
    assert list(release.files)[-1] == "winner-b7-999-23"


def winners_file(folder, network, parameters):
    """A checkpoint of such a network with random weights, as the winner published his; the state dict it is made of."""
    state = build_network(network, **parameters).state_dict()
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    named = {f"module.{name}": tensor for name, tensor in state.items()}
    return save(
        folder / "final_111_DeepFakeClassifier_tf_efficientnet_b7_ns_0_36", published(named), legacy=True
    ), state


@pytest.fixture
def whole(monkeypatch):
    """Networks are those that the isolated process builds."""
    monkeypatch.setattr("timm.create_model", CREATE_WHOLE)


@pytest.mark.b7
@pytest.mark.usefixtures("whole")
def test_the_winners_network_is_imported(tmp_path, monkeypatch):
    """The whole of what the next two tests do with a part of it each."""
    file, _ = winners_file(tmp_path, "classifier", {"encoder": "tf_efficientnet_b7_ns"})
    assert_it_is_imported(file, tmp_path, monkeypatch)


@pytest.mark.usefixtures("whole")
def test_the_winners_network_takes_the_tensors_of_its_file(tmp_path):
    file, state = winners_file(tmp_path, "classifier", {"encoder": "tf_efficientnet_b7_ns"})
    assert len(state) == 1202
    network = build_network("classifier", encoder="tf_efficientnet_b7_ns")
    importlib.import_module("unmask.systems")  # enters the kinds of published systems
    fill_network(network, read_checkpoint(file.read_bytes()), CHECKPOINT_KINDS["winner-b7"])
    assert all(torch.equal(tensor, state[name].to(tensor.dtype)) for name, tensor in network.state_dict().items())


@pytest.mark.usefixtures("whole")
def test_a_network_of_the_winners_size_is_imported(tmp_path, monkeypatch):
    """As many weights in two layers: what is written out and compared takes time by the layer."""
    importlib.import_module("unmask.systems")
    kind = CHECKPOINT_KINDS["winner-b7"]
    card = replace(kind.card, crop=replace(kind.card.crop, size_px=64))
    wide = {"depth": 2, "embed_dim": 1760, "num_heads": 8, "mlp_ratio": 4}
    kind = replace(kind, card=card, network="layernorm", parameters=VIT | {"options": wide})
    monkeypatch.setitem(CHECKPOINT_KINDS, "winner-b7", kind)
    assert_it_is_imported(winners_file(tmp_path, kind.network, kind.parameters)[0], tmp_path, monkeypatch)


def assert_it_is_imported(file, tmp_path, monkeypatch):
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    started = os.times()
    card = import_checkpoint(file, "winner-b7")
    ended = os.times()
    used_seconds = ended.children_user + ended.children_system - started.children_user - started.children_system
    assert used_seconds < 180, "of computing, by the isolated process; it was 40"
    assert card.name == "winner-b7-111-36"
    assert card.files["model.onnx"].bytes > 250_000_000


def test_names(checkpoint, home, instantly, tmp_path):
    other = tmp_path / "mine.pth"
    other.write_bytes(checkpoint.read_bytes())
    digest = sha256(other.read_bytes())
    assert import_checkpoint(other, "tiny").name == f"tiny-{digest[:8]}"
    assert import_checkpoint(other, "tiny", name="mine").name == "mine"
    with pytest.raises(UsageError, match=r"there is a model 'mine' already, .* choose another --name"):
        import_checkpoint(other, "tiny", name="mine")
    for name in ("../up", ".hidden", "a/b", "bundled"):
        with pytest.raises(UsageError, match="cannot be a model's name"):
            import_checkpoint(other, "tiny", name=name)
    assert len(instantly) == 2


def test_wrong_use_is_told(checkpoint, home, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"unknown kind 'winner'; use one of .*winner-b7, .*"):
        import_checkpoint(checkpoint, "winner")
    with pytest.raises(UsageError, match=r"unknown release 'loser'; use one of winner, small"):
        pull("loser", "tiny-1-7")
    for path in (tmp_path / "absent.pth", tmp_path):
        with pytest.raises(ModelError, match=r"cannot read .*absent.pth|is no file"):
            import_checkpoint(path, "tiny")
    monkeypatch.setattr(install, "find_spec", lambda name: None if name == "timm" else name)
    with pytest.raises(UsageError, match=r"converting needs timm; install it: pip install 'unmask\[train\]'"):
        import_checkpoint(checkpoint, "tiny")


def test_files_that_change_under_the_eyes_are_refused(checkpoint, home, monkeypatch):
    monkeypatch.setattr(install, "_sha256", lambda _: "0" * 64)
    with pytest.raises(ModelError, match="changed while it was read"):
        import_checkpoint(checkpoint, "tiny")


def test_a_release_is_pulled(checkpoint, home, instantly):
    first, second = checkpoint.read_bytes(), b"another"
    command = ["models", "pull", "small", "--base-url"]
    with serve({"final_1_tiny_0_7": first, "final_2_tiny_0_8": second}) as server:
        done = CliRunner().invoke(app, [*command, server.url])
        assert done.exit_code == 0, done.output
        again = CliRunner().invoke(app, [*command, server.url])
    assert len(server.asked) == 2, "what is there and whole is not fetched again"
    assert (again.exit_code, again.stdout) == (0, done.stdout)
    assert done.stdout.splitlines() == [
        f"tiny-1-7: from https://unmask.invalid/releases/final_1_tiny_0_7, sha256 {sha256(first)}",
        f"tiny-2-8: from https://unmask.invalid/releases/final_2_tiny_0_8, sha256 {sha256(second)}",
    ]
    assert sorted(path.name for path in (home / "models").iterdir()) == ["tiny-1-7", "tiny-2-8"]
    assert [path.name for path in (home / "downloads").iterdir()] == ["sha256.json"]
    assert json.loads((home / "downloads" / "sha256.json").read_text()) == {
        "https://unmask.invalid/releases/final_1_tiny_0_7": sha256(first),
        "https://unmask.invalid/releases/final_2_tiny_0_8": sha256(second),
    }


def test_a_file_that_is_not_the_one_of_before_is_refused(checkpoint, home, instantly):
    with serve({"final_1_tiny_0_7": checkpoint.read_bytes()}) as server:
        pull("small", "tiny-1-7", base_url=server.url)
        (home / "models" / "tiny-1-7").rename(home / "elsewhere")
        server.files["final_1_tiny_0_7"] += b"."
        with pytest.raises(ModelError, match=r"is not the file that was fetched before: .* remove the line from"):
            pull("small", "tiny-1-7", base_url=server.url)
        assert len(instantly) == 1
        server.files["final_1_tiny_0_7"] = checkpoint.read_bytes()
        pull("small", "tiny-1-7", base_url=server.url)


def test_a_damaged_model_is_not_taken_for_whole(checkpoint, home, instantly):
    with serve({"final_1_tiny_0_7": checkpoint.read_bytes()}) as server:
        pull("small", "tiny-1-7", base_url=server.url)
        (home / "models" / "tiny-1-7" / "model.onnx").write_bytes(b"damaged")
        with pytest.raises(ModelError, match="to fetch it anew, remove"):
            pull("small", "tiny-1-7", base_url=server.url)


def test_without_network_the_way_by_hand_is_told(home):
    with serve({}) as server:
        pass
    done = CliRunner().invoke(app, ["models", "pull", "small", "--base-url", server.url])
    assert done.exit_code == 4
    assert "cannot fetch" in done.stderr
    assert "fetch https://unmask.invalid/releases/final_1_tiny_0_7 (see https://unmask.invalid/page)" in done.stderr
    assert "unmask models import final_1_tiny_0_7 --as tiny" in done.stderr
    assert not (home / "models").exists()


def test_what_an_interruption_leaves_is_gone_on_with(home, checkpoint, instantly, monkeypatch):
    convert = install.run_converter

    def interrupt(*_):
        raise KeyboardInterrupt

    command = ["models", "pull", "small", "--base-url"]
    with serve({"final_1_tiny_0_7": b"1"}) as server:
        monkeypatch.setattr(install, "run_converter", interrupt)
        done = CliRunner().invoke(app, [*command, server.url])
        assert (done.exit_code, list((home / "models").iterdir())) == (130, [])
        monkeypatch.setattr(install, "run_converter", convert)
        done = CliRunner().invoke(app, [*command, server.url])
    assert [name for name, _ in server.asked] == ["final_1_tiny_0_7", "final_2_tiny_0_8"], "what was whole was kept"
    assert done.exit_code == 3, "the second is not on the server"
    assert "the server answers 404" in done.stderr


def test_one_refused_file_does_not_stop_the_others(home, checkpoint, instantly, monkeypatch):
    convert = install.run_converter

    def refuse_second(job, *rest):
        if job.name == "tiny-1-7":
            raise ModelError("it is damaged")
        return convert(job, *rest)

    monkeypatch.setattr(install, "run_converter", refuse_second)
    with serve({"final_1_tiny_0_7": b"1", "final_2_tiny_0_8": b"2"}) as server:
        done = CliRunner().invoke(app, ["models", "pull", "small", "--base-url", server.url])
    assert done.exit_code == 3
    assert "final_1_tiny_0_7 is refused: it is damaged" in done.stderr
    assert done.stdout.startswith("tiny-2-8: ")
    assert list(json.loads((home / "downloads" / "sha256.json").read_text())) == [
        "https://unmask.invalid/releases/final_2_tiny_0_8"
    ], "a file that was refused is fetched again, and may then be another"


def test_an_address_is_imported(checkpoint, home, instantly):
    with serve({"final_1_tiny_0_7": checkpoint.read_bytes()}) as server:
        card = import_checkpoint(f"{server.url}/final_1_tiny_0_7", "tiny")
    assert card.name == "tiny-1-7"
    assert load_card(home / "models" / "tiny-1-7").training["checkpoint"]["from"] == f"{server.url}/final_1_tiny_0_7"
    with pytest.raises(UsageError, match="no https address"):
        import_checkpoint("http://unmask.invalid/a.pth", "tiny")


def test_names_of_the_options():
    from typer.main import get_command

    commands = get_command(app).commands["models"].commands
    options = {name: sorted(o for p in c.params for o in p.opts if o.startswith("--")) for name, c in commands.items()}
    assert options["import"] == ["--as", "--name", "--quiet", "--weights"]
    assert options["pull"] == ["--base-url", "--name", "--quiet"]
    assert options["push"] == ["--private"]


@pytest.mark.usefixtures("here")
def test_which_weights_were_taken_is_said(home, tmp_path):
    file = save(tmp_path / "two.pth", published(tensors()) | {"state_dict_ema": tensors(seed=1)})
    said = []
    plain = import_checkpoint(file, "tiny", name="plain", say=said.append)
    average = import_checkpoint(file, "tiny", name="average", weights="state_dict_ema", say=said.append)
    assert "of several sets of weights, state_dict was taken; --weights state_dict_ema takes another" in said
    assert [card.training["checkpoint"]["weights"] for card in (plain, average)] == ["state_dict", "state_dict_ema"]
    assert plain.files["model.safetensors"].sha256 != average.files["model.safetensors"].sha256
