"""Commands on real runs, and the documents they print."""

import json
import shutil
from dataclasses import replace

import pytest
from foretell.cli.commands.failures import ranges
from foretell.cli.schemas import DOCUMENTS, document_schema
from foretell.store.head import HeadWriter, read_head
from foretell.store.open import open_objects


def test_predict_prints_the_store_on_stdout_and_the_rest_on_stderr(sdk, finished_once, here):
    shutil.copytree(finished_once / "good", here / "job", ignore=shutil.ignore_patterns("*.zarr"))
    result = sdk("predict", "job/job.toml", "--output", "there.zarr")
    assert (result.code, result.out) == (0, "there.zarr\n")
    assert "starting there.zarr   10 rows in 3 chunks" in result.err
    assert "done there.zarr   10 of 10 rows (100.0 %)" in result.err
    again = sdk("predict", "job/job.toml", "--output", "there.zarr")
    assert (again.code, again.out) == (0, "there.zarr\n")
    assert again.err == "done there.zarr   nothing left to do\n"
    assert sdk("status", "@last").out.startswith(str(here / "there.zarr"))


def test_predict_uses_job_toml_of_this_folder(sdk, finished, monkeypatch):
    monkeypatch.chdir(finished.parent)
    result = sdk("predict", "--json")
    assert result.code == 0
    data = result.document("outcome")
    assert (data["run"], data["state"], data["idle"]) == ("run.zarr", "done", True)
    assert data["head"]["totals"]["rows_done"] == 10


def test_a_partial_run_is_never_green(sdk, finished_once, here):
    shutil.copytree(
        finished_once / "partial", here / "job", ignore=shutil.ignore_patterns("*.zarr")
    )
    result = sdk("predict", "job/job.toml", "--json", "--set", "schedule.max_failed=5")
    assert result.code == 3
    data = result.document("outcome")
    assert (data["state"], data["exit_code"]) == ("partial", 3)
    assert data["head"]["totals"]["rows_quarantined"] == 1


def test_what_trouble_a_setting_made_says_where_it_was_given(sdk, here, finished):
    result = sdk("predict", "good/job.toml", "--source", "nothing.jsonl", "--output", "new.zarr")
    assert result.code == 4
    assert "source.path (--source)" in result.err
    assert not (here / "new.zarr").exists()


def test_a_run_that_failed_says_why_once(sdk, finished_once, here):
    shutil.copytree(
        finished_once / "partial", here / "job", ignore=shutil.ignore_patterns("*.zarr")
    )
    result = sdk("predict", "job/job.toml", "--set", "schedule.max_failed=0")
    assert result.code == 7
    [told] = [line for line in result.err.splitlines() if line.startswith("error[")]
    assert told.startswith("error[budget]: ")
    assert "failed job/run.zarr   6 of 10 rows (60.0 %)" in result.err
    assert sdk("status", "job/run.zarr", "--exit-code").code == 7


def test_an_output_that_is_a_file_is_blamed_on_the_output(sdk, finished, monkeypatch):
    monkeypatch.chdir(finished.parent)
    result = sdk("predict", "--output", "data.jsonl")
    assert result.code in (5, 7)
    assert "writer.path (--output)" in result.err


def test_status(sdk, finished):
    result = sdk("status", finished)
    assert result.code == 0
    assert result.lines[0] == f"{finished}   DONE"
    assert "  rows      10 of 10 rows (100.0 %)" in result.lines
    data = sdk("status", finished, "--json", "--exit-code").document("status")
    assert (data["state"], data["pulse"], data["exit_code"]) == ("done", "ended", 0)


def test_nothing_runs_in_a_run_that_ended(sdk, finished):
    """A drain leaves chunks that were handed out and not begun."""
    objects = open_objects(str(finished))
    known = read_head(objects)
    assert known is not None
    totals = replace(known.totals, done=1, running=2)
    HeadWriter(objects).write(
        replace(known, state="interrupted", exit_code=75, totals=totals, reason="interrupted")
    )
    result = sdk("status", finished)
    assert "  chunks    1 done, 2 pending of 3" in result.lines
    document = sdk("status", finished, "--json").document("status")
    assert (document["totals"]["running"], document["totals"]["pending"]) == (0, 2)


