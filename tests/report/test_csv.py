"""The challenge's table in the hands of spreadsheets."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unmask.evaluation import read_predictions
from unmask.report.csv import spreadsheet_name, spreadsheet_safe, write_csv

HOSTILE = [
    "=cmd|calc!A1.mp4",
    "+1.mp4",
    "-rf.mp4",
    "@SUM(1+1).mp4",
    "\tx.mp4",
    "\rx.mp4",
    "'=x.mp4",
    "'quoted'.mp4",
    "\n=1+1.mp4",
    " =1+1.mp4",
    "\u3000=1+1.mp4",
    "\u200b=1.mp4",
    "\uff1d1+1.mp4",
    "\uff0b1.mp4",
    "\uff0d1.mp4",
    "\uff20SUM(1).mp4",
    " \t\uff1d1.mp4",
    "\ufe621.mp4",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_cell_begins_like_a_formula(tmp_path, name):
    write_csv([(name, 0.25)], tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        (_, (cell, score)) = csv.reader(file)
    assert cell == f"'{name}"
    assert score == "0.25"


def test_evaluate_reads_the_names_that_were_meant(tmp_path):
    names = [*HOSTILE, "plain.mp4", "a,b\"c.mp4", "new\nline.mp4"]  # fmt: skip
    write_csv([(name, 0.5) for name in names], tmp_path / "s.csv")
    assert [prediction.name for prediction in read_predictions(tmp_path / "s.csv")] == names


@pytest.mark.slow
@given(st.text())
def test_every_name_survives(name):
    assert spreadsheet_name(spreadsheet_safe(name)) == name
