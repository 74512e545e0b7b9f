"""Training: a recipe in, a run folder out. Needs torch: pip install 'unmask[train]'."""
