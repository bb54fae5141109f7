"""A second distribution, installed by pip and driven through the command like any stranger's."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from foretell.events import ChunkFinished, Event, RunFinished

HERE = Path(__file__).parent
DISTRIBUTION = HERE / "distribution"
N = 100
GARBLED, DRY = 17, 42
"""Rows that cannot be used: one that is not an observation, one the model refuses."""

JOB = """
version = 1
[source]
kind = "observations"
path = "week.obs"
[predictor]
kind = "climate"
checkpoint = "magnus.json"
altitude = 120.0
batch_size = 8
[writer]
kind = "npyfolder"
path = "runs/week"
keep = ["station"]
[schedule]
chunk = 16
retries = 0
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Where pip put the distribution, with its metadata."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, *offline, "--target", str(target), str(DISTRIBUTION)], check=True)
    return target


@pytest.fixture(scope="module")
def sdk(installed, tmp_path_factory):
    """Runs the command in a fresh process that has the distribution installed."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments, cwd=None, **environment):
        path = os.pathsep.join([str(installed), *filter(None, sys.path)])
        env = {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(cache), **environment}
        return subprocess.run(
            [sys.executable, "-m", "foretell", *arguments],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def observation(row):
    if row == GARBLED:
        return f"S{row % 7} 2026-01-01T00 warm 1000 50"
    humidity = 0 if row == DRY else 40 + row % 60
    return f"S{row % 7} 2026-01-01T{row % 24:02} {row / 4 - 5} {990 + row % 30} {humidity}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("job")
    lines = ["# station hour temperature pressure humidity", *map(observation, range(N))]
    (place / "week.obs").write_text("\n".join(lines) + "\n")
    (place / "magnus.json").write_text(json.dumps({"a": 17.62, "b": 243.12}))
    (place / "job.toml").write_text(JOB)
    return place


@pytest.fixture(scope="module")
def predicted(sdk, folder):
    """The finished command, and the store it wrote."""
    events = str(folder / "events.jsonl")
    done = sdk("predict", "job.toml", cwd=folder, FORETELL_WEATHER_EVENTS=events)
    return done, folder / "runs" / "week"


def test_its_parts_keep_the_contracts(installed):
    path = os.pathsep.join([str(installed), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=DISTRIBUTION,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_everything_it_brings_is_listed_with_its_distribution(sdk):
    done = sdk("plugins", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["broken"] == []
    mine = {
        (entry["role"], entry["name"], entry["usable"])
        for entry in document["entries"]
        if entry["distribution"].startswith("foretell-weather")
    }
    assert mine == {
        ("source", "observations", "yes"),
        ("predictor", "climate", "yes"),
        ("deployer", "climate", "yes"),
        ("writer", "npyfolder", "yes"),
        ("command", "weather", "yes"),
    }


def test_listing_plugins_imports_only_the_entry_module(installed):
    script = (
        "import sys; from foretell.plugins.manager import load_plugins; found = load_plugins();"
        "assert 'climate' in [entry.name for entry in found.predictors()];"
        "mine = sorted(name for name in sys.modules if name.startswith('foretell_weather'));"
        "assert mine == ['foretell_weather', 'foretell_weather.plugin'], mine"
    )
    path = os.pathsep.join([str(installed), *filter(None, sys.path)])
    subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": path}, check=True
    )


def test_its_command_is_one_of_sdk(sdk, folder):
    assert "weather" in sdk("--help").stdout
    done = sdk("weather", "week.obs", "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["schema"], facts["observations"], facts["unusable"]) == ("foretell-weather", N, 1)
    assert facts["coldest"] == -5


def test_a_run_with_all_of_its_parts_ends_partial_for_the_two_bad_rows(predicted):
    done, store = predicted
    assert done.returncode == 3, done.stderr
    valid = np.concatenate([np.load(file) for file in sorted((store / "valid").glob("*.npy"))])
    expected = np.ones(N, dtype=np.uint8)
    expected[[GARBLED, DRY]] = 2
    np.testing.assert_array_equal(valid, expected)


def test_the_values_are_the_model_s(predicted):
    _, store = predicted
    files = sorted((store / "dew_point").glob("*.npy"))
    assert len(files) == math.ceil(N / 16)
    dew_point = np.concatenate([np.load(file) for file in files])
    rows = np.arange(N)
    temperature, humidity = rows / 4 - 5, 40 + rows % 60
    gamma = np.log(humidity / 100) + 17.62 * temperature / (243.12 + temperature)
    known = np.setdiff1d(rows, [GARBLED, DRY])
    expected = 243.12 * gamma / (17.62 - gamma)
    np.testing.assert_allclose(dew_point[known], expected[known], rtol=1e-4, atol=1e-4)
    assert np.isnan(dew_point[[GARBLED, DRY]]).all()
    stations = np.concatenate([np.load(f) for f in sorted((store / "station").glob("*.npy"))])
    assert stations[known].tolist() == [f"S{row % 7}" for row in known]


def test_the_run_is_read_through_its_writer(sdk, predicted, folder, installed):
    _, store = predicted
    script = (
        "import sys, foretell; run = foretell.open_run(sys.argv[1]);"
        "feels = run['feels'][20:40]; assert set(feels) <= {'dry', 'pleasant', 'humid'}, feels;"
        "assert len(feels) == 20; assert len(run['pressure/sea_level'][0:10]) == 10"
    )
    path = os.pathsep.join([str(installed), *filter(None, sys.path)])
    subprocess.run(
        [sys.executable, "-c", script, str(store)],
        env={**os.environ, "PYTHONPATH": path},
        check=True,
    )


def test_failures_name_the_rows_where_they_came_from(sdk, predicted):
    _, store = predicted
    done = sdk("failures", str(store), "--json")
    assert "week.obs:19" in done.stdout
    assert "expected 5 fields" in done.stdout or "could not convert" in done.stdout
    assert "humidity of 0 %" in done.stdout


def test_the_observer_is_told_the_life_of_the_run(predicted, folder):
    events = [Event.from_json(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    names = [event.name for event in events]
    assert names[:2] == ["run_planned", "run_started"]
    assert names[-1] == "run_finished"
    assert names.count("chunk_finished") == math.ceil(N / 16)
    last = events[-1]
    assert isinstance(last, RunFinished)
    assert (last.exit_code, last.done, last.failed) == (3, N - 2, 2)
    finished = [event for event in events if isinstance(event, ChunkFinished)]
    assert sum(event.quarantined for event in finished) == 2


def test_running_it_again_changes_nothing(sdk, predicted, folder):
    _, store = predicted
    before = {file: file.read_bytes() for file in store.rglob("*") if file.is_file()}
    again = sdk("predict", "job.toml", cwd=folder)
    assert again.returncode == 3, again.stderr
    assert {file: file.read_bytes() for file in store.rglob("*") if file.is_file()} == before
    assert sdk("verify", str(store)).returncode == 0


def test_without_plugins_its_names_are_unknown(sdk, folder):
    done = sdk("predict", "job.toml", cwd=folder, FORETELL_DISABLE_PLUGINS="1")
    assert done.returncode == 2
    assert "observations" in done.stderr
    assert "known: jsonl, parquet, zarr" in done.stderr


def test_its_deployer_refuses_another_kind_of_model(sdk, folder):
    (folder / "other.toml").write_text(
        JOB.replace("[writer]", '[deployer]\nkind = "local"\n[writer]')
    )
    done = sdk("predict", "other.toml", "--output", "runs/other", cwd=folder)
    assert done.returncode == 2
    assert "climate" in done.stderr
    assert not (folder / "runs" / "other").exists()
