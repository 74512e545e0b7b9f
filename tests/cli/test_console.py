import errno
import os
from collections import Counter

import pytest

from unmask.cli.console import ExitCode, byte_progress, exit_code, printable, progress, say, tally, wrong_use
from unmask.errors import UsageError


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ({"ok": 3}, ExitCode.ALL_OK),
        ({"ok": 2, "ok_partial": 1}, ExitCode.ALL_OK),
        ({}, ExitCode.ALL_OK),
        ({"ok": 3, "no_face": 1}, ExitCode.SOME_NOT_OK),
        ({"ok": 1, "no_face": 1, "timeout": 1}, ExitCode.SOME_NOT_OK),
        ({"ok": 1, "no_face": 2}, ExitCode.NONE_OK),  # one failure hit over half
        ({"no_face": 1, "timeout": 1}, ExitCode.NONE_OK),
    ],
)
def test_the_exit_code_tells_how_much_went_wrong(statuses, code):
    assert exit_code(Counter(statuses)) == code


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (UsageError("a sentence"), "unmask: a sentence\n"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "; the disk is full: make room, or name another place\n"),
        (OSError("anything else"), "unmask: anything else\n"),
    ],
)
def test_wrong_use_is_a_sentence_and_code_2(capsys, error, sentence):
    with pytest.raises(SystemExit) as left, wrong_use():
        raise error
    assert left.value.code == ExitCode.WRONG_USE
    assert capsys.readouterr().err.endswith(sentence)


def test_faults_of_ours_are_not_taken_for_wrong_use():
    with pytest.raises(ZeroDivisionError), wrong_use():
        raise ZeroDivisionError


def test_names_are_one_printable_line():
    assert printable("a b.mp4") == "a b.mp4"
    assert printable("a\nb\x1b[31m\u202e\udcff.mp4") == r"a\nb\x1b[31m\u202e\xff.mp4"


def test_bars_are_for_terminals_only(capsys):
    statuses = ["ok", "no_face", "ok"]
    assert tally(iter(statuses), 3, "scanned", quiet=False) == {"ok": 2, "no_face": 1}
    assert list(progress(iter("abc"), 3, "scanned", quiet=True)) == list("abc")
    with byte_progress("fetched", quiet=False) as show:
        show(1, None)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("hidden", ["\x1b[2J", "\x9b31m", "\x1b]0;title\x07", "\r", "\u202e", "\x08" * 9, "\u2028"])
def test_what_others_say_moves_no_cursor(capsys, hidden):
    say(f"unmask: {hidden}the server answers\nand more")
    said = capsys.readouterr().err
    assert hidden not in said
    assert said.count("\n") == 2
