"""The winner of the Deepfake Detection Challenge."""
