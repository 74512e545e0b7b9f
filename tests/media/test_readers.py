"""A reader that a file breaks, or that talks too much, says nothing; the others are heard."""

from unmask.media.readers import MAX_NOTE_BYTES, find_reader, reader_name, run_readers


def says(opened):
    return {"of": opened}


def breaks(opened):
    raise ValueError(opened)


def says_as_much_as_it_may(_):
    return "x" * (MAX_NOTE_BYTES - 2)


def says_too_much(_):
    return "x" * (MAX_NOTE_BYTES - 1)


def says_what_is_no_json(opened):
    return {opened}


def test_one_that_fails_costs_no_other():
    names = [reader_name(one) for one in (breaks, says_too_much, says_what_is_no_json, says_as_much_as_it_may, says)]
    names.insert(0, "no.such.module:says")
    assert find_reader(names[-1]) is says
    assert run_readers(names, 5) == {names[-2]: "x" * (MAX_NOTE_BYTES - 2), names[-1]: {"of": 5}}
