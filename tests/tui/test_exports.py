"""Lists as files: every column, whatever the texts in it hold."""

import csv
import io
import json

import pytest
from foretell_tui.exports import as_text
from foretell_tui.look import Look
from hypothesis import given
from hypothesis import strategies as st
from watching import framed

NAMES = ("chunks", "failures", "workers", "log")


def read(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("name", NAMES)
def test_a_list_is_saved_whole(runs, name):
    deck, _ = framed(runs["running"].objects, name, 120, 36, Look())
    records = deck.panes[name].records()
    assert len(records) == deck.panes[name].count() > 0
    assert json.loads(as_text(records, "json")) == json.loads(json.dumps(records))
    rows = read(as_text(records, "csv"))
    assert len(rows) == len(records)
    assert list(rows[0]) == list(records[0])


def test_what_is_saved_is_what_is_listed(runs):
    deck, _ = framed(runs["running"].objects, "failures", 120, 36)
    rows = read(as_text(deck.panes["failures"].records(), "csv"))
    assert [(row["kind"], row["count"], row["chunks"]) for row in rows] == [
        ("RuntimeError", "3", "30 31 32"),
        ("FileNotFoundError", "1", "912"),
    ]
    assert "Traceback" in rows[0]["traceback"]


def test_nothing_to_list_is_an_empty_file():
    assert as_text([], "csv") == ""
    assert json.loads(as_text([], "json")) == []


@given(st.text(max_size=40))
def test_no_cell_is_a_formula_or_an_escape(text):
    (row,) = read(as_text([{"a": text, "b": 1}], "csv"))
    assert not row["a"].startswith(("=", "+", "-", "@"))
    assert "\x1b" not in row["a"]
    assert row["b"] == "1"
