"""Change images: make fakes by blending, compress, cut out, and apply the augmentation lists of published systems."""
