import pytest
from foretell.config.layers import Typed
from foretell.errors import ConfigError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JOB = """\
version = 1
[source]
kind = "zarr"
path = "tiles.zarr"
array = "rgb"
rows = "0:1000"
[predictor]
model = "unet.py:build"
options = { width = 64 }
[writer]
path = "runs/tiles.zarr"
[schedule]
chunk = 1024
timeout = "10m"
"""


def test_a_job_file_with_the_origin_of_each_value(folder):
    folder.write("job.toml", JOB)
    job = folder.load("job.toml")
    flat = job.flat()
    assert flat["source.array"] == ("rgb", "job.toml:5")
    assert flat["predictor.options.width"] == (64, "job.toml:9")
    assert flat["schedule.timeout"] == (600.0, "job.toml:14")
    assert flat["schedule.retries"] == (2, "default")
    assert flat["predictor.kind"] == ("callable", "default")
    assert flat["writer.kind"] == ("zarr", "inferred from writer.path")
    assert job.base_dir == folder.path
    assert job.deployer is None


def test_a_suffix_that_promises_another_format_is_refused(folder):
    folder.write("job.toml", JOB.replace("runs/tiles.zarr", "out.parquet"))
    assert folder.load("job.toml").flat()["writer.kind"][0] == "parquet"
    folder.write("job.toml", JOB.replace("runs/tiles.zarr", 'out.parquet"\nkind = "zarr'))
    with pytest.raises(ConfigError) as caught:
        folder.load("job.toml")
    assert str(caught.value).splitlines() == [
        "error[config]: writer.path: the name says parquet, writer.kind says zarr (job.toml:12)",
        '  got   "out.parquet" (job.toml:11)',
        "  try   --set writer.kind=parquet      or another name than out.parquet",
    ]


def test_precedence_from_highest_to_lowest(folder):
    folder.write("pyproject.toml", "[tool.foretell.schedule]\nworkers = 1\nretries = 1\n")
    folder.write("job.toml", JOB + "workers = 2\n")
    env = {"FORETELL_SCHEDULE__WORKERS": "3"}
    sets = {"schedule.workers": 4}
    assert folder.load("job.toml").flat()["schedule.workers"] == (2, "job.toml:15")
    job = folder.load("job.toml", env=env)
    assert job.flat()["schedule.workers"] == (3, "FORETELL_SCHEDULE__WORKERS")
    assert job.flat()["schedule.retries"] == (1, "pyproject.toml:3")
    job = folder.load("job.toml", env=env, sets=sets)
    assert job.flat()["schedule.workers"] == (4, "--set")


def test_settings_of_the_dashboard_are_none_of_a_job(folder):
    project = '[tool.foretell.tui.keys]\nquit = "ctrl+q"\n[tool.foretell.schedule]\nretries = 5\n'
    folder.write("pyproject.toml", project)
    folder.write("job.toml", JOB)
    assert folder.load("job.toml").flat()["schedule.retries"] == (5, "pyproject.toml:4")


LEVELS = ("sets", "env", "file", "project")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.dictionaries(st.sampled_from(LEVELS), st.integers(0, 50)))
def test_precedence_holds_for_any_mixture(folder, given_values):
    def line(level):
        return f"workers = {given_values[level]}\n" if level in given_values else ""

    folder.write("pyproject.toml", "[tool.foretell.schedule]\n" + line("project"))
    folder.write("job.toml", JOB + line("file"))
    env = {"FORETELL_SCHEDULE__WORKERS": str(given_values["env"])} if "env" in given_values else {}
    sets = {"schedule.workers": given_values["sets"]} if "sets" in given_values else {}
    job = folder.load("job.toml", env=env, sets=sets)
    first = next((level for level in LEVELS if level in given_values), None)
    assert job.schedule.workers == (1 if first is None else given_values[first])
    assert (job.origin("schedule.workers") == "default") == (first is None)


def test_the_nearest_pyproject_counts_and_only_that(folder):
    folder.write("pyproject.toml", "[tool.foretell.schedule]\nretries = 9\n")
    folder.write("jobs/pyproject.toml", "[project]\nname = 'x'\n")
    folder.write("jobs/deep/job.toml", JOB)
    assert folder.load("jobs/deep/job.toml").schedule.retries == 2


