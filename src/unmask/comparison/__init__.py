"""Compare a clip with the original that it was perhaps made from: frames are paired in time and space first."""
