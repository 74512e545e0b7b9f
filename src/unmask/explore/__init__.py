"""Show what is in a dataset: labels, media, faces, and what looks wrong."""
