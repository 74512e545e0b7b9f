import shutil
from dataclasses import replace

import numpy as np
import pytest

from unmask.errors import ModelError, UsageError
from unmask.models import Network, model_folder
from unmask.models.card import write_card
from unmask.models.cpu import check_ports, resolve_precision
from unmask.runtime.openvino import op, ov


def test_fp32_and_bf16_agree(clips):
    if resolve_precision("auto") != "bf16":
        pytest.skip("this CPU does not compute in bf16")
    from unmask import Scanner

    for clip in clips.values():
        exact, fast = (Scanner(precision=name, frames=8).scan(clip) for name in ("fp32", "bf16"))
        # The fixed high-pass filters of the bundled network lose digits in bf16, which is why its card says fp32.
        assert fast.fake_probability == pytest.approx(exact.fake_probability, abs=0.06)


def test_auto_precision_follows_the_card(tmp_path):
    bundled = Network(model_folder("bundled"), "auto")
    assert (bundled.card.precision, bundled.precision) == ("fp32", "fp32")
    shutil.copytree(model_folder("bundled"), tmp_path / "fast")
    write_card(tmp_path / "fast", replace(bundled.card, precision="auto"))
    assert Network(tmp_path / "fast", "auto").precision == resolve_precision("auto")


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


def test_int8_of_a_model_without_it_names_the_cure():
    with pytest.raises(UsageError, match="unmask models quantise"):
        Network(model_folder("bundled"), "int8")
