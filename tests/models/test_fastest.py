import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from unmask import Scanner
from unmask.models import Network, cpu, fastest, load_card, model_folder
from unmask.models.card import write_card
from unmask.models.fastest import answers_file, candidates, choose, keep_answer, known_answer, machine_key, measure


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder of the user's models and answers."""
    monkeypatch.setenv("UNMASK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def measured(home, monkeypatch):
    """What the formats take, in place of a measurement, and how often was asked."""
    taken = {"int8": 1.0, "fp32": 2.0, "bf16": 2.0, "asked": 0}

    def measure(requests, batch_NSS3):
        assert batch_NSS3.shape == (4, 224, 224, 3)
        taken["asked"] += 1
        return {name: taken[name] for name in requests}

    monkeypatch.setattr(cpu, "measure", measure)
    return taken


def test_a_format_that_changes_the_scores_is_no_candidate(monkeypatch):
    card = load_card(model_folder("bundled"))
    plain = {name: facts for name, facts in card.files.items() if "int8" not in name}
    monkeypatch.setattr(fastest, "computes_in_bf16", lambda: True)
    assert candidates(card) == ("int8", "fp32"), "the card says that bf16 changes the scores"
    assert candidates(replace(card, precision="auto")) == ("int8", "bf16")
    assert candidates(replace(card, precision="auto", files=plain)) == ("bf16",)
    monkeypatch.setattr(fastest, "computes_in_bf16", lambda: False)
    assert candidates(replace(card, precision="auto")) == ("int8", "fp32")


def test_the_first_of_those_that_are_about_as_fast_wins():
    assert choose({"int8": 1.0, "bf16": 0.99}) == "int8"
    assert choose({"int8": 1.0, "bf16": 0.97}) == "bf16"


class StubRequest:
    """Takes as long as it is told, by a clock of its own."""

    clock = 0.0

    def __init__(self, seconds):
        self.seconds = iter(seconds)

    def start_async(self, inputs, share_inputs):
        assert share_inputs
        assert inputs[0].shape == (2, 4, 4, 3)
        StubRequest.clock += next(self.seconds)

    def wait(self):
        pass


def test_the_least_time_after_warming_up_counts(monkeypatch):
    monkeypatch.setattr(fastest.time, "perf_counter", lambda: StubRequest.clock)
    requests = {"int8": [StubRequest([1, 5, 4, 6])], "bf16": [StubRequest([9, 3, 7, 3]), StubRequest([0, 1, 2, 3])]}
    assert measure(requests, np.zeros((2, 4, 4, 3), np.uint8)) == {"int8": 4, "bf16": 4}


def test_fastest_is_measured_once_a_machine(measured, monkeypatch):
    folder = model_folder("bundled")
    assert [Network(folder, "fastest").precision for _ in range(2)] == ["int8", "int8"]
    assert measured["asked"] == 1
    monkeypatch.setattr(fastest, "cpu_name", lambda: "another")
    measured["fp32"] = 0.5
    assert Network(folder, "fastest").precision == "fp32"
    assert measured["asked"] == 2


def test_verdicts_name_what_was_the_fastest_and_are_not_mixed(measured, monkeypatch):
    quick, named = Scanner(precision="fastest"), Scanner(precision="int8")
    assert quick.settings["precision"] == ["int8"]
    assert quick.settings_hash == named.settings_hash, "a run that is resumed goes on"
    assert quick.models == named.models
    monkeypatch.setattr(fastest, "cpu_name", lambda: "another")
    measured["fp32"] = 0.5
    elsewhere = Scanner(precision="fastest")
    assert elsewhere.settings["precision"] == ["fp32"]
    assert elsewhere.settings_hash == Scanner(precision="fp32").settings_hash != quick.settings_hash


def test_one_candidate_is_not_measured(tmp_path, measured):
    shutil.copytree(model_folder("bundled"), tmp_path / "plain")
    card = load_card(tmp_path / "plain")
    files = {name: facts for name, facts in card.files.items() if "int8" not in name}
    write_card(tmp_path / "plain", replace(card, files=files, precision="fp32"))
    assert Network(tmp_path / "plain", "fastest").precision == "fp32"
    assert not measured["asked"]


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"key": 3}'])
def test_answers_that_cannot_be_read_are_no_answers(home, content):
    if content is not None:
        home.mkdir()
        answers_file().write_text(content)
    assert known_answer("key") is None


def test_the_first_of_two_processes_decides(home):
    assert keep_answer("key", "int8") == "int8"
    assert keep_answer("key", "bf16") == "int8"
    assert keep_answer("other", "bf16") == "bf16"
    assert json.loads(answers_file().read_text()) == {"key": "int8", "other": "bf16"}


def test_an_answer_that_cannot_be_kept_still_holds(home, caplog):
    home.write_text("a file where the folder should be")
    assert keep_answer("key", "bf16") == "bf16"
    assert "measured each time" in caplog.text


def test_members_with_the_same_network_share_an_answer():
    card = load_card(model_folder("bundled"))
    names = ("int8", "bf16")
    other = replace(card, files={name: replace(facts, sha256="0" * 64) for name, facts in card.files.items()})
    assert (machine_key(card, names) == machine_key(other, names)) == (card.network is not None)
    assert machine_key(card, names) != machine_key(card, ("int8", "fp32"))
    assert machine_key(card, names) != machine_key(replace(card, crop=replace(card.crop, size_px=64)), names)
