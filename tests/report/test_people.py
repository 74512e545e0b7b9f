import csv
import io

from unmask.report.people import COLUMNS, PEOPLE, reason_for, write_people


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_person_and_for_each_video_without(scanner, short_clips, tmp_path):
    rows = [(path.name, scanner.scan(path).to_dict()) for path in (*short_clips.values(), tmp_path / "missing.mp4")]
    write_people(rows, tmp_path / "people.csv")
    table = read(tmp_path / "people.csv")
    assert list(table[0]) == list(COLUMNS)
    assert [(row["filename"], row["verdict"], row["person"]) for row in table] == [
        ("authentic.mp4", "real", "1"), ("blended.mp4", "fake", "1"), ("missing.mp4", "unreadable", ""),
    ]  # fmt: skip
    for cells, (_, row) in zip(table[:2], rows[:2], strict=True):
        face = row["faces"][0]
        assert cells["sha256"] == row["sha256"]
        assert float(cells["fake_probability"]) == face["fake_probability"]
        assert (float(cells["start_seconds"]), float(cells["end_seconds"])) == (0, face["end_seconds"])
        assert cells["reason"] == row["reasons"][0]
        assert cells["spans"] == f"0.0-{face['end_seconds']}"
    assert "No such file" in table[2]["reason"]
    assert PEOPLE.is_own(tmp_path / "people.csv")


def test_each_person_gets_the_sentence_about_them():
    sentences = ["Person 12 looks manipulated.", "Person 1 looks odd.", "2 more people could not be judged either."]
    assert reason_for(sentences, 1, "inconclusive") == "Person 1 looks odd."
    assert reason_for(sentences, 12, "fake") == "Person 12 looks manipulated."
    assert reason_for(sentences, 2, "real") == "No trace of manipulation was found."
    assert reason_for(sentences, 3, "inconclusive", "blurred") == "Too blurred to be judged."
    assert reason_for(["All 2 people scored at most 0.09."], 2, "real") == "All 2 people scored at most 0.09."
    assert reason_for([], 1, "inconclusive") == "The score lies where this model cannot tell."


def test_hostile_names_stay_cells(tmp_path):
    row = {"sha256": None, "label": None, "status": "no_face", "faces": [], "reasons": ["=1+1"], "unjudged": []}
    stream = io.BytesIO()
    write_people([("=cmd|x.mp4", row), ('a\r,".mp4', row)], stream)
    cells = list(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert [(line["filename"], line["reason"]) for line in cells] == [("'=cmd|x.mp4", "'=1+1"), ('a\r,".mp4', "'=1+1")]
