"""Who is in which file, with vectors that are made up."""

import csv
import io
import json

import numpy as np
import pytest

from unmask.errors import UsageError
from unmask.identities.gather import FilePeople, SeenPerson, mean_vector
from unmask.identities.outputs import (
    JSON,
    MAX_OF_ONE,
    SHEET,
    TABLE,
    comparison_text,
    people_row,
    write_people_table,
    write_sheet,
)
from unmask.identities.people import Known, compare_files, group_people, list_files, passed_over, read_known
from unmask.models.embedder import EmbedderCard
from unmask.report.json import write_json
from unmask.types import CropSpec, Span

CARD = EmbedderCard("embedder", "toy", "1", "none", CropSpec(32), {}, same_below=0.1, different_above=0.3)
SETTINGS = {
    "embedder": "toy", "version": "1", "frames": 16, "min_side_px": 40, "same_below": 0.1, "different_above": 0.3,
}  # fmt: skip


def direction(degrees):
    angle = np.deg2rad(degrees)
    return np.array([np.cos(angle), np.sin(angle)])


def seen(degrees, person=1, spans=((0.0, 2.0), (5.0, 7.5))):
    whole = tuple(Span(start, end, 3) for start, end in spans)
    return SeenPerson(person, whole, 6, 120.0, b"jpeg", direction(degrees))


def file(name, *degrees, status="ok", reason=""):
    return FilePeople(name, name, status, reason, tuple(seen(each, i) for i, each in enumerate(degrees, 1)))


NOBODY = file("c.jpg", status="no_face", reason="No face.")
FILES = (file("a.mp4", 0, 90), file("b.mp4", 5), NOBODY, file("=d.mp4", 8, 4))


def where(people):
    return [[(each.file.name, each.seen.person) for each in person.appearances] for person in people]


def test_people_are_found_again_and_two_of_one_file_stay_two():
    people = group_people(FILES, CARD)
    assert [person.person for person in people] == [1, 2, 3]
    assert sorted(where(people), key=len, reverse=True) == where(people), "who is in most files comes first"
    assert where(people)[0] == [("a.mp4", 1), ("b.mp4", 1), ("=d.mp4", 2)]
    assert sorted(where(people)[1:]) == [[("=d.mp4", 1)], [("a.mp4", 2)]]
    assert group_people((NOBODY,), CARD) == ()


def test_a_name_is_given_is_doubted_or_is_not_there():
    known = (Known("Ada", direction(2)), Known("Ben", direction(60)))
    matches = {where((each,))[0][0]: each.match for each in group_people(FILES, CARD, known)}
    assert (matches["a.mp4", 1].name, matches["a.mp4", 1].likeness) == ("Ada", "same")
    assert (matches["a.mp4", 2].name, matches["a.mp4", 2].likeness) == ("Ben", "inconclusive")
    assert group_people([file("e.mp4", 180)], CARD, known)[0].match is None


def test_two_files_are_compared_by_their_nearest_people():
    one, other = file("one.mp4", 0, 120), file("two.jpg", 122)
    found = compare_files(one, other, CARD)
    assert (found.likeness, found.one.person, found.other.person) == ("same", 2, 1)
    text = comparison_text(found, one, other, SETTINGS)
    assert text.startswith("the same person: the distance 0.001 is at most 0.1 (one.mp4 shows 2 people")
    doubtful = compare_files(file("a", 0), file("b", 35), CARD)
    assert "cannot tell: the distance 0.181 lies between 0.1 and 0.3" in comparison_text(doubtful, one, other, SETTINGS)
    assert compare_files(file("a", 0), file("b", 90), CARD).likeness == "different"
    assert comparison_text(None, one, NOBODY, SETTINGS) == "nothing to compare: c.jpg: No face."


def test_the_table_has_a_row_for_each_span_and_no_formula(tmp_path):
    stream = io.BytesIO()
    write_people_table(group_people(FILES, CARD, [Known("Ada", direction(4))]), stream)
    rows = list(csv.DictReader(io.StringIO(stream.getvalue().decode())))
    assert len(rows) == 10
    assert {row["filename"] for row in rows} == {"a.mp4", "b.mp4", "'=d.mp4"}
    assert (rows[0]["name"], rows[0]["start_seconds"], rows[1]["end_seconds"]) == ("Ada", "0.0", "7.5")
    picture = FilePeople("p.jpg", "p.jpg", "ok", "", (seen(0, spans=()),))
    write_people_table(group_people([picture], CARD), tmp_path / "people.csv")
    assert "p.jpg,1,,,6,120.0" in (tmp_path / "people.csv").read_text()
    assert TABLE.is_own(tmp_path / "people.csv")


