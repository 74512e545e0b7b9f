import gc
import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import replace
from weakref import WeakValueDictionary

import cv2
import numpy as np
import pytest

from unmask.errors import ModelError, UsageError
from unmask.models import Network, cpu, load_card, model_folder
from unmask.models.card import write_card
from unmask.models.cpu import check_ports, resolve_precision
from unmask.runtime.openvino import computes_in_bf16, op, ov


def test_other_precisions_agree_with_the_cards(clips):
    from unmask import Scanner

    names = ["fp32", *(["bf16"] if computes_in_bf16() else [])]
    for clip in clips.values():
        ours, *others = (Scanner(precision=name, frames=8).scan(clip) for name in ("auto", *names))
        for verdict in others:
            assert verdict.fake_probability == pytest.approx(ours.fake_probability, abs=0.08)


def test_auto_precision_follows_the_card(tmp_path):
    bundled = Network(model_folder("bundled"), "auto")
    assert (bundled.card.precision, bundled.precision) == ("int8", "int8")
    shutil.copytree(model_folder("bundled"), tmp_path / "fast")
    write_card(tmp_path / "fast", replace(bundled.card, precision="auto"))
    assert Network(tmp_path / "fast", "auto").precision == resolve_precision("auto")
    files = {name: facts for name, facts in bundled.card.files.items() if "int8" not in name}
    write_card(tmp_path / "fast", replace(bundled.card, files=files))
    with pytest.raises(ModelError, match=r"does not name model\.int8\.xml; say fp32"):
        load_card(tmp_path / "fast")


def test_a_network_in_use_is_shared_and_then_given_back(tmp_path, monkeypatch):
    compiled, compiled_once = [], cpu.compiled_once

    def count(*args):
        compiled.append(args[1:])
        return compiled_once(*args)

    monkeypatch.setattr(cpu, "compiled_once", count)
    monkeypatch.setattr(cpu, "_IN_USE", WeakValueDictionary())
    folder, copy = model_folder("bundled"), shutil.copytree(model_folder("bundled"), tmp_path / "copy")
    black = np.zeros((1, 224, 224, 3), np.uint8)
    first, second = Network(folder, "fp32", streams=1), Network(copy, "fp32", streams=1)
    assert second.score(black)[0].fake_probability == first.score(black)[0].fake_probability
    assert len(compiled) == 1
    Network(folder, "fp32", streams=2)
    assert len(compiled) == 2, "another division of labour"
    (copy / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelError, match="damaged"):
        Network(copy, "fp32", streams=1)
    del first, second
    gc.collect()
    Network(folder, "fp32", streams=1)
    assert len(compiled) == 3, "nobody uses it any more"


SCORES = """
import json, sys
import numpy as np
from unmask.models import Network, model_folder
crops = np.load(sys.argv[1])
print(json.dumps([score.fake_probability for score in Network(model_folder("bundled"), streams=1).score(crops)]))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in {"x86_64", "AMD64"}, reason="sets the instructions of x86 processors")
def test_the_bundled_model_scores_the_same_on_older_processors(tmp_path):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (6, 12, 12, 3), np.uint8)
    crops = np.stack([cv2.resize(image, (224, 224), interpolation=cv2.INTER_CUBIC) for image in coarse])
    np.save(tmp_path / "crops.npy", crops)
    scores = []
    for instructions in ("AVX2", "DEFAULT"):
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": instructions}
        done = subprocess.run(
            [sys.executable, "-c", SCORES, str(tmp_path / "crops.npy")], env=environment, check=True,
            capture_output=True, text=True,
        )  # fmt: skip
        scores.append(json.loads(done.stdout))
    assert scores[0] == pytest.approx(scores[1], abs=0.005)
    assert max(scores[0]) - min(scores[0]) > 0.005  # else equality says nothing


def test_unknown_precision():
    with pytest.raises(UsageError, match="fp32"):
        resolve_precision("int4")


def constant_network(logit_shape):
    """A network that gives zeros of some shape."""
    return ov.Model([op.constant(np.zeros(logit_shape, np.float32))], [op.parameter([-1, 160, 160, 3], np.uint8)])


@pytest.mark.parametrize(("shape", "fits"), [((4,), True), ((4, 1), True), ((4, 2), False), ((4, 1, 1), False)])
def test_a_network_must_give_one_logit_a_crop(tmp_path, shape, fits):
    model = constant_network(shape)
    if fits:
        check_ports(model, 160, tmp_path)
        with pytest.raises(ModelError, match="uint8 crops"):
            check_ports(model, 224, tmp_path)
    else:
        with pytest.raises(ModelError, match="logit"):
            check_ports(model, 160, tmp_path)


def test_int8_of_a_model_without_it_names_the_cure(tmp_path):
    shutil.copytree(model_folder("bundled"), tmp_path / "plain")
    card = load_card(tmp_path / "plain")
    files = {name: facts for name, facts in card.files.items() if "int8" not in name}
    write_card(tmp_path / "plain", replace(card, files=files, precision="fp32"))
    with pytest.raises(UsageError, match="unmask models quantise"):
        Network(tmp_path / "plain", "int8")
