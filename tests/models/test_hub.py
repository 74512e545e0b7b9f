"""Model folders go to a hub and come back whole; what is not a model of unmask, or not whole, does not come in."""

import json
import shutil
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from tests.models.hub_server import serve_hub
from unmask.cli import app
from unmask.errors import DownloadError, ModelError, UsageError
from unmask.models.card import bundled_folder, load_card, verify_folder
from unmask.models.hub import parse_address, pull_folder, push_folder
from unmask.models.readme import readme
from unmask.net import download
from unmask.storage.home import models_home

FILES = ("card.json", "model.onnx", "model.int8.xml", "model.int8.bin")


@pytest.fixture(scope="module")
def server():
    with serve_hub() as server:
        yield server


@pytest.fixture
def hub(server, monkeypatch, tmp_path):
    """One server for all tests: huggingface_hub reads the address when it is imported."""
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(download, "PAUSE_SECONDS", 0)
    server.files, server.asked, server.refuses, server.is_made = {}, [], False, False
    return server


@pytest.fixture
def full_hub(hub):
    for name in FILES:
        hub.files[f"/anna/mine/resolve/main/{name}"] = (bundled_folder() / name).read_bytes()
    return hub


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_a_model_that_was_pushed_is_pulled_byte_for_byte_with_its_readme(hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
    assert push_folder(bundled_folder(), "hf:anna/mine", token="hf_secret").endswith("/anna/mine/commit/1")
    assert ("/api/repos/create", "Bearer hf_secret") in hub.asked
    page = hub.files["/anna/mine/resolve/main/README.md"].decode()
    assert page == readme(load_card(bundled_folder()), "anna/mine")
    done = CliRunner().invoke(app, ["models", "pull", "hf:anna/mine", "--quiet"])
    assert done.exit_code == 0, done.output
    for name in FILES:
        assert (models_home() / "mine" / name).read_bytes() == (bundled_folder() / name).read_bytes()


@pytest.mark.skipif(find_spec("huggingface_hub") is None, reason="huggingface_hub is not installed")
def test_a_hub_that_refuses_is_quoted_and_a_damaged_folder_is_not_sent(hub, tmp_path):
    hub.refuses = True
    with pytest.raises(DownloadError, match=r"does not take anna/mine"):
        push_folder(bundled_folder(), "hf:anna/mine", token="hf_secret")
    copy = shutil.copytree(bundled_folder(), tmp_path / "copy")
    (copy / "model.int8.bin").write_bytes(b"0")
    hub.asked.clear()
    with pytest.raises(ModelError, match="damaged or was replaced"):
        push_folder(copy, "hf:anna/mine", token="hf_secret")
    assert not hub.asked


def test_a_pulled_model_takes_the_name_that_is_free(full_hub):
    card = pull_folder("hf:anna/mine", name="hers")
    assert card == verify_folder(models_home() / "hers")
    with pytest.raises(UsageError, match="there is a model 'hers' already"):
        pull_folder("hf:anna/mine", name="hers")


@pytest.mark.parametrize("name", ["bundled", "..", ".hidden", "a/b"])
def test_names_outside_the_models_folder_are_refused(full_hub, name):
    with pytest.raises(UsageError, match="cannot be a model's name"):
        pull_folder("hf:anna/mine", name=name)


def test_what_is_cut_changed_or_foreign_leaves_nothing_behind(full_hub):
    whole = dict(full_hub.files)
    prefix = "/anna/mine/resolve/main/"
    card = json.loads(whole[prefix + "card.json"])
    card["files"]["evil.py"] = card["files"]["model.onnx"]
    for changed, error, words in (
        ({"model.int8.bin": b"other bytes"}, ModelError, "damaged or was replaced"),
        ({"model.int8.xml": None}, DownloadError, "404.*is anna/mine public"),
        ({"card.json": json.dumps(card).encode()}, ModelError, "names 'evil.py', which no model of unmask has"),
        ({"card.json": b"<html>"}, ModelError, "card.json"),
    ):
        full_hub.files = whole | {prefix + name: content for name, content in changed.items()}
        with pytest.raises(error, match=words):
            pull_folder("hf:anna/mine")
        assert list(models_home().iterdir()) == []


@pytest.mark.parametrize(
    "address", ["hf:anna", "hf:anna/mine/x", "hf:anna/..", "anna/mine", "hf:an na/mine", "hf:a/b@c/d"]
)
def test_addresses_that_are_none_are_refused(address):
    with pytest.raises(UsageError, match="write hf:OWNER/NAME"):
        parse_address(address)


def test_the_readme_has_the_form_of_a_hub_and_every_number_of_the_card():
    card = load_card(bundled_folder())
    page = CliRunner().invoke(app, ["models", "card"]).output
    assert page == readme(card)
    head, _, body = page.removeprefix("---\n").partition("---\n")
    facts = {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in head.splitlines()}
    assert facts["license_name"] == card.licence
    assert facts["pipeline_tag"] == "video-classification"
    for sentence in card.limitations:
        assert f"- {sentence}" in body
    assert "0.827 (0.716 to 0.934)" in body.replace("**", "")
    assert all(facts.sha256 in body for facts in card.files.values())
