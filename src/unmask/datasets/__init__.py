"""Datasets: which clips they hold, and what is known of each."""

from unmask.datasets.index import READERS, Clip, Fault, Index
from unmask.datasets.read import read_index

__all__ = ["READERS", "Clip", "Fault", "Index", "read_index"]
