"""Fusion rules of published systems that have no folder of their own here."""

from __future__ import annotations

from unmask.models.fusion import EACH_FACE, Fusion, register_fusion

register_fusion("wm", Fusion("mean", "largest"))
"""Second place of the Deepfake Detection Challenge. Source: https://github.com/cuihaoleo/kaggle-dfdc"""
register_fusion("ntech", Fusion("weighted", "pool"))
"""Third place. Source: https://github.com/NTech-Lab/deepfake-detection-challenge"""
register_fusion("deepware", Fusion("clear", "stretched", EACH_FACE, min_frames=5))
"""Deepware's scanner. Source: https://github.com/deepware/deepfake-scanner"""
