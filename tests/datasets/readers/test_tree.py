from tests.datasets.readers.layouts import (
    touch,
    tree,
)
from unmask.datasets.read import read_index


def test_tree(tmp_path):
    touch(tree(tmp_path), "real/._a.mp4", "other/c.mp4")
    (tmp_path / "Original").touch()  # a file is no folder of clips
    index = read_index(tmp_path)
    assert [(clip.id, clip.path, clip.label, clip.method) for clip in index.clips] == [
        ("fake__Deepfakes__b", "fake/Deepfakes/b.avi", "fake", "Deepfakes"),
        ("fake__b", "fake/b.mp4", "fake", None),
        ("real__a", "real/a.mp4", "real", None),
    ]
    assert index.faults == ()
