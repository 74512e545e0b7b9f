from pathlib import Path

import pytest

from unmask import metrics
from unmask.bench.cells import chosen_cells
from unmask.bench.dataset import BenchClip, BenchDataset
from unmask.bench.metamorphic import RELATIONS, extra_of_relations, metamorphic
from unmask.bench.outputs import write_outputs
from unmask.bench.robustness import extra_of, robustness
from unmask.bench.run import NO_COPY, Entrant, Job
from unmask.bench.store import Predictions
from unmask.evaluation import Truth

CLIPS = tuple(
    BenchClip(Path(f"{i}.mp4"), Truth(f"{i}.mp4", "fake" if i % 2 else "real", f"source{i // 2}"), f"{i:064}")
    for i in range(12)
)
DATASET = BenchDataset("made up", CLIPS, "all")


class Settings:
    """Of a scanner, what the key of a row needs."""

    settings_hash = "0123456789abcdef"


ENTRANT = Entrant("m", Settings())


@pytest.fixture
def kept(tmp_path):
    with Predictions(tmp_path / "p.jsonl") as kept:
        yield kept


def keep(kept, cell, probability, label="inconclusive", reasons=()):
    """Let the model say something of each clip: functions of the clip's number."""
    for i, clip in enumerate(CLIPS):
        job, said = Job("made up", clip, cell), probability(i)
        row = {
            "path": clip.truth.name, "sha256": clip.sha256, "status": "ok" if said is not None else "no_face",
            "label": None if said is None else label(i) if callable(label) else label, "fake_probability": said,
            "reasons": list(reasons), "frames": [], "models": [{"sha256": "f" * 64}, {"sha256": "0" * 64}],
            "settings": {}, "elapsed_seconds": 1.0,
        }  # fmt: skip
        kept.add(job.key(ENTRANT), "m", "made up", clip.truth.name, cell, row)


def told(i):
    return (0.7 if i % 2 else 0.3) + 0.01 * i


def test_the_drop_is_that_of_the_same_clips(kept):
    cells = chosen_cells(["blur 1", "blur 2", "av1"])
    keep(kept, "as it is", told, lambda i: "fake" if i % 2 else "real")
    keep(kept, "blur 1", told, lambda i: "fake" if i % 2 else "real")
    keep(
        kept,
        "blur 2",
        lambda i: None if i == 3 else told(i) - (0.5 if i == 1 else 0),
        lambda i: "real" if i == 1 else "fake",
    )
    keep(kept, "av1 1", lambda i: 0.5)
    same, worse, blind = robustness([ENTRANT], [DATASET], cells, kept, repeats=50)
    assert (same.drop.value, same.changed, same.reversed, same.lost, same.met) == (0.0, 0, 0, 0, True)
    assert (worse.answered, worse.lost, worse.clips) == (11, 1, 12)
    answered = [i for i in range(12) if i != 3]
    labels = [i % 2 for i in answered]
    after = [told(i) - (0.5 if i == 1 else 0) for i in answered]
    assert worse.auc.value == pytest.approx(metrics.roc_auc(labels, after))
    assert worse.drop.value == pytest.approx(1 - worse.auc.value)
    assert worse.drop.low <= worse.drop.value <= worse.drop.high
    assert (worse.goal, worse.met) == (0.02, False)
    assert (worse.changed, worse.reversed) == (7, 7)  # six reals called fake, one fake called real
    assert (blind.auc.value, blind.drop.value, blind.goal, blind.met) == (0.5, 0.5, None, None)
    assert (blind.changed, blind.reversed) == (12, 0)


def test_its_tables_and_curves(kept, tmp_path):
    cells = chosen_cells(["blur"])
    for cell in ("as it is", *(f"blur {level}" for level in range(1, 6))):
        keep(kept, cell, told)
    extra = extra_of(robustness([ENTRANT], [DATASET], cells, kept, repeats=5), cells)
    (table,) = extra.tables
    assert [row[0] for row in table.rows] == [f"blur {level}" for level in range(1, 6)]
    assert table.rows[0][2].startswith("+0.000 [")
    assert table.rows[0][3] == "0.01 met"
    (curve,) = extra.curves
    assert (curve.title, curve.levels) == ("blur, made up", ("0", "1", "2", "3", "4", "5"))
    assert curve.lines[0].points == tuple((level, 1.0) for level in range(6))
    write_outputs([], tmp_path, extra)
    page = (tmp_path / "index.html").read_text()
    assert page.count("<polyline") == 1
    assert "Robustness of m on made up" in page
    assert "m,made up,blur 1,,video,drop,0.0" in (tmp_path / "bench.csv").read_text()


def test_relations_are_held_to_their_tolerance(kept):
    keep(kept, "as it is", told)
    for name in RELATIONS:
        keep(kept, name, told)
    keep(kept, "mirrored", lambda i: told(i) + (0.031 if i == 2 else 0.029))
    keep(kept, "renamed", lambda i: told(i) + (1e-6 if i == 4 else 0))
    keep(kept, "added sound", lambda i: None if i == 5 else told(i))
    keep(kept, "moved moov", lambda i: None, reasons=[f"{NO_COPY}: it is no MP4"])
    found = {result.relation: result for result in metamorphic([ENTRANT], [DATASET], kept)}
    assert list(found) == list(RELATIONS)
    assert {name: result.broken for name, result in found.items() if result.broken} == {
        "mirrored": ("2.mp4",), "renamed": ("4.mp4",), "added sound": ("5.mp4",),
    }  # fmt: skip
    assert found["mirrored"].worst == pytest.approx(0.031)
    assert (found["moved moov"].tried, found["moved moov"].not_possible, found["moved moov"].worst) == (0, 12, None)
    assert (found["crf 18"].tried, found["crf 18"].worst, found["added sound"].other_words) == (12, 0.0, 1)
    (table,) = extra_of_relations(list(found.values())).tables
    assert table.rows[0][2:] == ("renamed", "same number", "0.000001", "12", "1 4.mp4", "0", "0")
