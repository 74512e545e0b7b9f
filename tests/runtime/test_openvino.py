import subprocess
import sys

import numpy as np
import pytest

from unmask.errors import ModelError
from unmask.runtime.openvino import compile_network, computes_in_bf16, op, ov, port_shapes, read_network


@pytest.fixture
def doubling(tmp_path):
    """A network (N, 3) -> (N, 3) that doubles, as the files of OpenVINO's own format."""
    x = op.parameter([-1, 3], np.float32)
    ov.save_model(ov.Model([op.multiply(x, op.constant(np.float32(2)))], [x], "doubling"), tmp_path / "model.xml")
    return (tmp_path / "model.xml").read_bytes(), (tmp_path / "model.bin").read_bytes()


def test_a_network_is_read_and_compiled(doubling):
    model = read_network(doubling[0], "model.xml", doubling[1])
    assert port_shapes(model) == [["?", "3"], ["?", "3"]]
    compiled = compile_network(model, threads=1, streams=1)
    assert compiled.get_property("ENABLE_CPU_PINNING") is False
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == ov.Type.f32
    request = compiled.create_infer_request()
    request.infer({0: np.ones((2, 3), np.float32)})
    assert request.get_output_tensor(0).data.tolist() == [[2, 2, 2]] * 2


@pytest.mark.parametrize("variable", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
def test_bf16_is_not_used_where_the_kernels_may_not(doubling, monkeypatch, variable):
    monkeypatch.setenv(variable, "avx512_core")
    assert not computes_in_bf16()
    compiled = compile_network(read_network(doubling[0], "model.xml", doubling[1]), "bf16")
    assert compiled.get_property("INFERENCE_PRECISION_HINT") == ov.Type.f32


def test_what_is_no_network_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"some/model\.onnx is no network that OpenVINO reads"):
        read_network(b"no network", "some/model.onnx")


THREADS_AT_ONCE = """
import faulthandler, sys, threading
from unmask.runtime.openvino import ov

faulthandler.dump_traceback_later(60, exit=True)
sys.setswitchinterval(1e-6)
begin = threading.Barrier(16)
threads = [threading.Thread(target=lambda: (begin.wait(), ov.Type.u8.to_dtype())) for _ in range(16)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_come_with_arrays_at_once_do_not_wait_for_each_other_for_ever():
    """Without the call at the end of the imports, this hung three times of eight."""
    done = subprocess.run([sys.executable, "-c", THREADS_AT_ONCE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
