"""Datasets: which clips they hold, and what is known of each."""

from unmask.datasets.index import READERS, Clip, Fault, Index
from unmask.datasets.read import is_video, read_index

__all__ = ["READERS", "Clip", "Fault", "Index", "is_video", "read_index"]
