"""Training under a real Slurm, whose daemons the test starts on this machine: requeued, it goes on where it was."""

import hashlib
import json
import re
import sys

import pytest

pytest.importorskip("torch")

from tests.slurm import needs_slurm, run, slurm, wait_for  # noqa: F401 - the fixture
from tests.training.test_train import smallest_recipe

STEPS = 60

pytestmark = needs_slurm


def digest(run_folder):
    return hashlib.sha256((run_folder / "last" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_requeued_it_ends_with_the_same_weights(slurm, prepared_often, tmp_path):  # noqa: F811 - the fixture
    recipe = smallest_recipe(tmp_path)
    train = [sys.executable, "-m", "unmask", "train", recipe, "--data", prepared_often, "--device", "cpu", "-q"]
    train += ["--set", f"batches_per_epoch={STEPS}", "--resume"]
    run(slurm, "srun", "--ntasks=2", "--kill-on-bad-exit", *train, "--out", tmp_path / "whole")

    out, script = tmp_path / "requeued", tmp_path / "job.sh"
    script.write_text(f"#!/bin/sh\nsrun {' '.join(map(str, train))} --out {out}\n")
    options = ["--requeue", "--ntasks=2", "--open-mode=append", f"--output={tmp_path / 'job.log'}"]
    job = run(slurm, "sbatch", "--parsable", *options, script).strip()
    log, last = out / "log.jsonl", out / "last" / "checkpoint.json"
    wait_for(lambda: log.exists() and log.read_text().count("\n") >= 3, "step")
    run(slurm, "scontrol", "requeue", job)
    wait_for(last.exists, "checkpoint of the run that was told to end")
    assert 0 < json.loads(last.read_text())["step"] < STEPS

    def state():
        return re.search(r"JobState=(\w+).*Restarts=(\d+)", run(slurm, "scontrol", "show", "job", job), re.DOTALL)

    wait_for(lambda: state()[1] in ("COMPLETED", "FAILED"), f"end of the job: {(tmp_path / 'job.log').read_text()}")
    assert state().groups() == ("COMPLETED", "1"), (tmp_path / "job.log").read_text()
    assert digest(out) == digest(tmp_path / "whole")
