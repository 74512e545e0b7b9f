"""The networks that can be trained and exported; beside `unmask.training` the one place that imports torch.

A network takes x_N3HW, RGB crops, already normalised, float, and returns an `Output`; `SlowFast` takes clips x_N3THW.
In the folder of a finished model it is an ONNX file, which `unmask.models.cpu` or, for clips,
`unmask.models.clip_network` runs without torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from unmask.errors import UsageError

try:
    import timm  # noqa: F401
    import torch  # noqa: F401
except ImportError as error:
    raise UsageError("networks need torch and timm; install them: pip install 'unmask[train]'") from error

from torch import nn

from unmask.models.networks.blendnet import BlendNet
from unmask.models.networks.classifier import DeepFakeClassifier, DeepFakeClassifierGWAP, DeepFakeClassifierSRM
from unmask.models.networks.encoders import ENCODERS, create_encoder
from unmask.models.networks.laa import LocalizedArtifact
from unmask.models.networks.layernorm import LayerNormTuned
from unmask.models.networks.output import Output
from unmask.models.networks.slowfast import SlowFast
from unmask.models.networks.two_class import TwoClass
from unmask.models.networks.ucf import CommonForgery
from unmask.runtime.plug_ins import enter_plug_ins

__all__ = [
    "ENCODERS",
    "NETWORKS",
    "BlendNet",
    "CommonForgery",
    "DeepFakeClassifier",
    "DeepFakeClassifierGWAP",
    "DeepFakeClassifierSRM",
    "LayerNormTuned",
    "LocalizedArtifact",
    "Output",
    "SlowFast",
    "TwoClass",
    "build_network",
    "create_encoder",
]

NETWORKS: dict[str, Callable[..., nn.Module]] = {
    "classifier": DeepFakeClassifier,
    "classifier_srm": DeepFakeClassifierSRM,
    "classifier_gwap": DeepFakeClassifierGWAP,
    "blendnet": BlendNet,
    "two_class": TwoClass,
    "layernorm": LayerNormTuned,
    "ucf": CommonForgery,
    "laa": LocalizedArtifact,
    "slowfast": SlowFast,
}
"""Name, as recipes give it -> class; its keyword arguments are the recipe's parameters."""


def build_network(name: str, **parameters: object) -> nn.Module:
    """Build a network by name.

    Raises:
        UsageError: An unknown network or parameter, or an encoder that cannot be had.
    """
    enter_plug_ins("unmask.networks", NETWORKS, name)
    if name not in NETWORKS:
        raise UsageError(f"unknown network {name!r}; use one of {sorted(NETWORKS)}")
    allowed = list(inspect.signature(NETWORKS[name]).parameters)
    unknown = [parameter for parameter in parameters if parameter not in allowed]
    if unknown:
        raise UsageError(f"network {name!r} has no parameter {unknown[0]!r}; it takes {', '.join(allowed)}")
    return NETWORKS[name](**parameters)
