"""Prepare a dataset for training: boxes, crops, landmarks, difference masks, aligned faces and folds."""
