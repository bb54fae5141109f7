"""What each kind of result looks like, and what is warned of."""

import numpy as np
import pytest
from foretell.plugins.manager import load_plugins
from foretell.plugins.previewing import Previewer
from foretell.previews import BlockMeta, Histogram, Image, Line, Numbers, Table, Text
from foretell.previews.drawing import lines_of

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def ask():
    previewer = Previewer(load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}))

    def call(block, width=60, height=12, **meta):
        block = np.asarray(block)
        values = {"name": "y", "dtype": str(block.dtype), **meta}
        return previewer.ask(BlockMeta(**values), block, width, height)

    return call


def test_numbers_have_figures_a_histogram_and_a_line(ask):
    found = ask(np.arange(10, dtype="f4"), chunk=3, total=10)
    assert isinstance(found, Numbers)
    assert dict(found.facts) == {
        "min": "0", "mean": "4.5", "max": "9", "std": "2.872", "nan": "0.00 %", "inf": "0",
        "const": "no",
    }  # fmt: skip
    assert found.histogram is not None
    assert sum(found.histogram.counts) == 10
    assert found.line is not None
    assert found.line.values.tolist() == list(range(10))
    assert found.title == "y float32 ()   chunk 3   10 rows"
    assert found.warnings == ()


def test_a_broken_model_is_warned_of(ask):
    nan = np.ones(1000)
    nan[:10] = np.nan
    nan[10] = np.inf
    assert ask(nan).warnings == (
        "1.00 % of the values are NaN",
        "0.10 % of the values are infinite",
    )
    assert ask(np.zeros((4, 8, 8))).warnings == ("every value is 0",)
    assert ask(np.full(20_000, np.nan)).warnings == ("100.00 % of the values are NaN",)
    one = np.ones(100_000)
    one[0] = np.nan
    assert ask(one).warnings == ("< 0.01 % of the values are NaN",)
    assert ask(np.array(["", ""], dtype=object)).warnings == ("every text is empty",)


def test_other_views_of_numbers(ask):
    block = RNG.normal(size=(5, 40)).astype("f4")
    line = ask(block, view="line", index=2, dims=("time",))
    assert isinstance(line, Line)
    assert (line.label, line.span) == ("time", (0, 39))
    assert np.allclose(line.values, block[2].astype("f8"))
    assert isinstance(ask(block, view="histogram"), Histogram)
    assert isinstance(ask(block, view="image"), Image)
    assert isinstance(ask(block, view="table"), Table)
    assert isinstance(ask(block, view="text"), Text)
    assert isinstance(ask(block, view="numbers"), Numbers)


def test_rows_of_one_value_are_a_line_too(ask):
    found = ask(np.arange(6.0).reshape(6, 1))
    assert found.line is not None
    assert (found.line.label, found.line.values.tolist()) == ("row", list(range(6)))


def test_a_view_that_does_not_fit_falls_back(ask):
    words = np.array(["a", "b"], dtype=object)
    assert isinstance(ask(words, view="image"), Text)
    assert isinstance(ask(np.arange(3.0), view="image"), Numbers)


def test_labels_have_names_and_balance(ask):
    labels = np.array([0, 1, 1, 1, 9], dtype="i4")
    found = ask(labels, attrs={"class_names": ["cat", "dog", "cow"]})
    assert isinstance(found, Numbers)
    assert found.histogram is not None
    assert found.histogram.labels == ("dog", "cat", "cow")
    assert found.histogram.counts == (3, 1, 0)
    assert dict(found.facts)["never"] == "1 of 3 classes"
    assert found.warnings == ("20.00 % of the labels name no class",)
    same = ask(np.ones(8, "i4"), attrs={"class_names": ["cat", "dog"]})
    assert same.warnings == ("every row is dog",)


def test_scores_have_the_best_classes_of_a_row(ask):
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]], "f4")
    rows = np.array([40, 41])
    names = {"class_names": ["cat", "dog", "cow"]}
    found = ask(scores, attrs=names, rows=rows, index=1)
    assert dict(found.facts)["row 41"] == "cat 0.5, dog 0.25, cow 0.25"
    assert dict(found.facts)["dog"] == "1   50.00 %"
    other = ask(scores, attrs={"class_names": ["only", "two"]})
    assert isinstance(other, Numbers)
    assert other.histogram is not None
    assert other.histogram.labels == ()


