"""``unmask train`` as its users run it."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from tests.shallow import CREATE_WHOLE
from tests.training.conftest import SMALLEST, TINY
from tests.training.ranks import ranks
from unmask.cli import app
from unmask.storage.lock import sole_writer
from unmask.training.cluster import first_node, slurm_rendezvous
from unmask.training.plot import candidate_epochs, weighted_loss, write_plot
from unmask.training.rehearsal import Rehearsal


def unmask(*args):
    return CliRunner().invoke(app, [str(arg) for arg in args])


@pytest.mark.slow
def test_the_tiny_recipe_learns(prepared_often, tmp_path, monkeypatch):
    monkeypatch.setattr("timm.create_model", CREATE_WHOLE)
    changes = ["--set", "epochs=3", "--set", "batches_per_epoch=20", "--set", "batch_size=8"]
    done = unmask("train", TINY, "--data", prepared_often, "--out", tmp_path / "run", "--device", "cpu", *changes)
    assert done.exit_code == 0, done.output
    events = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    last = [event for event in events if event["event"] == "epoch"][-1]
    assert last["auc"] >= 0.8
    steps = [event for event in events if event["event"] == "step"]
    assert sum(e["mask_loss"] for e in steps[-5:]) < 0.7 * sum(e["mask_loss"] for e in steps[:5])


def smallest_recipe(folder):
    """SMALLEST as a file."""
    text = "\n".join(line for line in TINY.read_text().splitlines() if not line.startswith("epochs"))
    text = text.replace("batches_per_epoch = 30", "epochs = 1\nbatches_per_epoch = 40")
    text = text.replace("batch_size = 16", "batch_size = 4").replace("size_px = 96", "size_px = 48")
    text = text.replace('name = "blendnet"', 'name = "classifier"')
    text = text.replace('{ encoder = "regnetx_002", width = 32 }', '{ encoder = "test_efficientnet", dropout = 0.3 }')
    assert SMALLEST["data.size_px"] == 48
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


@pytest.mark.slow
def test_two_processes_killed_and_resumed_give_the_same_to_the_last_bit(prepared_often, tmp_path):
    """`tests.training.test_loop` does it with one."""
    options = ["--data", prepared_often, "--device", "cpu", "-q", "--checkpoint-every", 1]
    command = ["train", smallest_recipe(tmp_path), *options, "--out"]
    with ranks(*command, tmp_path / "whole") as processes:
        assert [ended(process) for process in processes] == [0, 0]
    facts, started = tmp_path / "killed" / "last" / "checkpoint.json", time.monotonic()
    with ranks(*command, tmp_path / "killed"):
        while time.monotonic() - started < 120:
            try:
                if json.loads(facts.read_text())["step"] >= 2:
                    break
            except (OSError, ValueError):
                pass
            time.sleep(0.02)
    assert 2 <= json.loads(facts.read_text())["step"] < 40
    with ranks(*command, tmp_path / "killed", "--resume") as processes:
        assert [ended(process) for process in processes] == [0, 0]
    digests = {
        hashlib.sha256((tmp_path / name / "last" / "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "killed")
    }
    assert len(digests) == 1


def ended(process):
    """How a process ended; None where it still runs."""
    process.join(300)
    return process.exitcode


@pytest.mark.parametrize("recipe", [TINY, "mtcnn", "embedder"])
def test_a_second_training_in_the_same_folder_is_refused(tmp_path, recipe):
    (tmp_path / "data").mkdir()
    with sole_writer(tmp_path / "run"):
        done = unmask("train", recipe, "--data", tmp_path / "data", "--out", tmp_path / "run", "--device", "cpu")
    assert (done.exit_code, "another run is writing" in done.stderr) == (2, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_where_the_first_process_is_refused_all_are(tmp_path):
    """The others would otherwise wait for it."""
    options = ["--data", tmp_path, "--out", tmp_path / "run", "--device", "cpu"]
    with sole_writer(tmp_path / "run"), ranks("train", TINY, *options) as processes:
        assert [ended(process) for process in processes] == [2, 2]


@pytest.mark.kills
def test_torchrun_starts_a_training(prepared_often, tmp_path):
    """In the normal run `tests.training.ranks` says what it would."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    options = ["--data", prepared_often, "--out", tmp_path / "run", "--device", "cpu", "-q"]
    command = [sys.executable, *launch, "-m", "unmask", "train", smallest_recipe(tmp_path), *options]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, timeout=300)
    assert json.loads((tmp_path / "run" / "last" / "checkpoint.json").read_text())["epoch"] == 1


def test_told_to_end_it_writes_a_checkpoint_after_the_step(prepared_often, tmp_path):
    out = tmp_path / "run"
    options = ["--data", prepared_often, "--out", out, "--device", "cpu", "--workers", "1", "-q"]
    command = [sys.executable, "-m", "unmask", "train", smallest_recipe(tmp_path), *options]
    command += ["--set", "batches_per_epoch=2000"]
    run = subprocess.Popen(list(map(str, command)), start_new_session=True, stderr=subprocess.PIPE, text=True)
    log, started = out / "log.jsonl", time.monotonic()
    while not (log.exists() and log.read_text().count("\n") >= 2) and time.monotonic() - started < 60:
        time.sleep(0.05)
    os.killpg(run.pid, signal.SIGTERM)  # Slurm tells all processes, those that load items too
    assert "--resume goes on" in run.communicate(timeout=60)[1]
    assert run.returncode == 143
    facts = json.loads((out / "last" / "checkpoint.json").read_text())
    assert facts["epoch"] == 0
    assert facts["step"] == log.read_text().count("\n") >= 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "training needs a recipe"),
        (["recipe.toml", "--data", "d", "--out", "o"], "there is no recipe recipe.toml"),
        ([TINY, "--data", "missing", "--out", "o"], "run the step folds"),
        ([TINY, "--data", "d", "--out", "o", "--set", "epochs"], "write KEY=VALUE"),
        ([TINY, "--data", "d", "--out", "o", "--set", "colour=red"], "colour"),
        (["--plot", "missing"], "cannot read the log"),
    ],
)
def test_wrong_use_is_told_with_the_cure(tmp_path, monkeypatch, args, words):
    monkeypatch.chdir(tmp_path)
    done = unmask("train", *args)
    assert done.exit_code == 2
    assert words in done.stderr


