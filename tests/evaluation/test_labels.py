import pytest

from unmask.evaluation import match, read_truth


def test_labels_from_a_table_know_their_sources(tmp_path):
    (tmp_path / "l.csv").write_text(
        "file,label,method,original,split\n"
        "real/1.mp4,real,youtube,,val\nreal/2.mp4,0,,,\n"
        "fake/x_1.mp4,FAKE,swap,1.mp4,\nfake/y_1.mp4,1,swap,real/1.mp4,\nfake/z_2.mp4,1.0,,2,\nfake/w.mp4,1,,gone.mp4,\n"
        "fake/odd.mp4,perhaps,,,\nfake/none.mp4,,,,\n"
    )
    labels = read_truth(tmp_path / "l.csv")
    assert [clip.label for clip in labels.clips] == ["real", "real", "fake", "fake", "fake", "fake", None, None]
    own, other = "real__1", "real__2"
    assert [clip.source for clip in labels.clips][:6] == [own, other, own, own, other, "gone"]
    assert labels.clips[0].traits == {"method": "youtube", "split": "val"}
    assert labels.clips[1].traits == {}
    assert labels.faults == ("l.csv, line 8: label 'perhaps' is not real, fake, 0 or 1",)


def test_labels_from_a_dataset_and_its_index(sample, tmp_path):
    from unmask.datasets import read_index

    labels = read_truth(sample)
    read_index(sample).write(tmp_path / "index.parquet")
    assert read_truth(tmp_path / "index.parquet") == labels
    by_name = {clip.name: clip for clip in labels.clips}
    fakes = [clip for clip in labels.clips if clip.label == "fake"]
    assert all(by_name[f"{clip.name.rpartition('/')[0]}/{clip.source}.mp4"].label == "real" for clip in fakes)
    assert all(clip.traits["part"] in ("0", "1") for clip in labels.clips)


@pytest.mark.parametrize(
    ("names", "known", "found"),
    [
        (["b.mp4", "a.mp4"], ["a.mp4", "b.mp4"], {0: 1, 1: 0}),
        (["/data/set/x/a.mp4", "/data/set/y/a.mp4"], ["y/a.mp4", "x/a.mp4"], {0: 1, 1: 0}),
        (["./x/a.mp4"], ["x/a.mp4"], {0: 0}),
        (["x\\a.mp4"], ["x/a.mp4"], {0: 0}),
        (["a.mp4"], ["x/a.mp4"], {0: 0}),
        (["a.mp4"], ["x/a.mp4", "y/a.mp4"], {}),  # which one?
        (["a.mp4", "x/a.mp4"], ["x/a.mp4", "y/a.mp4"], {1: 0}),
        (["a.mp4", "a.mp4"], ["a.mp4"], {}),  # said twice
        (["x/a.mp4", "y/a.mp4"], ["a.mp4"], {}),
        (["a.mp4"], ["b.mp4"], {}),
        ([], ["a.mp4"], {}),
    ],
)
def test_only_what_is_clear_is_matched(names, known, found):
    assert match(names, known) == found
