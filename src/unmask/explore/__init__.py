"""Show what is in a dataset."""
