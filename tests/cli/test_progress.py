import io
import json
from dataclasses import replace
from unicodedata import category

import pytest
from foretell.cli.progress import words
from foretell.cli.progress.choose import choose
from foretell.cli.progress.lines import JsonProgress, QuietProgress
from foretell.cli.progress.live import LiveProgress, bar, frame
from foretell.cli.progress.plain import MOST_LINES, PlainProgress
from foretell.cli.render import Messages
from foretell.cli.session import Session
from foretell.store.head import Rates
from hypothesis import given, settings
from hypothesis import strategies as st


def at(make_head, percent, seconds, **changes):
    totals = {"rows_done": percent * 10, "done": percent // 10, **changes.pop("totals", {})}
    return make_head(time=1000.0 + seconds, totals=totals, **changes)


def plain(*heads, notes=()):
    lines: list[str] = []
    sink = PlainProgress(
        lines.append, lambda level, text: lines.append(f"{level}: {text}"), "r.zarr", "sdk status r"
    )
    for item in heads:
        sink.head(item)
    for level, text in notes:
        sink.note(level, text)
    return lines


def test_a_line_every_ten_percent_or_sixty_seconds_whichever_is_later(make_head):
    heads = [
        at(make_head, 0, 0),
        at(make_head, 30, 10),
        at(make_head, 35, 59),
        at(make_head, 36, 60),
        at(make_head, 45, 200),
        at(make_head, 46, 201),
        at(make_head, 60, 230),
    ]
    assert plain(*heads)[2:] == [
        "360 of 1,000 rows (36.0 %)",
        "460 of 1,000 rows (46.0 %)",
    ]


def test_the_start_says_what_and_how_to_watch(make_head):
    first = make_head(resumed_chunks=4, totals={"rows_done": 400, "done": 4})
    assert plain(first) == [
        "running r.zarr   1,000 rows in 10 chunks   4 chunks done before",
        "watch it with: sdk status r",
    ]


def test_rates_and_the_end_as_a_range(make_head):
    rates = Rates(rows_per_second=18400.4, eta_low=20460, eta_high=22800)
    lines = plain(at(make_head, 0, 0), at(make_head, 20, 61, rates=rates))
    assert lines[-1] == "200 of 1,000 rows (20.0 %)   18,400 rows/s   ETA 5h 41m - 6h 20m"
    same = replace(rates, eta_low=10.1, eta_high=10.2)
    lines = plain(at(make_head, 0, 0), at(make_head, 20, 61, rates=same))
    assert lines[-1].endswith("ETA 10 s")


def test_each_new_kind_of_failure_is_told_once(make_head):
    one = {"failure_kinds": {"ValueError": 1}, "totals": {"rows_quarantined": 1}}
    two = {"failure_kinds": {"ValueError": 5, "timeout": 1}, "totals": {"rows_quarantined": 6}}
    heads = [
        at(make_head, 0, 0),
        at(make_head, 1, 1, **one),
        at(make_head, 2, 2, **one),
        at(make_head, 3, 3, **two),
    ]
    assert plain(*heads)[2:] == [
        "new kind of failure: ValueError      sdk failures r.zarr",
        "new kind of failure: timeout      sdk failures r.zarr",
    ]


def test_a_kind_of_failure_that_a_message_has_named_is_not_told_again(make_head):
    said: list[str] = []
    progress = PlainProgress(said.append, lambda level, text: said.append(text), "r.zarr", "w")
    progress.head(at(make_head, 0, 0))
    progress.note("WARN", "chunk 3: ValueError: bad row")
    progress.head(at(make_head, 1, 1, failure_kinds={"ValueError": 1, "timeout": 1}))
    assert said[2:] == [
        "chunk 3: ValueError: bad row",
        "new kind of failure: timeout      sdk failures r.zarr",
    ]


def test_kinds_are_counted_only_where_they_add_up(make_head):
    after_retry = at(
        make_head, 99, 100, failure_kinds={"ValueError": 2}, totals={"rows_quarantined": 1}
    )
    assert words.failed(after_retry) == "1 rows failed (ValueError)"


def test_the_summary(make_head):
    last = at(
        make_head,
        99,
        100,
        state="partial",
        session_rows=900,
        resumed_chunks=1,
        failure_kinds={"ValueError": 10},
        reason="10 of 1,000 rows have no prediction",
        totals={"rows_quarantined": 10, "rows_nan": 2},
    )
    assert plain(at(make_head, 10, 0), last, last)[2:] == [
        "new kind of failure: ValueError      sdk failures r.zarr",
        "partial r.zarr   990 of 1,000 rows (99.0 %)   in 1m 40s   9 rows/s",
        "  this session 900 rows; 1 chunk done before",
        "  10 rows failed (ValueError 10)",
        "  2 rows hold a NaN or an infinity",
        "  10 of 1,000 rows have no prediction",
        "  sdk failures r.zarr      says which and why",
    ]


def test_an_interrupted_run_says_how_to_go_on(make_head):
    last = at(make_head, 50, 10, state="interrupted")
    assert plain(at(make_head, 0, 0), last)[-1] == "  sdk resume r.zarr      continues"


def test_no_rows_are_all_rows(make_head):
    last = make_head(state="done", totals={"rows": 0, "chunks": 0})
    assert "done r.zarr   0 of 0 rows (100.0 %)   in 0 s" in plain(last)


def test_percent_is_never_rounded_up_to_all(make_head):
    lines = plain(
        at(make_head, 0, 0), make_head(time=1100.0, totals={"rows": 10**6, "rows_done": 10**6 - 1})
    )
    assert lines[-1] == "999,999 of 1,000,000 rows (99.9 %)"


def test_the_same_message_is_told_once(make_head):
    notes = [("WARN", "slow disk"), ("WARN", "slow disk"), ("INFO", "waiting")]
    assert plain(at(make_head, 0, 0), notes=notes)[2:] == ["WARN: slow disk", "INFO: waiting"]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["head", "note"]), st.integers(0, 100), st.integers(0, 500), st.integers()
    ),
    max_size=60,
)


