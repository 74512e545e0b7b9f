import json

import pytest

from tests.datasets.readers.layouts import by_id, faults, touch
from unmask.datasets.read import read_index

FF = "FaceForensics++/{}/c23/frames/{}"
REAL, FAKE = FF.format("original_sequences/youtube", "183"), FF.format("manipulated_sequences/Deepfakes", "183_253")


def frames(root, folder, separator="/", there=True):
    """The frames of a clip as a list has them."""
    names = ("000.png", "012.png")
    if there:
        touch(root / "datasets" / "rgb", *(f"{folder}/{name}" for name in names))
    return [f"{folder}/{name}".replace("/", separator) for name in names]


def write(root, name, labels, where="preprocessing/dataset_json"):
    folder = root / where
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({name: labels}))


def splits(**videos):
    return {split: videos.get(split, {}) for split in ("train", "val", "test")}


@pytest.mark.parametrize("separator", ["/", "\\"])
def test_lists_of_faceforensics(tmp_path, separator):
    real = {"label": "FF-real", "frames": frames(tmp_path, REAL, separator)}
    fake = {"label": "FF-DF", "frames": frames(tmp_path, FAKE, separator), "masks": []}
    touch(tmp_path / "datasets" / "rgb", FAKE.replace("frames", "masks") + "/000.png")
    by_compression = [splits(test={"c23": {"183": real}}), splits(test={"c23": {"183_253": fake}})]
    for name in ("FF-DF", "FaceForensics++"):
        write(tmp_path, name, dict(zip(("FF-real", "FF-DF"), by_compression, strict=True)))
    index = read_index(tmp_path)
    assert (index.dataset, index.faults) == ("deepfakebench", ())
    clips = by_id(index)
    assert set(clips) == {"FF-real__c23__183", "FF-DF__c23__183_253"}
    clip = clips["FF-DF__c23__183_253"]
    assert (clip.path, clip.label, clip.split, clip.compression) == (f"datasets/rgb/{FAKE}", "fake", "test", "c23")
    assert clip.original == "FF-real__c23__183"
    assert clip.mask == f"datasets/rgb/{FAKE}".replace("frames", "masks")
    assert clips["FF-real__c23__183"].mask is None


def test_lists_of_celeb_df_and_df40(tmp_path):
    real = {"label": "CelebDFv2_real", "frames": frames(tmp_path, "Celeb-DF-v2/Celeb-real/frames/id0_0000")}
    fake = {"label": "CelebDFv2_fake", "frames": frames(tmp_path, "Celeb-DF-v2/Celeb-synthesis/frames/id0_id1_0000")}
    split = splits(train={"id0_0000": real}, test={"id0_0000": real})
    write(tmp_path, "Celeb-DF-v2", {"CelebDFv2_real": split, "CelebDFv2_fake": splits(train={"id0_id1_0000": fake})})
    swap = {"label": "simswap_Fake", "frames": frames(tmp_path, "DF40/simswap/ff/frames/000_003")}
    everywhere = splits(**{name: {"000_003": swap} for name in ("train", "val", "test")})
    write(tmp_path, "simswap_ff", {"simswap_Real": splits(), "simswap_Fake": everywhere})
    clips = by_id(read_index(tmp_path))
    assert {(name, clip.label, clip.split) for name, clip in clips.items()} == {
        ("CelebDFv2_real__id0_0000", "real", "test"),
        ("CelebDFv2_fake__id0_id1_0000", "fake", "train"),
        ("simswap_Fake__000_003", "fake", None),
    }
    assert clips["CelebDFv2_fake__id0_id1_0000"].original == "CelebDFv2_real__id0_0000"


def test_what_does_not_fit_is_told(tmp_path):
    """Frames that are not there, labels that say nothing, and the entry that rearrange.py puts in place of a split."""
    real = {"label": "DFDC_Real", "frames": frames(tmp_path, "DFDC/test/frames/a")}
    gone = {"label": "DFDC_Fake", "frames": frames(tmp_path, "DFDC/test/frames/b", there=False)}
    odd = {"label": "unclear", "frames": frames(tmp_path, "DFDC/test/frames/c")}
    out = {"label": "DFDC_Fake", "frames": ["../../etc/frames/0.png"]}
    none = {"label": "DFDC_Fake", "frames": []}
    control = {"label": "DFDC_Fake", "frames": frames(tmp_path, "DFDC/test/frames/f")}
    labels = {
        "DFDC_Real": {"train": {}, "test": {"a": real}, "val": real},
        "DFDC_Fake": splits(test={"b": gone, "c": odd, "d": out, "e": none, "f\n": control}),
    }
    write(tmp_path, "DFDC", labels)
    index = read_index(tmp_path)
    assert [clip.id for clip in index.clips] == ["DFDC_Real__a"]
    assert faults(index) == [
        ("preprocessing/dataset_json/DFDC.json", None),
        ("datasets/rgb/DFDC/test/frames/c", None),
        ("datasets/rgb/DFDC/test/frames/f", None),
    ]
    assert "frames of 2 of 5 clips" in str(index.faults[0])


@pytest.mark.parametrize("content", ["[1]", "{}", '{"a": 1}', '{"a": {"b": 1}}', '{"a": {"b": {"c": 1}}}', "no json"])
def test_other_json_is_passed_over(tmp_path, content):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    (tmp_path / "list.json").write_text(content)
    assert read_index(tmp_path).dataset == "tree"
