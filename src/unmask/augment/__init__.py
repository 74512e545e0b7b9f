"""Change pictures: blends, codecs, cut-outs, and the published lists of augmentations."""
