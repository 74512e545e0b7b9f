import csv
import gzip
import json
from pathlib import Path

import pytest

from unmask.bench.compare import compare_matrix
from unmask.bench.dataset import BenchClip, BenchDataset
from unmask.bench.deepsafe import is_matrix, read_matrix, write_matrix
from unmask.errors import UsageError
from unmask.evaluation import Truth

HEADER = "id,modality,label,generator,ensemble_score,ensemble_verdict,ensemble_method,prob_sbi,lat_sbi,prob_npr,lat_npr"
ROWS = [
    "vid_1,video,real,youtube,0.2,real,meta_learner,0.1,12.5,,",
    "vid_2,video,fake,sora,0.4,real,meta_learner,0.6,10.0,,",
    "vid_3,video,fake,veo,0.9,fake,meta_learner,,1.0,,",
    "img_1,images,real,coco,0.3,real,meta_learner,,,0.99,3.0",
    "img_2,images,fake,glide,0.8,fake,meta_learner,,,0.7,3.0",
]


@pytest.fixture(params=["csv", "csv.gz", "json"])
def table(tmp_path, request) -> Path:
    text, path = "\n".join([HEADER, *ROWS]) + "\n", tmp_path / f"predictions.{request.param}"
    if request.param == "json":
        rows = [{k: v or None for k, v in row.items()} for row in csv.DictReader(text.splitlines())]
        for row in rows:
            row.update({k: float(v) for k, v in row.items() if v and k.startswith(("prob_", "lat_", "ensemble_score"))})
        path.write_text(json.dumps(rows))
    else:
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def test_a_table_in_each_of_its_forms(table):
    assert is_matrix(table)
    video, images = read_matrix(table)
    assert (video.modality, images.modality) == ("video", "images")
    assert [(c.name, c.label, c.traits["method"]) for c in video.labels.clips] == [
        ("vid_1", "real", "youtube"), ("vid_2", "fake", "sora"), ("vid_3", "fake", "veo"),
    ]  # fmt: skip
    assert set(video.predictions) == {"sbi", "ensemble"}
    assert [p.fake_probability for p in video.predictions["sbi"]] == [0.1, 0.6, None]
    assert set(images.predictions) == {"npr", "ensemble"}


def test_its_models_are_measured_without_a_scan(table):
    found = {(r.model, r.dataset): r for r in compare_matrix(table, "theirs", 10, 0)}
    assert found["sbi", "theirs video"].score("video", "auc").value == 1.0
    assert found["npr", "theirs images"].score("video", "auc").value == 0.0
    assert found["ensemble", "theirs video"].evaluation.answered.fakes == 2
    assert len({r.protocol_hash for r in found.values()}) == len(found)


def test_what_is_written_is_read_again(tmp_path):
    truths = [Truth("a/ü.mp4", "real", "a", {"method": "youtube"}), Truth("b.mp4", "fake", "a", {"method": "sora"})]
    dataset = BenchDataset("d", tuple(BenchClip(Path(t.name), t, None) for t in truths), "all")
    said = {"m": {"a/ü.mp4": (0.25, 1.5), "b.mp4": (None, 0.1)}, "n": {"b.mp4": (1.0, 2.0)}}
    path = tmp_path / "d.csv.gz"
    write_matrix(dataset, said, path)
    once = path.read_bytes()
    write_matrix(dataset, said, path)
    assert path.read_bytes() == once  # no time in it
    (matrix,) = read_matrix(path)
    assert [(c.name, c.label, c.traits["method"]) for c in matrix.labels.clips] == [
        ("a/ü.mp4", "real", "youtube"), ("b.mp4", "fake", "sora"),
    ]  # fmt: skip
    assert [p.fake_probability for p in matrix.predictions["m"]] == [0.25, None]
    assert [p.fake_probability for p in matrix.predictions["n"]] == [None, 1.0]
    rows = list(csv.DictReader(gzip.decompress(once).decode().splitlines()))
    assert (rows[0]["modality"], rows[0]["lat_m"], rows[0]["ensemble_score"]) == ("video", "1500.0", "")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("vid_9,video,maybe,x,,,,0.1,,,", "label 'maybe' is neither real nor fake"),
        ("vid_9,video,real,x,,,,1.5,,,", "'1.5' is no fake probability"),
        ("vid_9,video,real,x,,,,nan,,,", "'nan' is no fake probability"),
        ("vid_1,video,real,x,,,,0.5,,,", "two rows of video have one id"),
        ("vid_9,video,real,x,,,,0.5,,,,1,2", "a row with more cells than its first one"),
        ("vid_9,video,re\ral,x,,,,0.5,,,", "is no CSV|neither real nor fake|more cells|needs rows"),
    ],
)
def test_faults_are_told(tmp_path, row, words):
    path = tmp_path / "p.csv"
    path.write_text("\n".join([HEADER, *ROWS, row]) + "\n")
    with pytest.raises(UsageError, match=words):
        read_matrix(path)


def test_other_tables_are_not_taken_for_one(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("filename,label\na.mp4,1\n")
    assert not is_matrix(path)
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    assert not is_matrix(tmp_path / "broken.gz")
    assert not is_matrix(tmp_path)
    with pytest.raises(UsageError, match="needs rows with id, modality, label, generator"):
        read_matrix(path)