def test_status_of_a_partial_run(sdk, partial):
    result = sdk("status", partial, "--exit-code")
    assert result.code == 3
    assert f"  next      sdk failures {partial}      says which and why" in result.lines
    assert sdk("status", partial).code == 0


def test_status_of_a_run_whose_driver_was_killed(sdk, finished):
    from dataclasses import replace

    from foretell.store.head import HeadWriter, read_head

    objects = open_objects(str(finished))
    known = read_head(objects)
    assert known is not None
    last = sorted((finished / "_run" / "ledger").iterdir())[-1]
    assert '"r":"ended"' in last.read_text()
    last.unlink()  # it was killed before it could say how it ended
    HeadWriter(objects).write(
        replace(
            known,
            state="running",
            pid=2**22 - 1,
            exit_code=None,
            last_segment=known.last_segment - 1,
        )
    )
    result = sdk("status", finished, "--exit-code")
    assert result.code == 75
    assert result.lines[0].startswith(f"{finished}   LOST   the driver (pid ")
    assert f"sdk resume {finished}" in result.out
    assert "LOST" in sdk("runs").out
    assert sdk("cancel", finished).out == (
        "nothing to cancel: the run is lost, no driver is at work\n"
    )


def test_cancel_leaves_a_request_for_a_live_driver_only(sdk, finished):
    from dataclasses import replace

    from foretell.store.control import CANCEL, requested
    from foretell.store.head import HeadWriter, read_head
    from foretell.store.identity import this_process

    assert sdk("cancel", finished).out == "nothing to cancel: the run is done\n"
    objects, me = open_objects(str(finished)), this_process()
    known = read_head(objects)
    assert known is not None
    assert not requested(objects, CANCEL, known.epoch)
    live = replace(
        known, state="running", host=me.host, boot_id=me.boot_id, pid=me.pid,
        pid_started=me.pid_started, interval=1000.0,
    )  # fmt: skip
    HeadWriter(objects).write(live)
    data = sdk("cancel", finished, "--json").document("cancel")
    assert data["requested"] is True
    assert requested(objects, CANCEL, known.epoch)
    assert sdk("cancel", finished).out == "the driver has already been asked\n"


def test_show(sdk, finished):
    result = sdk("show", finished)
    assert result.lines[0] == f"{finished}   zarr   10 rows in 3 chunks, 3 done"
    assert any(
        line.split()[:4] == ["length", "int32", "(10,)", "(4,)"]
        and line.split()[5:] == ["B", "sample"]
        for line in result.lines
    )
    assert f"  xarray.open_datatree('{finished}', engine=\"zarr\")" in result.lines
    data = sdk("show", finished, "--json").document("show")
    assert [array["name"] for array in data["arrays"]] == ["deep/half", "length", "valid"]
    assert data["preview"]["values"]["length"] == ["6", "6", "6", "6"]


def test_show_one_array(sdk, finished):
    result = sdk("show", finished, "deep/half")
    assert "  dtype        float64" not in result.lines
    assert "  dtype        float32" in result.lines
    assert sdk("show", finished, "lenght").err == (
        'error[usage]: this store holds no array "lenght"\n'
        "  arrays   deep/half, length, valid\n"
        "  try      length      the nearest name\n"
    )


def test_show_prints_values_with_a_line_between_them(sdk, finished):
    shown = sdk("show", finished, "length", "--separator")
    values = shown.out.split(f"\n{'-' * 20}\n")
    assert len(values) > 1
    assert all(value.strip().isdigit() for value in values)
    assert sdk("show", finished, "--separator").code == 2
    assert sdk("show", finished, "length", "--separator", "--json").code == 2
    assert sdk("show", finished, "nothing", "--separator").code == 2


def test_show_says_which_rows_have_no_prediction(sdk, partial):
    data = sdk("show", partial, "--json").document("show")
    assert data["chunks_done"] == 3


