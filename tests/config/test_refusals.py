"""What a wrong job is answered with, word for word."""

import pytest
from foretell.config.layers import Typed
from foretell.errors import ConfigError


def refused(folder, text, **options):
    folder.write("job.toml", text)
    with pytest.raises(ConfigError) as caught:
        folder.whole("job.toml", **options)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[schedule]\nwokers = 4\n",
            "error[config]: unknown key schedule.wokers\n"
            "  got   4 (job.toml:2)\n"
            "  try   schedule.workers      the nearest known name",
        ),
        (
            "[writer]\nzzz = 4\n",
            "error[config]: unknown key writer.zzz\n"
            "  got     4 (job.toml:2)\n"
            "  known   durability, keep, kind, path",
        ),
        (
            "[shedule]\nworkers = 4\n",
            "error[config]: unknown section shedule\n"
            "  got   a table (job.toml:2)\n"
            "  try   schedule      the nearest known name",
        ),
        (
            "zzz = 4\n",
            "error[config]: unknown key zzz\n"
            "  got     4 (job.toml:1)\n"
            "  known   source, predictor, deployer, writer, schedule",
        ),
        (
            "Chunk = 4\n",
            "error[config]: unknown key Chunk\n"
            "  got   4 (job.toml:1)\n"
            "  try   schedule.chunk      the nearest known name",
        ),
        (
            'source = "x.zarr"\n',
            'error[config]: source: expected a table [source]\n  got   "x.zarr" (job.toml:1)',
        ),
        (
            '[schedule]\nworkers = "2"\n',
            'error[config]: schedule.workers: expected a whole number\n  got   "2" (job.toml:2)',
        ),
        (
            "[schedule]\nworkers = 1.5\n",
            "error[config]: schedule.workers: expected a whole number\n  got   1.5 (job.toml:2)",
        ),
        (
            "[schedule]\nworkers = true\n",
            "error[config]: schedule.workers: expected a whole number\n  got   true (job.toml:2)",
        ),
        (
            "[schedule]\nworkers = -1\n",
            "error[config]: schedule.workers: must be at least 0\n  got   -1 (job.toml:2)",
        ),
        (
            '[schedule]\nchunk = "big"\n',
            'error[config]: schedule.chunk: expected a whole number or "auto"\n'
            '  got   "big" (job.toml:2)',
        ),
        (
            "[schedule]\nchunk = 0\n",
            "error[config]: schedule.chunk: must be above 0\n  got   0 (job.toml:2)",
        ),
        (
            "[predictor]\nbatch_size = -5\n",
            "error[config]: predictor.batch_size: must be above 0\n  got   -5 (job.toml:2)",
        ),
        (
            '[schedule]\non_nan = "ignore"\n',
            'error[config]: schedule.on_nan: expected "allow", "warn" or "fail"\n'
            '  got   "ignore" (job.toml:2)',
        ),
        (
            '[schedule]\ntimeout = "soon"\n',
            "error[config]: schedule.timeout: expected a duration such as "
            '"90s", "10m", "1h30m" or "11:50:00"\n'
            '  got   "soon" (job.toml:2)',
        ),
        (
            '[schedule]\nmemory_limit = "4 apples"\n',
            "error[config]: schedule.memory_limit: expected a size such as "
            '"4GB" or "3.5GiB" or "auto"\n'
            '  got   "4 apples" (job.toml:2)',
        ),
        (
            '[source]\nrows = "first ten"\n',
            "error[config]: source.rows: does not fit: A part of the source, START:STOP, "
            "for a trial\n"
            '  got   "first ten" (job.toml:2)',
        ),
        (
            "[source]\npath = 7\n",
            "error[config]: source.path: expected text\n  got   7 (job.toml:2)",
        ),
        (
            '[predictor]\noptions = "width=64"\n',
            'error[config]: predictor.options: expected a table\n  got   "width=64" (job.toml:2)',
        ),
        (
            '[writer]\nkeep = "id"\n',
            'error[config]: writer.keep: expected an array\n  got   "id" (job.toml:2)',
        ),
        (
            '[predictor]\nkind = "toch"\n',
            'error[config]: predictor.kind: no predictor is called "toch"\n'
            '  got   "toch" (job.toml:2)\n'
            "  try   torch      the nearest known name",
        ),
        (
            '[predictor]\nkind = "caffe"\n',
            'error[config]: predictor.kind: no predictor is called "caffe"\n'
            '  got     "caffe" (job.toml:2)\n'
            "  known   callable, torch",
        ),
        (
            '[source]\nkind = "zar\n',
            "error[config]: job.toml:2: not valid TOML: Illegal character '\\n'\n"
            '  got   kind = "zar (line 2, column 12)',
        ),
    ],
)
def test_each_mistake_has_its_words(folder, text, told):
    folder.write("job.toml", text)
    sets = {"source.path": "tiles.zarr", "predictor.model": "m:f", "writer.path": "o.zarr"}
    for key in ("source.path", "predictor.kind"):
        if key.partition(".")[2] + " =" in text and f"[{key.partition('.')[0]}]" in text:
            sets.pop(key, None)
    with pytest.raises(ConfigError) as caught:
        folder.load("job.toml", sets=sets)
    assert str(caught.value) == told
    assert caught.value.exit_code == 2


