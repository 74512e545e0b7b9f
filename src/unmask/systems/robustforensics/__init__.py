"""RobustForensics, the fourth place of the Deepfake Detection Challenge."""
