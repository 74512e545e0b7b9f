import cv2
import numpy as np
from skimage.metrics import structural_similarity

from unmask.prepare import clip_steps
from unmask.prepare.difference import difference_mask
from unmask.prepare.layout import read_boxes
from unmask.prepare.pairs import read_crop_pairs


def test_differences_are_those_of_scikit_image(prepared):
    found = list(read_crop_pairs(prepared))
    assert len(found) == 15
    for pair in found:
        original, fake = cv2.imread(str(pair.original)), cv2.imread(str(pair.fake))
        assert original.shape == fake.shape
        _, similarity = structural_similarity(original, fake, channel_axis=2, full=True)
        expected = cv2.cvtColor(np.clip((1 - similarity) * 255, 0, 255).astype(np.uint8), cv2.COLOR_BGR2GRAY)
        mask = cv2.imread(str(pair.diff), cv2.IMREAD_UNCHANGED)
        assert mask.ndim == 2
        assert np.abs(mask.astype(int) - expected).max() <= 2


def test_differences_cover_the_known_mask(index, sample, prepared):
    overlaps = []
    for pair in read_crop_pairs(prepared):
        frame, face = map(int, pair.fake.stem.split("_"))
        whole = cv2.imread(str(sample / "masks" / pair.fake.parent.name / f"{frame}.png"))
        boxes = read_boxes(prepared / "boxes" / f"{pair.original.parent.name}.json")[frame]
        known = next(c for c in clip_steps.cut_boxes(clip_steps.Frame(whole, 0.0, frame), boxes) if c[1] == face)[2]
        known, found = known[..., 0] > 25, cv2.imread(str(pair.diff), cv2.IMREAD_GRAYSCALE) > 20
        overlaps.append((known & found).sum() / (known | found).sum())
    assert len(overlaps) == 15
    assert np.mean(overlaps) > 0.75
    assert min(overlaps) > 0.65


def test_a_mask_does_not_wrap_around():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (40, 40, 3), np.uint8)
    assert difference_mask(noise, 255 - noise).mean() > 240  # the similarity is negative nearly everywhere
    assert difference_mask(noise, noise).max() == 0
    assert difference_mask(noise, noise[:30]) is None
    assert difference_mask(noise[:6], noise[:6]) is None
