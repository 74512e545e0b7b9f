import json
import pickle

import pytest

from unmask import Verdict
from unmask.sentences import Sentence, coded


def verdict(*reasons, status="no_face"):
    return Verdict("clip.mp4", status, None, None, reasons=reasons)


def test_a_sentence_is_text_that_knows_its_code():
    told = coded("damaged", "Only 1 of 4.", decoded=1, asked=4)
    assert told == "Only 1 of 4."
    again = pickle.loads(pickle.dumps(told))
    assert (type(again), again.code, again.values) == (Sentence, "damaged", {"decoded": 1, "asked": 4})


def test_codes_stand_in_the_json_and_come_back():
    first = verdict(coded("no_face", "No face.", frames=3, share=0.12345678), "Something else.")
    row = json.loads(json.dumps(first.to_dict(timing=True)))
    assert row["reasons"] == ["No face.", "Something else."]
    assert row["reason_codes"] == [
        {"code": "no_face", "values": {"frames": 3, "share": 0.123457}},
        {"code": "no_face", "values": {"detail": "Something else."}},
    ]
    assert Verdict.from_dict(row).to_dict(timing=True) == row


def test_the_code_of_an_error_is_the_status():
    told = verdict("the file is empty", status="unreadable").to_dict()["reason_codes"]
    assert told == [{"code": "unreadable", "values": {"detail": "the file is empty"}}]


def test_codes_that_do_not_fit_are_refused():
    row = verdict("No face.").to_dict()
    with pytest.raises(Exception, match="no verdict"):
        Verdict.from_dict(row | {"reason_codes": []})
