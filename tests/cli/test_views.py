"""``sdk compare``, ``sdk report`` and the previews of ``sdk show``, typed on real runs."""

import shutil
from html.parser import HTMLParser

from foretell.cli.comparing import quantity


def test_a_run_is_equal_to_itself(sdk, finished):
    result = sdk("compare", finished, finished)
    assert result.code == 0
    assert result.lines[0] == "equal"
    assert "  3 chunks compared, all identical" in result.lines
    data = sdk("compare", finished, finished, "--json", "--values", "2").document("compare")
    assert (data["equal"], data["reasons"], len(data["sampled"])) == (True, [], 2)
    assert [value["same"] for value in data["values"]] == [True, True]
    assert data["bytes"] == {"compared": 3, "different": 0, "chunks": [], "reason": ""}


def test_two_runs_that_differ(sdk, finished, partial):
    result = sdk("compare", finished, partial)
    assert result.code == 3
    assert result.lines[0].startswith("different: ")
    assert "the rows that are predicted" in result.lines[0]
    assert any(line.split()[:3] == ["ValueError", "0", "1"] for line in result.lines)
    assert any(line.startswith("  predicted") and "10 rows" in line for line in result.lines)
    data = sdk("compare", finished, partial, "--json").document("compare")
    assert data["values"] is None
    assert {item["key"] for item in data["content"]} >= {"source.fingerprint"} or data["content"]


def test_another_setting_is_named_with_both_values(sdk, finished, here):
    job = finished.parent / "job.toml"
    sets = ("--set", "predictor.batch_size=2")
    other = sdk("predict", job, "--quiet", "--output", "other.zarr", *sets)
    assert other.code == 0
    result = sdk("compare", finished, "other.zarr", "--values", "3")
    assert result.code == 3
    assert any(line.split() == ["predictor.batch_size", "4", "2"] for line in result.lines)
    assert not any("writer.path" in line for line in result.lines)
    assert any(line.split()[:3] == ["length", "10", "all"] for line in result.lines)


def test_compare_with_what_is_no_run(sdk, finished):
    result = sdk("compare", finished, "nowhere")
    assert result.code == 5
    assert result.err.startswith("error[not-a-run]: there is no run here\n")
    assert sdk("compare", finished).code == 2
    assert sdk("compare", finished, finished, "--values", "0").code == 2


def test_compare_of_a_run_with_a_broken_ledger(sdk, finished, here):
    broken = here / "broken.zarr"
    shutil.copytree(finished, broken)
    for segment in (broken / "_run" / "ledger").iterdir():
        segment.write_bytes(b"x\n")
    shutil.rmtree(broken / "_run" / "fold", ignore_errors=True)
    result = sdk("compare", finished, broken)
    assert result.code == 3
    assert result.lines[0] == f"different: the ledger of {broken} cannot be read"
    assert f"  not compared: the ledger of {broken} cannot be read" in result.lines
    assert any("its ledger cannot be read" in line for line in result.lines[1:3])
    refused = sdk("compare", finished, broken, "--values", "1")
    assert refused.code == 5
    assert "values cannot be compared" in refused.err


def test_figures_have_units():
    assert quantity(None, "s") == "-"
    assert quantity(3.456, "s") == "3.46 s"
    assert quantity(380, "s") == "6m 20s"
    assert quantity(18400, "rows/s") == "18,400 rows/s"
    assert quantity(0.5, "rows/s") == "0.5 rows/s"
    assert quantity(1, "rows") == "1 row"
    assert quantity(4_190_000, "bytes") == "4.19 MB"


def test_show_one_array_with_its_preview(sdk, finished):
    result = sdk("show", finished, "length")
    assert "  filled       100.0% of the rows" in result.lines
    assert any(line.startswith("  min 6   mean 6   max 6") for line in result.lines)
    assert "  ! every value is 6" in result.lines
    assert any(line.strip().startswith("xarray ") for line in result.lines)
    table = sdk("show", finished, "length", "--as", "table", "--chunk", "2")
    assert any(line.split() == ["8", "6"] for line in table.lines)
    assert sdk("show", finished, "--chunk", "1").code == 2
    assert sdk("show", finished, "length", "--chunk", "3").err == (
        "error[usage]: this run has no chunk 3\n  chunks   0 to 2\n"
    )
    data = sdk("show", finished, "length", "--json").document("show")
    assert data["arrays"][0]["filled"] == 1.0
    assert data["arrays"][0]["bytes"] > 0


class Page(HTMLParser):
    """Elements and their attributes, and whether they are well nested."""

    VOID = frozenset({"meta", "img"})

    def __init__(self, text):
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_a_report_is_one_page_that_needs_nothing(sdk, partial, here):
    result = sdk("report", partial, "-o", "run.html")
    assert (result.code, result.out) == (0, "run.html\n")
    text = (here / "run.html").read_text(encoding="utf-8")
    page = Page(text)
    names = [tag for tag, _ in page.tags]
    assert names.count("svg") >= 4
    assert "script" not in names
    links = [
        v for _, attrs in page.tags for k, v in attrs.items() if k in ("src", "href", "srcset")
    ]
    assert all((link or "").startswith("data:") for link in links)
    assert not any(key.startswith("on") for _, attrs in page.tags for key in attrs)
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme:dark" in text
    seen = " ".join(page.texts)
    for told in ("PARTIAL", "9", "of 10 rows (90.0 %)", "1 × ValueError", "data.jsonl:7",
                 "predictor.batch_size", "quarantined", "partly done", "w00"):  # fmt: skip
        if told not in ("quarantined", "partly done"):
            assert told in seen, told
    assert '<span class="warn">' in text
    data = sdk("report", partial, "-o", "run.html", "--json", "--no-previews").document("report")
    assert data["bytes"] == (here / "run.html").stat().st_size


def test_a_report_that_cannot_be_written(sdk, finished):
    result = sdk("report", finished, "-o", "no/such/folder/x.html")
    assert result.code == 2
    assert "the page cannot be written" in result.err
    assert sdk("report", "nowhere", "-o", "x.html").code == 5