def test_all_problems_are_told_at_once(folder):
    told = refused(
        folder,
        '[source]\naray = "rgb"\n[schedule]\nwokers = 4\nretries = "two"\n',
        env={"FORETELL_WRITER_KEEP": "id"},
    )
    assert told == (
        "error[config]: 4 things are wrong with this job\n"
        "  FORETELL_WRITER_KEEP   not a setting: two underscores follow the section\n"
        "                         id (the environment)\n"
        "  source.aray            unknown key; the nearest known name is source.array\n"
        '                         "rgb" (job.toml:2)\n'
        "  schedule.retries       expected a whole number\n"
        '                         "two" (job.toml:5)\n'
        "  schedule.wokers        unknown key; the nearest known name is schedule.workers\n"
        "                         4 (job.toml:4)\n"
        "  try                    FORETELL_WRITER__KEEP      the nearest right name"
    )


def test_a_value_from_the_command_line_or_the_environment_names_its_origin(folder):
    told = refused(folder, "", env={"FORETELL_SCHEDULE__RETRIES": "many"})
    assert told.endswith('  got   "many" (FORETELL_SCHEDULE__RETRIES)')
    told = refused(folder, "", sets={"schedule.retries": "many"})
    assert told.endswith('  got   "many" (--set)')


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("0", "must be above 0\n  got   0 (--set)"),
        ("2.5", 'expected a whole number or "auto"\n  got   2.5 (--set)'),
        ("autp", 'expected a whole number or "auto"\n  got   "autp" (--set)'),
    ],
)
def test_a_number_out_of_bounds_is_a_number(folder, typed, told):
    """However it was typed: ``0`` is read rightly, the text ``"0"`` is no better."""
    assert refused(folder, "", sets={"schedule.chunk": Typed(typed)}).endswith(told)


def test_a_source_whose_kind_cannot_be_told(folder):
    told = refused(folder, "", sets={"source.path": "data.bin"})
    assert told == (
        "error[config]: source.kind: missing, and the path does not tell what it holds\n"
        '  got   "data.bin" (--set)\n'
        "  try   --set source.kind=…      sdk plugins lists the kinds"
    )


def test_a_missing_job_file_has_a_near_one(folder):
    folder.write("job.toml", "")
    with pytest.raises(ConfigError) as caught:
        folder.load("jop.toml")
    assert str(caught.value) == (
        "error[config-file]: the job file cannot be read\n"
        "  file     jop.toml\n"
        "  reason   there is no such file\n"
        "  try      job.toml      the nearest file\n"
        "           sdk init      writes a job that runs"
    )


def test_a_folder_is_no_job_file(folder):
    (folder.path / "jobs").mkdir()
    with pytest.raises(ConfigError) as caught:
        folder.load("jobs")
    assert str(caught.value) == (
        "error[config-file]: the job file cannot be read\n"
        "  file     jobs\n"
        "  reason   it is a folder\n"
        "  try      sdk init      writes a job that runs"
    )


def test_data_is_no_job_file(folder):
    (folder.path / "x.npy").write_bytes(b"\x93NUMPY\xff\xfe")
    with pytest.raises(ConfigError) as caught:
        folder.load("x.npy")
    assert str(caught.value) == (
        "error[config-file]: this is not a job file: it holds no text\n"
        "  file   x.npy\n"
        "  try    --source x.npy      if it is the data"
    )


def test_a_secret_is_not_told(folder):
    told = refused(folder, "", sets={"schedule.api_key": "s3cr3t-value"})
    assert "s3cr3t" not in told
    assert "*** (--set)" in told


def test_live_objects_cannot_hide_in_settings(folder):
    told = refused(folder, "", sets={"predictor.options": {"f": print}})
    assert told == (
        "error[config]: predictor.options.f: not plain data\n"
        "  got   builtin_function_or_method (--set)"
    )
