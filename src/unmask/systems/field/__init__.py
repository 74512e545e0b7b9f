"""Detectors of the field whose weights can be imported, so that one tool gives the whole table."""
