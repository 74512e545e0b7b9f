"""The layouts of datasets that can be read. Importing this package fills `unmask.datasets.index.READERS`.

They are asked in this order, so the most particular come first: FaceForensics++ may lie inside of DeeperForensics.
"""

from unmask.datasets.readers import listing, dfdc, deeperforensics, faceforensics, celeb_df, tree  # isort: skip

__all__ = ["celeb_df", "deeperforensics", "dfdc", "faceforensics", "listing", "tree"]