def test_json_and_sheet_are_whole_and_recognised(tmp_path):
    hostile = file("<script>\udcff.mp4", 200)
    files = (*FILES, hostile)
    people = group_people(files, CARD, [Known("<b>Ada", direction(4))])
    write_json(people_row(people, files, SETTINGS), tmp_path / "people.json")
    row = json.loads((tmp_path / "people.json").read_text())
    assert row["people"][0]["match"] == {"name": "<b>Ada", "distance": pytest.approx(0, abs=0.01), "likeness": "same"}
    assert row["people"][0]["appearances"][0]["spans"][1] == {"start_seconds": 5.0, "end_seconds": 7.5, "frames": 3}
    assert [each["people"] for each in row["files"]] == [2, 1, 0, 2, 1]
    assert "vector" not in json.dumps(row)
    write_sheet(people, files, SETTINGS, tmp_path / "people.html")
    page = (tmp_path / "people.html").read_text()
    assert "<script" not in page
    assert "&lt;b&gt;Ada" in page
    assert "0 s to 2 s and 5 s to 7.5 s" in page
    assert "No face." in page
    assert JSON.is_own(tmp_path / "people.json")
    assert SHEET.is_own(tmp_path / "people.html")


def test_a_sheet_says_how_many_portraits_it_leaves_out(tmp_path):
    files = [file(f"{number}.mp4", 0) for number in range(MAX_OF_ONE + 3)]
    write_sheet(group_people(files, CARD), files, SETTINGS, tmp_path / "people.html")
    page = (tmp_path / "people.html").read_text()
    assert page.count("<img") == MAX_OF_ONE
    assert "3 more, in the table" in page


def test_clips_and_pictures_of_a_folder_are_listed_and_links_are_not_followed(tmp_path):
    (tmp_path / "inner").mkdir()
    for name in ("b.mp4", "a.jpg", "notes.txt", ".hidden.mp4", "inner/c.mkv"):
        (tmp_path / name).touch()
    assert [item.name for item in list_files([str(tmp_path)])] == ["a.jpg", "b.mp4"]
    assert [item.name for item in list_files([str(tmp_path)], recursive=True)] == ["a.jpg", "b.mp4", "inner/c.mkv"]
    assert all(item.below == str(tmp_path) for item in list_files([str(tmp_path)]))
    (tmp_path / "sound.mp3").write_bytes(b"")
    assert passed_over([str(tmp_path)]).startswith("1 sound file")
    assert passed_over([str(tmp_path / "a.jpg")]) is None
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no clip and no picture"):
        list_files([str(tmp_path / "empty")])


def test_named_pictures_and_what_is_wrong_with_them(tmp_path):
    (tmp_path / "Ada").mkdir()
    for name in ("Ada/1.jpg", "Ada/2.jpg", "Ben.png", "Two.jpg", "Nobody.jpg", "Broken.jpg"):
        (tmp_path / name).touch()
    shows = {
        "Ada/1.jpg": file("x", 0), "Ada/2.jpg": file("x", 10), "Ben.png": file("x", 90), "Two.jpg": file("x", 0, 90),
        "Nobody.jpg": file("x", status="no_face", reason="No face of 40 pixels or more was found."),
        "Broken.jpg": file("x", status="unreadable", reason="this is no picture"),
    }  # fmt: skip
    told = []
    known = read_known(str(tmp_path), lambda item: shows[item.name], told.append)
    assert {face.name for face in known} == {"Ada", "Ben"}
    (ada,) = (face for face in known if face.name == "Ada")
    np.testing.assert_allclose(ada.vector_C, direction(5), atol=1e-9)
    assert sorted(text.removeprefix(str(tmp_path) + "/") for text in told) == [
        "Broken.jpg is of no use for Broken: this is no picture",
        "Nobody.jpg is of no use for Nobody: No face of 40 pixels or more was found.",
        "Two.jpg shows 2 faces, so it does not tell which is Two's; cut out one",
    ]
    with pytest.raises(UsageError, match="nobody to look for"):
        read_known(str(tmp_path), lambda item: shows["Two.jpg"])
    with pytest.raises(UsageError, match="no folder"):
        read_known(str(tmp_path / "none"), lambda item: shows["Ben.png"])


def test_the_mean_of_vectors_has_length_one():
    np.testing.assert_allclose(mean_vector([3 * direction(0), direction(90)]), direction(45))
