"""Checkpoints as they were published, of a network small enough for tests."""

from collections import OrderedDict

import numpy as np
import torch

from unmask.models import Card
from unmask.models.card import Fusion
from unmask.models.checkpoints import CheckpointKind
from unmask.models.networks import build_network
from unmask.types import CropSpec

TINY = CheckpointKind(
    network="classifier",
    parameters={"encoder": "test_efficientnet"},
    card=Card(
        name="tiny",
        version="1",
        purpose="Tests.",
        architecture="a tiny one",
        licence="none",
        crop=CropSpec(size_px=64),
        files={},
        precision="fp32",
        fusion=Fusion("confident", "pool"),
        training={"data": "none"},
    ),
    mean=(0.5, 0.4, 0.3),
)


def network(seed=0):
    torch.manual_seed(seed)
    return build_network(TINY.network, **TINY.parameters)


def tensors(seed=0, prefix="module."):
    """Return a state dict as a network on several cards gives it."""
    state = network(seed).state_dict()
    named = OrderedDict((prefix + name, tensor) for name, tensor in state.items())
    named._metadata = state._metadata
    return named


def save(path, content, legacy=False):
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


def published(state_dict):
    """Wrap a state dict as the winner did; his best loss is one of numpy's numbers."""
    return {"epoch": 37, "state_dict": state_dict, "bce_best": np.float64(0.25)}
