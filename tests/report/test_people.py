import csv
import io

from unmask.report.people import COLUMNS, PEOPLE, reason_for, write_people


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_person_and_for_each_video_without(scanner, clips, tmp_path):
    rows = [(path.name, scanner.scan(path).to_dict()) for path in (*clips.values(), tmp_path / "missing.mp4")]
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
    row = {
        "reasons": ["Person 12 looks manipulated.", "Person 1 looks odd."],
        "warnings": ["About person 2: too brief."],
    }
    assert [reason_for(row, person) for person in (1, 2, 3, 12)] == [
        "Person 1 looks odd.", "About person 2: too brief.", "Person 12 looks manipulated.",
        "Person 12 looks manipulated.",
    ]  # fmt: skip
    assert reason_for({"reasons": [], "warnings": []}, 1) == ""


def test_hostile_names_stay_cells(tmp_path):
    row = {"sha256": None, "label": None, "status": "no_face", "faces": [], "reasons": ["=1+1"], "warnings": []}
    stream = io.BytesIO()
    write_people([("=cmd|x.mp4", row), ('a\r,".mp4', row)], stream)
    cells = list(csv.DictReader(io.StringIO(stream.getvalue().decode(), newline="")))
    assert [(line["filename"], line["reason"]) for line in cells] == [("'=cmd|x.mp4", "'=1+1"), ('a\r,".mp4', "'=1+1")]
