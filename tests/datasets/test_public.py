import re

from unmask.datasets.public import public_validation_ids


def test_the_public_validation_set():
    """The challenge scored 400 clips, whose names have ten letters."""
    ids = public_validation_ids()
    assert len(ids) == 400
    assert all(re.fullmatch("[a-z]{10}", name) for name in ids)
    assert {"tjuihawuqm", "bvpeerislp", "phjvutxpoi"} <= ids
