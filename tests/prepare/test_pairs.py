from unmask.prepare.pairs import read_crop_pairs


def test_pairs_share_place_and_landmarks(prepared):
    for pair in read_crop_pairs(prepared):
        assert pair.fake.name == pair.original.name
        assert pair.landmarks.stem == pair.original.stem
        assert pair.landmarks.parent.name == pair.original.parent.name
