"""Read datasets in the layouts that are known. Importing this package fills `unmask.datasets.index.READERS`.

They are tried in this order, so the most specific come first: FaceForensics++ may lie inside of DeeperForensics.
"""

from unmask.datasets.readers import listing, dfdc, deeperforensics, faceforensics, celeb_df, tree, listed  # isort: skip

__all__ = ["celeb_df", "deeperforensics", "dfdc", "faceforensics", "listed", "listing", "tree"]
