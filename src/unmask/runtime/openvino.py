"""OpenVINO without its telemetry, and the one place where networks are read and compiled for the CPU.

``import openvino`` reports to a web analytics service and leaves files in the home folder, unless the package
``openvino_telemetry`` cannot be imported; then it uses a stub that does nothing. Everything in unmask that needs
OpenVINO imports it from here.
"""

from __future__ import annotations

import ctypes
import locale
import os
import sys
from contextlib import suppress
from os import PathLike, fspath

from unmask.errors import ModelError
from unmask.runtime.onnx import check_onnx

if "openvino" not in sys.modules:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: any import of it fails

import openvino as ov
from openvino import opset13 as op

_WITHOUT_BF16 = {"SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX512_CORE", "AVX512_CORE_VNNI"}
"""Sets of instructions, as oneDNN's variables name them, that know no bf16."""


def _keep_plain_case() -> None:
    """Let C make ``i`` of ``I``: in Turkish and Azeri it does not, and OpenVINO knows its own words no more."""
    if sys.platform == "win32" or ctypes.CDLL(None).tolower(ord("I")) == ord("i"):
        return
    for name in ("C.UTF-8", "en_US.UTF-8", "C"):  # the first two keep letters beyond ASCII
        with suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            return


_keep_plain_case()

# The first such call looks numpy up; two threads that make it at once wait for each other for ever.
ov.Type.u8.to_dtype()

__all__ = [
    "compile_network",
    "computes_in_bf16",
    "cpu_name",
    "import_network",
    "instructions_allowed",
    "op",
    "ov",
    "port_shapes",
    "read_network",
]


def read_network(content: bytes, path: str | PathLike[str], weights: bytes = b"") -> ov.Model:
    """Read a network from the bytes of its file.

    Args:
        content: ONNX, or the layers of OpenVINO's own format.
        path: Where the bytes are from, for the error.
        weights: Weights of OpenVINO's own format; an ONNX file holds its weights itself.

    Raises:
        ModelError: OpenVINO cannot read it, or it would read other files.
    """
    if not weights:
        try:
            check_onnx(content)
        except ModelError as error:
            raise ModelError(f"{fspath(path)} is no network that OpenVINO reads by itself: {error}") from error
    try:
        return ov.Core().read_model(content, weights)
    except RuntimeError as error:
        raise ModelError(f"{fspath(path)} is no network that OpenVINO reads; install the model again") from error


def port_shapes(model: ov.Model) -> list[list[str]]:
    """Return the sides of every input, then of every output; a side of any length is ``?``."""
    return [[str(side) for side in port.partial_shape] for port in (*model.inputs, *model.outputs)]


def compile_network(
    model: ov.Model, precision: str = "f32", threads: int = 1, streams: int | None = 1
) -> ov.CompiledModel:
    """Compile a network for the CPU.

    Args:
        model: What `read_network` read, or a network built from OpenVINO's operations.
        precision: Number format as OpenVINO calls it: ``f32``, or ``bf16``, which is ``f32`` where the CPU has no bf16.
        threads: Threads that compute.
        streams: Inferences that run at the same time, sharing the threads; None lets OpenVINO choose.
    """
    return ov.Core().compile_model(model, "CPU", _settings(precision, threads, streams))


def import_network(
    exported: bytes, precision: str = "f32", threads: int = 1, streams: int | None = 1
) -> ov.CompiledModel:
    """Return a network that `compile_network` compiled with the same settings, and that was exported.

    Args:
        exported: What ``export_model`` gave; from the same version of OpenVINO, and from nobody who may not be trusted.
        precision: See `compile_network`, as the other settings.
        threads: Threads that compute.
        streams: Inferences that run at the same time.

    Raises:
        RuntimeError: OpenVINO cannot read it.
    """
    return ov.Core().import_model(exported, "CPU", _settings(precision, threads, streams))


def _settings(precision: str, threads: int, streams: int | None) -> dict[str, object]:
    if precision == "bf16" and not computes_in_bf16():
        precision = "f32"
    # OpenVINO would otherwise pin each network's first thread to the same core, and with it the threads that call it,
    # so that several scans at a time share one core.
    settings = {"INFERENCE_PRECISION_HINT": precision, "INFERENCE_NUM_THREADS": threads, "ENABLE_CPU_PINNING": False}
    return settings | ({} if streams is None else {"NUM_STREAMS": streams})


def instructions_allowed() -> str:
    """Return the set of instructions that the environment keeps OpenVINO's kernels to; empty where it does not."""
    return (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "").upper()


def computes_in_bf16() -> bool:
    """Return whether this CPU computes in bf16, and may."""
    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "BF16" in able and instructions_allowed() not in _WITHOUT_BF16


def cpu_name() -> str:
    """Return the name of this CPU, and what OpenVINO computes well in on it."""
    core = ov.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return f"{core.get_property('CPU', 'FULL_DEVICE_NAME')} {' '.join(sorted(able))}"
