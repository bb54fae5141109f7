"""Whole frames as text: they fill the terminal exactly, at every size, on every screen."""

import re

import pytest
from foretell_tui.deck import INLINE_LINES
from foretell_tui.keys import SCREEN_NAMES
from foretell_tui.line import plain, width_of
from foretell_tui.look import Look
from foretell_tui.screens import arrange
from foretell_tui.state import reduce
from hypothesis import given
from hypothesis import strategies as st
from watching import NAMES, deck_of, framed, reader_of, view_of

SIZES = [(80, 24), (120, 36), (160, 50), (60, 15), (40, 5), (250, 80), (100, 30)]
LOOKS = [Look(), Look(colour=False), Look(ascii=True), Look(ascii=True, colour=False)]
ON_SCREEN = [*SCREEN_NAMES, "help"]


@given(st.integers(1, 260), st.integers(1, 90), st.sampled_from(ON_SCREEN))
def test_panes_fill_the_terminal_and_do_not_overlap(width, height, screen):
    taken: dict[tuple[int, int], str] = {}
    for place in arrange(screen, width, height):
        for y in range(place.y, place.y + place.height):
            for x in range(place.x, place.x + place.width):
                assert (x, y) not in taken, (place, taken[x, y])
                taken[x, y] = place.pane
    assert len(taken) == width * height


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("screen", ON_SCREEN)
def test_every_line_is_as_wide_as_the_terminal(runs, screen, look):
    for width, height in SIZES:
        _, lines = framed(runs["running"].objects, screen, width, height, look)
        assert len(lines) == height
        assert {width_of(plain(line)) for line in lines} == {width}
        if look.ascii:
            assert all(plain(line).isascii() for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_every_run_has_a_frame_on_every_screen(runs, name):
    for screen in ON_SCREEN:
        _, lines = framed(runs[name].objects, screen, 80, 24, Look(colour=False))
        text = "\n".join(map(plain, lines))
        assert "Traceback (most" not in text or screen == "failures"


def test_the_overview_tells_the_story_at_80_by_24(runs):
    _, lines = framed(runs["running"].objects, "overview", 80, 24, Look(ascii=True, colour=False))
    text = "\n".join(map(plain, lines))
    assert "* RUNNING" in text
    assert "done 1,238" in text
    assert "fail 4" in text
    assert "of 2,000 chunks" in text
    assert "ETA 5h41 - 6h20" in text
    assert re.search(r"3x RuntimeError CUDA out.*30\.\.32", text)
    assert "w02 gn13" in text
    assert "memory near its limit" in text


def test_a_failed_chunk_of_a_million_is_on_the_map(runs):
    for width, height in ((80, 24), (120, 36), (160, 50)):
        deck, lines = framed(
            runs["big"].objects, "overview", width, height, Look(ascii=True, colour=False)
        )
        inside = [plain(line)[2:] for line in deck.panes["map"].paint(60, 12)[1:-3]]
        assert sum(line.count("x") for line in inside) == 1
        assert any("x" in plain(line) for line in lines)


@pytest.mark.parametrize("room", [(80, 24), (120, 36)])
def test_n_reaches_the_failure_at_every_zoom(runs, room):
    deck, _ = framed(
        runs["big"].objects, "chunks", room[0], room[1], Look(ascii=True, colour=False)
    )
    chunk_map = deck.panes["map"]
    for level in range(1, 5):
        deck.desk.chunk = 0
        chunk_map.do("next_hit")
        assert deck.desk.chunk == 38_204
        deck.paint()
        assert any("x" in plain(line) for line in deck.panes["map"].paint(70, 14)[1:-3])
        assert chunk_map.path[-1].level == min(level, chunk_map.path[-1].levels)
        chunk_map.do("zoom_in")
    assert "1 cell = 1 chunk" in chunk_map.title


def test_the_map_keeps_up_with_readings_that_were_not_drawn(tmp_path, clock):
    from synthetic_runs import make_run

    run = make_run(tmp_path / "r", 500)
    run.write_head()
    reader = reader_of(run.objects, clock)
    view = reduce(None, reader.look())
    view = reduce(view, reader.look())
    deck = deck_of(view, Look(ascii=True, colour=False))
    deck.frame(80, 24)
    for step in range(5):
        run.done(range(step * 60, step * 60 + 60))
        run.write_head()
        view = reduce(view, reader.look())
        deck.desk.take(view)
        if step % 2:
            deck.frame(80, 24)
    fresh = deck_of(view, Look(ascii=True, colour=False))
    lines = list(map(plain, deck.frame(80, 24)))
    assert lines == list(map(plain, fresh.frame(80, 24)))


def test_few_chunks_have_a_line_each(runs):
    _, lines = framed(runs["ten"].objects, "overview", 120, 36, Look(ascii=True, colour=False))
    text = "\n".join(map(plain, lines))
    assert re.search(r"4  x failed\s+rows 400\.\.499", text)
    assert re.search(r"5  > running\s+rows 500\.\.599\s+w00 attempt 1 model 2\.5 s", text)


@pytest.mark.parametrize(
    ("name", "screen", "said"),
    [
        ("planned", "overview", "sdk resume"),
        ("fresh", "timeline", "bars come with the first chunk"),
        ("done", "failures", "Nothing failed in this run"),
        ("empty", "overview", "nothing to predict"),
        ("lost", "overview", "next: sdk resume"),
        ("interrupted", "overview", "next: sdk resume"),
        ("partial", "overview", "next: sdk failures"),
        ("done", "overview", "next: sdk show"),
    ],
)
def test_empty_screens_say_what_to_do(runs, name, screen, said):
    _, lines = framed(runs[name].objects, screen, 120, 36)
    assert said in "\n".join(map(plain, lines))


def test_the_lines_under_the_prompt(runs):
    deck = deck_of(view_of(runs["running"].objects), Look(ascii=True))
    deck.inline = True
    lines = list(map(plain, deck.frame(80, INLINE_LINES)))
    assert "RUNNING" in lines[0]
    assert "%" in lines[1]
    assert "ETA" in lines[3]


def test_the_job_of_a_cluster_is_beside_its_worker(tmp_path):
    from synthetic_runs import make_run

    run = make_run(tmp_path / "r", 20)
    run.running(range(4))
    run.samples(w0={"job": "8150_3"})
    run.write_head()
    _, lines = framed(run.objects, "workers", 120, 36, Look(ascii=True, colour=False))
    text = "\n".join(map(plain, lines))
    assert re.search(r"id +host +job +in hand", text)
    assert re.search(r"w00 +gn12 +8150_3 +0 model", text)
    assert "SLURM job 8150_3" in text


def test_failures_are_counted_at_the_worker_that_had_them(runs):
    deck, _ = framed(runs["running"].objects, "workers", 120, 36)
    failed = {row["worker"]: row["failed"] for row in deck.panes["workers"].records()}
    assert {name: count for name, count in failed.items() if count} == {
        "w14": 1, "w15": 1, "w00": 2,
    }  # fmt: skip


def test_filters_and_sorting_of_chunks(runs):
    from foretell_tui.query import BadQuery, parse
    from foretell_tui.reader import Wants

    reader = reader_of(runs["running"].objects)
    reader.look()
    reader.look()

    def listed(text):
        found = reader.derive(Wants(chunks=parse(text))).extra["chunks"]
        return found.total, [row.chunk for row in found.rows]

    assert listed("failed") == (4, [30, 31, 32, 912])
    assert listed("failed 0-100")[1] == [30, 31, 32]
    assert listed("bad !31")[1] == [30, 32, 912]
    assert listed("w03 !done")[0] == 0
    assert listed("running")[0] == 16
    slowest = listed("done slowest")[1]
    assert slowest[0] == 89
    assert listed(">3.62s")[0] > 0
    with pytest.raises(BadQuery, match="no filter"):
        parse("nonsense")


def test_the_time_cursor_tells_how_far_the_run_was_then(runs):
    deck, _ = framed(runs["done"].objects, "timeline", 120, 24, Look(ascii=True))
    timeline = deck.panes["timeline"]
    timeline.do("end")
    assert "2,000 of 2,000 chunks done" in "\n".join(map(plain, deck.paint()))
    counts = deck.desk.view.reading.extra["stream"].done_by.tolist()
    assert counts == sorted(counts)
    timeline.do("home")
    assert f"{counts[0]:,} of 2,000 chunks done" in "\n".join(map(plain, deck.paint()))
    timeline.do("zoom_in")
    start, stop, columns = timeline.wanted
    assert stop - start < 0.5 * (deck.desk.view.reading.extra["stream"].last - start + 1)
    assert columns == 120 - 4 - 5