def test_text_is_wrapped_numbered_and_harmless(ask):
    block = np.array(["one two three four", "\x1b[31mred\x1b[0m \u202egpj"], dtype=object)
    found = ask(block, width=16, height=20, rows=np.array([100, 101]))
    assert isinstance(found, Text)
    assert found.lines[:2] == ("100  one two", "     three four")
    assert "\x1b" not in "".join(found.lines)
    assert r"\u202e" in "".join(found.lines)
    long = ask(np.array(["x" * 10_000], dtype=object), width=80, height=500)
    assert "8,000 more" in "".join(line.strip() for line in long.lines)


def test_records_are_a_table(ask):
    rows = np.empty(2, dtype=object)
    rows[:] = [{"label": "cat", "box": [1, 2]}, {"label": "dog\n", "score": 0.5}]
    found = ask(rows, dtype="json")
    assert isinstance(found, Table)
    assert found.header == ("row", "label", "box", "score")
    assert found.rows == (("0", "cat", "[1, 2]", ""), ("1", r"dog\n", "", "0.5"))
    structured = np.array([(1, 2.5)], dtype=[("id", "i4"), ("score", "f4")])
    assert ask(structured).rows == (("0", "1", "2.5"),)


def test_embeddings_have_norms_and_a_cosine(ask):
    block = RNG.normal(size=(50, 64)).astype("f4") + 3
    found = ask(block, previous=block * 2)
    facts = dict(found.facts)
    assert isinstance(found, Numbers)
    assert facts["cosine to an earlier chunk"] == "1"
    norms = np.linalg.norm(block.astype("f8"), axis=1)
    assert facts["norm"] == f"{norms.min():.4g} to {norms.max():.4g}"
    assert found.histogram is not None
    assert sum(found.histogram.counts) == 50
    away = dict(ask(block, previous=-block).facts)
    assert away["cosine to an earlier chunk"] == "-1"
    zero = block.copy()
    zero[0] = 0
    assert ask(zero).warnings == ("2.00 % of the vectors are zero",)
    assert ask(np.tile(block[:1], (9, 1))).warnings == ("every row is the same vector",)


def test_maps_are_scaled_by_percentiles(ask):
    picture = np.linspace(0, 1, 64 * 64, dtype="f4").reshape(1, 64, 64)
    picture[0, 0, 0] = 1e9
    found = ask(picture, width=64, height=32)
    assert isinstance(found, Image)
    assert found.levels.shape == (64, 64)
    assert found.high < 1.1
    assert found.levels[-1, -1] == 255
    assert found.levels[32].std() < 5
    assert abs(int(found.levels[32, 0]) - 128) < 8, "one wild pixel made the rest grey"


def test_maps_shrink_by_means_and_grow_by_whole_pixels(ask):
    board = np.indices((128, 128)).sum(axis=0)[None] % 2 * 1.0
    small = ask(board, width=32, height=16)
    assert small.levels.shape == (32, 32)
    assert len(np.unique(small.levels)) == 1
    assert 120 < small.levels[0, 0] < 136
    digits = ask(RNG.random((3, 8, 8)), width=40, height=16, index=4)
    assert digits.levels.shape == (32, 32)
    assert digits.choices == 3
    assert "row 1" in digits.title


def test_slices_colours_and_classes(ask):
    volume = ask(RNG.random((2, 5, 16, 16)), index=7, rows=np.array([10, 11]))
    assert "row 11 slice 2 of 5" in volume.title
    assert volume.choices == 10
    for shape in ((2, 16, 16, 3), (2, 3, 16, 16)):
        coloured = ask(RNG.integers(0, 256, shape).astype("u1"))
        assert coloured.levels.shape[2] == 3
    classes = ask(RNG.integers(0, 4, (1, 16, 16)))
    assert classes.categories
    assert set(np.unique(classes.levels)) <= {0, 1, 2, 3}
    grey = ask(np.arange(256, dtype="u1").reshape(1, 16, 16))
    assert not grey.categories


def test_missing_pixels_are_marked(ask):
    picture = np.ones((1, 4, 4))
    picture[0, 1] = np.nan
    picture[0, 2, 2] = 2.0
    found = ask(picture, width=4, height=2)
    assert found.missing.tolist() == np.isnan(picture[0]).tolist()
    # Lines show every second row of pixels.
    assert ask(picture[:, 1:], width=4, height=2).missing[0].all()
    assert "????" in lines_of(ask(picture[:, 1:], width=4, height=2), 40)


def test_no_rows(ask):
    assert lines_of(ask(np.zeros((0, 3))), 40) == ["y float64", "no rows to show"]
