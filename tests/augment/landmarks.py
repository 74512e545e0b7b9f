"""Landmarks that tests of blends share."""

import numpy as np

FRONT = np.array([[96, 110], [160, 110], [128, 145], [102, 180], [154, 180]], np.float32)
TURNED = np.array([[110, 110], [162, 110], [158, 145], [114, 180], [154, 180]], np.float32)  # to the right


def rng(seed=0):
    return np.random.default_rng(seed)