def test_paths_typed_here_mean_here_and_paths_in_the_file_mean_there(folder):
    folder.write("jobs/job.toml", JOB)
    job = folder.load(
        "jobs/job.toml",
        sets={"source.path": "here.npy", "predictor.model": "mine.py:f"},
        labels={"source.path": "--source"},
        env={"FORETELL_PREDICTOR__CHECKPOINT": "w.npz", "FORETELL_PREDICTOR__COLLATE": "pkg.m:f"},
    )
    assert job.source.path == str(folder.path / "here.npy")
    assert job.predictor.model == f"{folder.path / 'mine.py'}:f"
    assert job.predictor.checkpoint == str(folder.path / "w.npz")
    assert job.predictor.collate == "pkg.m:f"
    assert job.writer.resolve(job.writer.path) == str(folder.path / "jobs/runs/tiles.zarr")
    assert job.origin("source.path") == "--source"


def test_urls_stay_as_they_are(folder):
    folder.write("jobs/job.toml", JOB)
    job = folder.load("jobs/job.toml", sets={"writer.path": "s3://lab/runs/x.zarr"})
    assert job.writer.path == "s3://lab/runs/x.zarr"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.npy", "npy"), ("a.zarr/", "zarr"), ("s3://b/a.jsonl", "jsonl"), ("A.NPY", "npy")],
)
def test_the_source_kind_follows_from_the_path(folder, path, kind):
    job = folder.whole(sets={"source.path": path})
    assert job.source.kind == kind
    assert job.origin("source.kind") == "inferred from source.path"


def test_a_folder_with_zarr_metadata_is_a_zarr_source(folder):
    folder.write("data/.zarray", "{}")
    assert folder.whole(sets={"source.path": "data"}).source.kind == "zarr"


def test_the_writer_kind_follows_from_the_output(folder):
    assert folder.whole(sets={"writer.path": "out.parquet"}).writer.kind == "parquet"
    assert folder.whole(sets={"writer.path": "out"}).writer.kind == "zarr"


def test_a_deployer_without_kind_is_the_predictors_own(folder):
    job = folder.whole(sets={"deployer.slots": 2, "predictor.kind": "torch"})
    assert (job.deployer.kind, job.deployer.slots) == ("torch", 2)


def test_typed_text_is_a_literal_where_one_fits_and_itself_where_not(folder):
    job = folder.whole(
        sets={
            "predictor.version": Typed("1.0"),
            "predictor.seed": Typed("7"),
            "schedule.walltime": Typed("11:50:00"),
            "predictor.options.name": Typed("x"),
        }
    )
    assert job.predictor.version == "1.0"
    assert job.predictor.seed == 7
    assert job.schedule.walltime == 11 * 3600 + 50 * 60
    assert job.predictor.options == {"name": "x"}


def test_the_environment_is_typed_text_too(folder):
    env = {"FORETELL_PREDICTOR__VERSION": "2024", "FORETELL_SOURCE__KIND": "npy"}
    job = folder.whole(env=env)
    assert (job.predictor.version, job.source.kind) == ("2024", "npy")


def test_version_1_is_the_only_one(folder):
    folder.write("job.toml", JOB.replace("version = 1", "version = 2"))
    with pytest.raises(ConfigError) as caught:
        folder.load("job.toml")
    assert str(caught.value) == (
        "error[config]: version: this release reads version 1 of the job file\n"
        "  got   2 (job.toml:1)"
    )


def test_a_job_without_anything_says_the_three_ways_in(folder):
    with pytest.raises(ConfigError) as caught:
        folder.load(None)
    assert str(caught.value) == (
        "error[config]: 3 things are wrong with this job\n"
        "  source.path       missing\n"
        "  predictor.model   missing\n"
        "  writer.path       missing\n"
        "  try               --source …      or path in [source]\n"
        "                    --model …       or model in [predictor]\n"
        "                    --output …      or path in [writer]\n"
        "                    sdk init        writes a job that runs"
    )