@settings(max_examples=60)
@given(EVENTS, st.booleans())
def test_no_run_gets_more_than_the_bound(make_head, events, ends):
    lines: list[str] = []
    sink = PlainProgress(lines.append, lambda level, text: lines.append(text), "r", "w")
    json_lines: list[str] = []
    other = JsonProgress(json_lines.append, "r")
    now = 0
    for repeat in range(10):
        for what, percent, seconds, seed in events:
            now += seconds
            if what == "head":
                kinds = {f"kind {seed} {repeat} {n}": 1 for n in range(5)}
                item = at(make_head, percent, now, failure_kinds=kinds)
                sink.head(item)
                other.head(item)
            else:
                sink.note("WARN", f"note {seed} {repeat} {now}\nwith a second line")
                other.note("WARN", f"note {seed} {repeat} {now}")
    if ends:
        last = at(make_head, 100, now, state="done")
        sink.head(last)
        other.head(last)
        assert any(line.startswith("done r") for line in lines)
        assert json.loads(json_lines[-1])["event"] == "end"
    assert sum(line.count("\n") + 1 for line in lines) <= MOST_LINES
    assert len(json_lines) <= MOST_LINES


def test_json_lines_carry_the_head(make_head):
    lines: list[str] = []
    sink = JsonProgress(lines.append, "r.zarr")
    sink.head(make_head(rates=Rates(rows_per_second=float("nan"))))
    sink.note("WARN", "x")
    first, second = map(json.loads, lines)
    assert (first["event"], first["run"]) == ("start", "r.zarr")
    assert first["head"]["rates"]["rows_per_second"] is None
    assert second == {"event": "note", "run": "r.zarr", "level": "WARN", "text": "x"}


def test_quiet_tells_errors_only(make_head):
    told = []
    sink = QuietProgress(lambda level, text: told.append(text))
    sink.head(make_head())
    sink.note("WARN", "a")
    sink.note("ERROR", "b")
    assert told == ["b"]


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0, "──────────"),
        (0.5, "━━━━━─────"),
        (0.55, "━━━━━╸────"),
        (1, "━━━━━━━━━━"),
        (9, "━" * 10),
    ],
)
def test_the_bar(share, shown):
    assert bar(share, 10) == shown
    assert len(bar(share, 10, ascii_only=True)) == 10
    assert bar(share, 10, ascii_only=True).isascii()


def test_the_live_block(make_head):
    rates = Rates(rows_per_second=184.0, eta_low=30, eta_high=45)
    item = at(make_head, 62, 30, rates=rates, message="waiting for room", totals={"running": 2})
    lines = frame(item, "r.zarr", "sdk watch r.zarr", 79)
    assert lines == [
        "running: waiting for room   r.zarr",
        "━━━━━━━━━━━━━━━━━━━━━━━━───────────────  620 of 1,000 rows (62.0 %)",
        "184 rows/s   ETA 30 s - 45 s   2 chunks in hand",
        "no failures",
        "watch it with: sdk watch r.zarr",
    ]


@given(st.text(st.characters(codec=None), max_size=80), st.integers(20, 200))
def test_the_live_block_fits_and_is_harmless(make_head, text, width):
    item = make_head(message=text, failure_kinds={text or "x": 1}, totals={"rows_failed": 1})
    for line in frame(item, text, text, width):
        assert len(line) <= width
        assert not any(category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in line)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def test_the_live_block_on_a_terminal(make_head, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal()
    messages = Messages(stream)
    sink = LiveProgress(messages, "r.zarr", "sdk status r.zarr")
    sink.head(at(make_head, 10, 1, failure_kinds={"[bold]x\x1b[2J": 1}, totals={"rows_failed": 1}))
    sink.note("WARN", "[red]disk\x07 nearly full")
    sink.head(at(make_head, 100, 9, state="done"))
    shown = stream.getvalue()
    assert "100 of 1,000 rows" in shown
    assert r"[bold]x\x1b[2J" in shown
    assert r"warning: [red]disk\x07 nearly full" in shown
    assert "\x07" not in shown
    assert "done r.zarr   1,000 of 1,000 rows (100.0 %)   in 9 s" in shown
    assert messages.above is None


def test_an_error_amid_the_block_takes_it_off_the_screen(make_head, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    messages = Messages(Terminal())
    sink = LiveProgress(messages, "r.zarr", "w")
    sink.head(at(make_head, 10, 1))
    sink.close()
    sink.close()
    assert messages.above is None


@pytest.mark.parametrize(
    ("stream", "mode", "quiet", "ci", "kind"),
    [
        (Terminal, "auto", False, "", "LiveProgress"),
        (Terminal, "auto", False, "true", "PlainProgress"),
        (io.StringIO, "auto", False, "", "PlainProgress"),
        (io.StringIO, "live", False, "", "LiveProgress"),
        (Terminal, "plain", False, "", "PlainProgress"),
        (Terminal, "json", False, "", "JsonProgress"),
        (Terminal, "quiet", False, "", "QuietProgress"),
        (Terminal, "auto", True, "", "QuietProgress"),
    ],
)
def test_which_way_is_chosen(monkeypatch, stream, mode, quiet, ci, kind):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("CI", ci)
    messages = Messages(stream())
    messages.quiet = quiet
    chosen = choose(Session(messages=messages, progress=mode), "r.zarr")
    assert type(chosen).__name__ == kind
