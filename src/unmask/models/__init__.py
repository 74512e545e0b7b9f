"""From crops to scores, from scores to a probability.

A model is a folder: ``model.onnx`` and ``card.json``, and where they were made ``model.int8.xml`` and ``.bin`` for
CPUs and ``model.safetensors`` for training and GPUs. The network takes uint8 RGB crops (N, S, S, 3)
and gives ``logit`` (N,), whose sigmoid is the fake probability, and optionally ``manipulation_map`` (N, h, w) in 0..1.
"""

from unmask.models.batching import BATCH_CROPS, QueuedNetwork
from unmask.models.card import Card, NetworkSpec, Thresholds, load_card, model_folder, model_names, verify_folder
from unmask.models.cpu import PRECISIONS, Network
from unmask.models.embedder import Embedder
from unmask.models.fusion import FUSE_RULES, FUSIONS, Fusion, find_fusion, fuse, register_rule
from unmask.models.load import load_network

__all__ = [
    "BATCH_CROPS",
    "FUSE_RULES",
    "FUSIONS",
    "PRECISIONS",
    "Card",
    "Embedder",
    "Fusion",
    "Network",
    "NetworkSpec",
    "QueuedNetwork",
    "Thresholds",
    "find_fusion",
    "fuse",
    "load_card",
    "load_network",
    "model_folder",
    "model_names",
    "register_rule",
    "verify_folder",
]