class TestPlot:
    def test_weights(self):
        assert weighted_loss({"fake_loss": 0.3, "real_loss": 0.1}) == pytest.approx((1.4 * 0.3 + 0.1) / 2)

    def test_candidates_are_the_lowest_of_the_later_epochs(self):
        losses = [1.0] * 40
        for epoch in (3, 19, 26, 29, 31):
            losses[epoch] = 0.2
        assert candidate_epochs(losses) == [19, 26, 29, 31]
        assert candidate_epochs([0.1, 0.2]) == []
        losses[16], losses[3] = 0.1, 1.0
        assert candidate_epochs(losses) == [19, 26, 29, 31]

    def test_page(self, tmp_path):
        lines = [
            {"event": "epoch", "epoch": i + 1, "real_loss": 1 / (i + 1), "fake_loss": 0.5, "loss": 0.3, "auc": None}
            for i in range(20)
        ]
        (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, [{"event": "step"}, *lines])))
        assert write_plot(tmp_path, tmp_path / "loss.html") == [18, 19, 20]
        assert unmask("train", "--plot", tmp_path).stdout.endswith("candidate epochs: 18, 19, 20\n")

    @pytest.mark.parametrize(
        "line", ["torn", "[1]", '{"event": "epoch", "epoch": 0, "loss": 1}',
                 '{"event": "epoch", "epoch": 0, "loss": 1, "real_loss": "x", "fake_loss": 0.1}'],
    )  # fmt: skip
    def test_a_damaged_log_is_told(self, tmp_path, line):
        (tmp_path / "log.jsonl").write_text(line)
        done = unmask("train", "--plot", tmp_path)
        assert (done.exit_code, "cannot read the log" in done.stderr) == (2, True), done.output

    def test_a_log_of_the_winners_script(self, tmp_path):
        """Candidates recorded from plot_loss.py on the same log."""
        values = [((7 * i * i + 3 * i) % 41 / 41 + 0.1, (5 * i + 11) % 17 / 17 + 0.05) for i in range(30)]
        lines = [f"Epoch {i}; lr 0.01\nfake_loss {fake}\nreal_loss {real}" for i, (fake, real) in enumerate(values)]
        log = tmp_path / "b7_111"
        log.write_text("\n".join([*lines, "fake_loss 0.001"]))
        done = unmask("train", "--plot", log)
        assert done.stdout == f"{log}.html: candidate epochs: 19, 22, 23\n"
        assert "b7_111" in (tmp_path / "b7_111.html").read_text()
        log.write_text("real_loss 0.3\n")
        assert "no lines that start with fake_loss" in unmask("train", "--plot", log).stderr


class TestCluster:
    @pytest.mark.parametrize(
        ("nodes", "first"),
        [
            ("gpu1", "gpu1"),
            ("gpu[003-005,9],login1", "gpu003"),
            ("a,b", "a"),
            ("n[7,9].site", "n7.site"),
            ("", "localhost"),
        ],
    )
    def test_first_node(self, nodes, first):
        assert first_node(nodes) == first

    def test_slurm(self):
        told = {"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "21234"}
        found = slurm_rendezvous(told | {"SLURM_STEP_NODELIST": "gpu[3-4]"})
        assert found == {
            "RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "gpu3", "MASTER_PORT": "29234",
        }  # fmt: skip


def test_a_dry_run_tells_what_a_training_needs_and_keeps_nothing(prepared_often, tmp_path):
    recipe = smallest_recipe(tmp_path)
    command = ("train", recipe, "--data", prepared_often, "--out", tmp_path / "run", "--device", "cpu", "--dry-run")
    done = unmask(*command)
    assert done.exit_code == 0, done.output
    words = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert list(words) == ["data", "time", "memory", "disk", "ready:"]
    assert "40 steps" in words["time"]
    assert not (tmp_path / "run").exists()
    assert unmask(*command, "--set", "data.fold=7").exit_code == 2
    assert "is for recipes of networks that judge" in unmask(*command[:1], "embedder", *command[2:]).stderr


def test_a_dry_run_finds_a_damaged_crop(prepared_often, tmp_path):
    data = tmp_path / "prepared"
    shutil.copytree(prepared_often, data)
    for path in (data / "crops").glob("*/*.png"):
        path.write_bytes(path.read_bytes()[:100])
    done = unmask("train", smallest_recipe(tmp_path), "--data", data, "--out", tmp_path / "run", "--dry-run")
    assert done.exit_code == 2
    assert "cannot be trained on" in done.stderr
    assert "damaged" in done.stderr


def test_what_there_is_too_little_of_is_said():
    enough = Rehearsal(10, 2, 100, 0.5, 2, 0.1, 1 << 30, 2 << 30, 1 << 20, 1 << 30)
    assert enough.shortages == []
    short = replace(enough, memory_limit_bytes=1 << 29, disk_free_bytes=1 << 10)
    assert ["memory" in short.shortages[0], "--out" in short.shortages[1]] == [True, True]
