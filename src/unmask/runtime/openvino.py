"""OpenVINO without its telemetry.

``import openvino`` reports to a web analytics service and leaves files in the home folder, unless the package
``openvino_telemetry`` cannot be imported; then it uses a stub that does nothing. Everything in unmask that needs
OpenVINO imports it from here.
"""

import sys

if "openvino" not in sys.modules:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None: any import of it fails

import openvino as ov
from openvino import opset13 as op

UNPINNED = {"ENABLE_CPU_PINNING": False}
"""Part of every configuration: OpenVINO would else pin each network's first thread to the same core, and with it the
threads that call it, so that several scans at a time share one core."""

__all__ = ["UNPINNED", "op", "ov"]
