"""``RUN`` as a URL: a run in an object store, from first to last through the command line."""

import json
import shutil

import pytest


@pytest.mark.s3
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_run_in_an_object_store(sdk, here, finished_once, s3_bucket):
    shutil.copytree(finished_once / "good", here / "job", ignore=shutil.ignore_patterns("*.zarr"))
    runs = f"s3://{s3_bucket}/runs"
    url = f"{runs}/first.zarr"
    result = sdk("predict", "job/job.toml", "--output", url)
    assert (result.code, result.out) == (0, f"{url}\n"), result.err
    assert sdk("status", "@last", "--exit-code").lines[0] == f"{url}   DONE"
    assert [run["run"] for run in json.loads(sdk("runs", runs, "--json").out)["runs"]] == [url]
    assert sdk("show", url).lines[0] == f"{url}   zarr   10 rows in 3 chunks, 3 done"
    assert sdk("verify", url, "--deep").code == 0
    compared = sdk("compare", finished_once / "good" / "run.zarr", url, "--values", "3")
    assert any(line.split()[:3] == ["length", "10", "all"] for line in compared.lines)
    assert sdk("report", url, "-o", "remote.html").code == 0
    assert "min 6" not in (here / "remote.html").read_text("utf-8"), "a remote chunk was read"
    assert sdk("report", url, "-o", "remote.html", "--previews").code == 0
    assert "min 6" in (here / "remote.html").read_text("utf-8")
    assert sdk("resume", url).code == 0