def test_failures(sdk, partial):
    result = sdk("failures", partial)
    assert result.lines[0] == r"1 x ValueError: a bad record \x1b[31m"
    assert "\x1b" not in result.out
    assert any("data.jsonl:7" in line for line in result.lines)
    assert f"  try      sdk retry {partial} --kind ValueError" in result.lines
    assert "Traceback" not in result.out
    assert "model.py" in sdk("failures", partial, "--traceback").out
    data = sdk("failures", partial, "--json").document("failures")
    [group] = data["groups"]
    assert [row["row"] for row in group["rows"]] == [6]
    assert group["chunks"] == [1]
    none = sdk("failures", partial, "--kind", "TypeError")
    assert (none.out, none.err) == ("", "no failure of kind TypeError\n")


def test_nothing_failed(sdk, finished):
    assert sdk("failures", finished).err == "nothing failed\n"


def test_verify_finds_a_flipped_byte_and_requeue_heals(sdk, finished):
    clean = sdk("verify", finished, "--deep", "--json").document("verify")
    assert (clean["clean"], clean["done"], clean["problems"]) == (True, 3, [])
    shard = next(
        p for p in sorted((finished / "length").rglob("*")) if p.is_file() and "json" not in p.name
    )
    good = shard.read_bytes()
    shard.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    result = sdk("verify", finished)
    assert result.code == 3
    assert f"sdk verify {finished} --requeue" in result.out
    data = sdk("verify", finished, "--requeue", "--json").document("verify")
    assert (data["exit_code"], data["requeued"]) == (3, 1)
    assert (
        json.loads((finished / "zarr.json").read_text())["attributes"]["foretell"]["complete"]
        is False
    )
    status = sdk("status", finished, "--json", "--exit-code")
    assert status.code == 75
    assert status.document("status")["totals"]["damaged"] == 1
    assert sdk("resume", finished, "--quiet").code == 0
    assert shard.read_bytes() == good
    assert sdk("verify", finished, "--deep").code == 0


def test_retry_changes_the_schedule_alone(sdk, partial):
    assert sdk("retry", partial, "--set", "schedule.timeout=1h", "--quiet").code == 3
    refused = sdk("retry", partial, "--set", "predictor.seed=1")
    assert refused.code == 2
    assert "predictor.seed cannot change in a run that was begun" in refused.err


def test_retry_repeats_what_failed(sdk, partial, here):
    model = partial.parent / "model.py"
    result = sdk("retry", partial, "--chunks", "0")
    assert result.code == 2
    again = sdk("retry", partial, "--chunks", "1", "--quiet")
    assert again.code == 3
    assert model.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("5,x", '"x" is neither a chunk nor a range such as 9-12'),
        ("9-5", '"9-5" is not a range of chunks'),
        ("0-99999999999", '"0-99999999999" is not a range of chunks'),
        ("", '"" is neither a chunk nor a range such as 9-12'),
    ],
)
def test_chunks_that_are_none(sdk, text, told):
    result = sdk("retry", "x", "--chunks", text)
    assert result.code == 2
    assert told in result.err


def test_chunks_as_people_write_them():
    from foretell.cli.commands.retry import ChunksType

    assert ChunksType().convert("5, 9-12,5", None, None) == (5, 9, 10, 11, 12)


def test_ranges_are_written_the_same_way():
    assert ranges([5, 9, 10, 11, 12, 40]) == "5, 9-12, 40"
    assert ranges(range(0, 40, 2), most=3) == "0, 2, 4, … 17 more"
    assert ranges([]) == ""


def test_resume_takes_schedule_settings_only(sdk, finished):
    result = sdk("resume", finished, "--set", "predictor.batch_size=8")
    assert result.err == (
        "error[usage]: predictor.batch_size cannot change in a run that was begun\n"
        "  allowed   settings of [schedule]\n"
        "  try       sdk predict … --output …      a run of its own with this setting\n"
    )
    assert sdk("resume", finished, "--set", "schedule.retries=1").code == 0


