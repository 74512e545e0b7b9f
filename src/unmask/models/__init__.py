"""From crops to scores, from scores to a probability.

A model is a folder: ``model.onnx`` and ``card.json``. The network takes uint8 RGB crops (N, S, S, 3) and gives
``logit`` (N,), whose sigmoid is the fake probability, and optionally ``manipulation_map`` (N, h, w) in 0..1.
"""

from unmask.models.card import Card, load_card, model_folder, model_names, verify_folder
from unmask.models.embedder import Embedder
from unmask.models.fuse import FUSE_RULES, FUSIONS, Fusion, fuse, register_rule
from unmask.models.runtime import BATCH_CROPS, PRECISIONS, CropScore, Network

__all__ = [
    "BATCH_CROPS",
    "FUSE_RULES",
    "FUSIONS",
    "PRECISIONS",
    "Card",
    "CropScore",
    "Embedder",
    "Fusion",
    "Network",
    "fuse",
    "load_card",
    "model_folder",
    "model_names",
    "register_rule",
    "verify_folder",
]
