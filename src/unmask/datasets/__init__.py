"""Datasets: what is in them, and how they become crops for training."""

from unmask.datasets.index import READERS, Clip, Fault, Index, read_index

__all__ = ["READERS", "Clip", "Fault", "Index", "read_index"]
