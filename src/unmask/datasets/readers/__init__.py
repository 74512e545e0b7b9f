"""Read datasets in the layouts that are known. Importing this package fills `unmask.datasets.index.READERS`.

They are tried in this order, so the most specific come first: FaceForensics++ may lie inside of DeeperForensics, and
LAV-DF's file may be called as DFDC's.
"""

from unmask.datasets.readers import listing, deepfakebench, listed_json, described, dfdc  # isort: skip
from unmask.datasets.readers import deeperforensics, faceforensics, celeb_df, folders, tree, listed  # isort: skip

__all__ = [
    "celeb_df",
    "deeperforensics",
    "deepfakebench",
    "described",
    "dfdc",
    "faceforensics",
    "folders",
    "listed",
    "listed_json",
    "listing",
    "tree",
]
