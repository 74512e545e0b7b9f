from tests.datasets.readers.layouts import by_id, faults, touch
from unmask.datasets.index import Clip
from unmask.datasets.read import read_index

HEADER = "source,target1,target2,method,category,type,race,gender,path,\n"
KINDS = ("RealVideo-RealAudio", "RealVideo-FakeAudio", "FakeVideo-RealAudio", "FakeVideo-FakeAudio")


def row(source, kind, name, method="real", target="-"):
    return f"{source},{target},-,{method},A,{kind},African,men,{name},FakeAVCeleb/{kind}/African/men/{source}\n"


def fake_av_celeb(root):
    files = [f"{kind}/African/men/id00076/00109.mp4" for kind in KINDS[:3]]
    touch(root, *files, "FakeVideo-FakeAudio/African/men/id00076/00109_id00761_wavtolip.mp4")
    lines = [
        row("id00076", KINDS[0], "00109.mp4"),
        row("id00076", KINDS[1], "00109.mp4", "rtvc"),
        row("id00076", KINDS[2], "00109.mp4", "faceswap", "id00761"),
        row("id00076", KINDS[3], "00109_id00761_wavtolip.mp4", "wav2lip", "id00761"),
    ]
    (root / "meta_data.csv").write_text(HEADER + "".join(lines))
    return root


def test_fake_av_celeb(tmp_path):
    index = read_index(fake_av_celeb(tmp_path))
    assert (index.dataset, index.faults) == ("fake_av_celeb", ())
    original = "RealVideo-RealAudio__African__men__id00076__00109"
    both = "FakeVideo-FakeAudio__African__men__id00076__00109_id00761_wavtolip"
    assert by_id(index)[both] == Clip(
        both, "FakeVideo-FakeAudio/African/men/id00076/00109_id00761_wavtolip.mp4", "fake", original, "wav2lip",
        people=("id00076", "id00761"),
    )  # fmt: skip
    assert {(clip.id.partition("__")[0], clip.label, clip.original, clip.method) for clip in index.clips} == {
        (KINDS[0], "real", None, None),
        (KINDS[1], "real", None, "sound"),
        (KINDS[2], "fake", original, "faceswap"),
        (KINDS[3], "fake", original, "wav2lip"),
    }


def test_fake_av_celeb_with_faults(tmp_path):
    table = fake_av_celeb(tmp_path) / "meta_data.csv"
    again = row("id00076", KINDS[3], "00109_id00761_wavtolip.mp4", "wav2lip", "id00761")
    more = [again, row("id1", KINDS[0], "gone.mp4"), row("..", KINDS[0], "x.mp4"), row("id00076", "Other", "00109.mp4")]
    touch(tmp_path, "Other/African/men/id00076/00109.mp4")
    table.write_text(table.read_text() + "".join(more))
    index = read_index(tmp_path)
    assert len(index.clips) == 4
    assert faults(index) == [
        ("meta_data.csv", "line 8"),
        ("meta_data.csv", "line 9"),
        ("meta_data.csv", None),
        ("meta_data.csv", None),
    ]
    assert "1 of 8 listed files are not there" in str(index.faults[2])
    assert "more than once" in str(index.faults[3])


def test_names_that_no_file_can_have(tmp_path):
    touch(tmp_path, "video-data/a.mp4")
    (tmp_path / "video-metadata-publish.csv").write_bytes(
        b"Filename,Video Ground Truth,Finetuning Set\na.mp4,Fake,train\nb\x07.mp4,Fake,train\n\xff.mp4,Real,test\n"
    )
    index = read_index(tmp_path)
    assert [clip.id for clip in index.clips] == ["video-data__a"]
    assert len(index.faults) == 2


def test_another_meta_data_is_passed_over(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    (tmp_path / "meta_data.csv").write_text("source,path\na,b\n")
    assert read_index(tmp_path).dataset == "tree"


def test_deepfake_eval_2024(tmp_path):
    touch(tmp_path, *(f"video-data/{name}.mp4" for name in ("a", "-b", "c", "d")))
    (tmp_path / "video-metadata-publish.csv").write_text(
        "Filename,Date,Video Ground Truth,Audio Ground Truth,Public Comments,Finetuning Set\n"
        'a.mp4,2024-11-14,Fake,Unknown,"lip sync, is off",train\n'
        "-b.mp4,2024-11-14,Real,Fake,,test\n"
        "c.mp4,2024-11-14,Unknown,Unknown,,test\n"
        "d.mp4,2024-11-14,Real,Real,,train\n"
        "gone.mp4,2024-11-14,Fake,Fake,,train\n"
    )
    index = read_index(tmp_path)
    assert index.dataset == "deepfake_eval_2024"
    assert faults(index) == [("video-metadata-publish.csv", None)]
    assert {(clip.path, clip.label, clip.method, clip.split) for clip in index.clips} == {
        ("video-data/a.mp4", "fake", None, "train"),
        ("video-data/-b.mp4", "real", "sound", "test"),
        ("video-data/c.mp4", None, None, "test"),
        ("video-data/d.mp4", "real", None, "train"),
    }