def test_runs(sdk, finished, partial, here):
    (here / "data.zarr").mkdir()
    (here / "data.zarr" / "zarr.json").write_text("{}")
    result = sdk("runs")
    assert [line.split()[:3] for line in result.lines] == [
        ["good/run.zarr", "done", "100.0"],
        ["partial/run.zarr", "partial", "90.0"],
    ]
    data = sdk("runs", "--json").document("runs")
    assert [run["rows"] for run in data["runs"]] == [10, 10]
    for run, line in zip(data["runs"], result.lines, strict=True):
        assert run["rows_per_second"] is None
        assert f"{run['average_rows_per_second']:,.0f} rows/s" in line
    assert sdk("runs", "partial").lines[0].startswith("partial/run.zarr")
    none = sdk("runs", "--recent")
    assert (none.out, none.err) == ("", "no recent runs\n")


def test_a_run_that_cannot_be_read_is_a_line(sdk, finished):
    (finished / "_run" / "head.json").write_text("garbage")
    assert sdk("runs").lines[0].split()[:2] == ["good/run.zarr", "planned"]


def test_logs(sdk, finished):
    from foretell.store.rings import LogWriter

    writer = LogWriter(open_objects(str(finished)))
    for number, level in enumerate(("info", "warning", "error")):
        writer.add(1000.0 + number, level, "driver", f"line {number} \x1b[2J")
    writer.flush()
    result = sdk("logs", finished, "-n", "2")
    assert [line.partition(" driver ")[2] for line in result.lines] == [
        r"WARNING line 1 \x1b[2J",
        r"ERROR   line 2 \x1b[2J",
    ]
    assert len(sdk("logs", finished, "--level", "warning").lines) == 2
    assert len(sdk("logs", finished, "--grep", "line [01]", "--level", "warning").lines) == 1
    assert len(sdk("logs", finished, "--follow", "--level", "error").lines) == 1
    data = sdk("logs", finished, "--json", "--level", "error").document("logs")
    assert data["lines"][-1]["level"] == "error"
    assert sdk("logs", finished, "--grep", "(").code == 2


@pytest.mark.parametrize(
    "command", ["status", "show", "failures", "logs", "verify", "cancel", "resume", "retry"]
)
def test_what_is_no_run_is_refused(sdk, here, command):
    result = sdk(command, "nowhere")
    assert result.code == 5
    assert result.err.startswith("error[not-a-run]: there is no run here\n")
    assert not (here / "nowhere").exists()


def test_a_strange_url_is_refused(sdk):
    result = sdk("status", "ftp://u:p@host/x")
    assert result.code == 2
    assert "u:p" not in result.err


def test_last_without_a_run(sdk):
    assert sdk("status", "@last").err == (
        "error[usage]: there is no last run\n"
        "  @last   means the run started last by this user on this machine\n"
        "  try     sdk runs      lists the runs below this folder\n"
    )


def test_every_document_has_a_valid_schema():
    import jsonschema

    for name in DOCUMENTS:
        jsonschema.Draft202012Validator.check_schema(document_schema(name))


def test_plan_tells_and_writes_nothing(sdk, finished_once, here):
    shutil.copytree(finished_once / "good", here / "job", ignore=shutil.ignore_patterns("*.zarr"))
    before = sorted(here.rglob("*"))
    result = sdk("plan", "job/job.toml", "--no-probe", "--json")
    assert result.code == 0, result.err
    forecast = result.document("plan")["forecast"]
    assert (forecast["rows"], forecast["chunks"], forecast["chunk_rows"]) == (10, 3, 4)
    assert forecast["outputs"] == {"length": "int32 ()", "deep/half": "float32 ()"}
    told = sdk("plan", "job/job.toml", "--no-probe")
    assert any(line.split()[0] == "chunks" for line in told.lines)
    assert [p for p in sorted(here.rglob("*")) if "__pycache__" not in p.parts] == before


def test_plan_times_a_few_batches(sdk, finished_once, here):
    shutil.copytree(finished_once / "good", here / "job", ignore=shutil.ignore_patterns("*.zarr"))
    forecast = sdk("plan", "job/job.toml", "--json").document("plan")["forecast"]
    assert 0 <= forecast["seconds_low"] <= forecast["seconds_high"]
