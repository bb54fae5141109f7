"""Commands that look at no run: init, doctor, plugins, config, completion."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import types

import jsonschema
import pytest
from foretell import Entry, hookimpl
from foretell.cli import checks, parts
from foretell.cli.commands.completion import SHELLS
from foretell.plugins import load_plugins


def test_init_writes_a_job_that_runs_as_it_is(sdk, here):
    result = sdk("init", "new", "--json")
    assert result.code == 0
    files = result.document("init")["files"]
    assert files == [f"new/{n}" for n in ("job.toml", "model.py", "data.jsonl", "job.schema.json")]
    done = sdk("predict", "new/job.toml", "--set", "schedule.workers=0", "--quiet")
    assert (done.code, done.out) == (0, "new/runs/first.zarr\n")
    assert sdk("status", "new/runs/first.zarr", "--exit-code").code == 0


def test_the_schema_beside_it_accepts_it(sdk, here):
    sdk("init")
    job = tomllib.loads((here / "job.toml").read_text())
    jsonschema.validate(job, json.loads((here / "job.schema.json").read_text()))


def test_init_replaces_nothing_unasked(sdk, here):
    (here / "model.py").write_text("mine")
    result = sdk("init")
    assert result.code == 2
    assert result.err == (
        "error[usage]: init would replace files\n"
        "  folder   .\n"
        "  there    model.py\n"
        "  try      sdk init DIR      another folder\n"
        "           --force           replaces them\n"
    )
    assert (here / "model.py").read_text() == "mine"
    assert not (here / "job.toml").exists()
    assert sdk("init", "--force").code == 0
    assert (here / "model.py").read_text() != "mine"


def test_doctor(sdk):
    result = sdk("doctor")
    assert result.code == 0
    assert [line.split()[1] for line in result.lines][:1] == ["python"]
    data = sdk("doctor", "--json").document("doctor")
    names = [check["name"] for check in data["checks"]]
    assert {"python", "zarr", "dask", "cache", "cores", "memory", "open files"} <= set(names)
    assert all(check["fix"] for check in data["checks"] if check["level"] != "ok")


def test_doctor_shows_what_plugins_look_at(sdk, monkeypatch):
    def crystal():
        yield "crystal", "ok", "clear", ""
        yield "tea leaves", "fail", "none", "brew some"

    def broken():
        raise RuntimeError("no sight")

    class Seer:
        @hookimpl
        def register_checks(self):
            return [Entry(name, "A look", f"seer_checks:{name}") for name in ("crystal", "broken")]

    module = types.ModuleType("seer_checks")
    vars(module).update(crystal=crystal, broken=broken)
    monkeypatch.setitem(sys.modules, "seer_checks", module)
    found = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"}, [("seer", Seer())])
    monkeypatch.setattr(parts, "plugins", lambda: found)
    result = sdk("doctor", "--json")
    told = {check["name"]: check for check in result.document("doctor")["checks"]}
    assert (told["crystal"]["level"], told["crystal"]["text"]) == ("ok", "clear")
    assert told["tea leaves"]["fix"] == "brew some"
    assert told["broken"]["text"] == "cannot be checked: RuntimeError: no sight"
    assert result.code == 2


def test_doctor_names_a_cache_that_cannot_be_written(sdk, here, monkeypatch):
    (here / "file").write_text("")
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(here / "file"))
    result = sdk("doctor")
    assert result.code == 2
    assert any(line.startswith("fail   cache") for line in result.lines)
    assert "set FORETELL_CACHE_DIR to a folder that can be written" in result.out


def test_doctor_names_a_package_that_is_missing_or_old(monkeypatch):
    monkeypatch.setattr(
        checks, "_version", lambda name: {"zarr": "2.18", "dask": None}.get(name, "9999")
    )
    found = {check.name: check for check in checks.packages()}
    assert (found["zarr"].level, found["zarr"].text) == ("fail", "2.18, needs <4,>=3.1.5")
    assert (found["dask"].level, found["dask"].text) == ("fail", "not installed")
    assert found["dask"].fix


def test_a_check_that_breaks_does_not_stop_the_others(monkeypatch):
    def open_files():
        raise RuntimeError("no /proc here")

    monkeypatch.setattr(checks, "open_files", open_files)
    found = {check.name: check for check in checks.all_checks()}
    assert found["open files"].text == "cannot be checked: RuntimeError: no /proc here"
    assert "terminal" in found


def test_plugins(sdk):
    result = sdk("plugins")
    assert result.code == 0
    assert any(line.startswith("predictor   callable") for line in result.lines)
    data = sdk("plugins", "--json").document("plugins")
    assert {entry["role"] for entry in data["entries"]} >= {"source", "predictor", "writer"}
    assert data["broken"] == []


@pytest.fixture
def stranger(tmp_path):
    """An environment in which a stranger's plugin and a broken one are installed."""
    site = tmp_path / "site"
    info = site / "odd_plugin-0.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin\nVersion: 0.3\n")
    (info / "entry_points.txt").write_text("[foretell]\nodd = odd_plugin\nsick = no_such_module\n")
    (site / "odd_plugin.py").write_text(
        "import click\nfrom foretell import Entry, hookimpl\n"
        "@hookimpl\ndef register_commands():\n"
        "    return [Entry('greet', 'Say hello', 'odd_plugin:greet'),\n"
        "            Entry('predict', 'Not this one', 'odd_plugin:greet')]\n"
        "@click.command()\ndef greet():\n    click.echo('hello')\n"
    )
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "FORETELL_CACHE_DIR": str(tmp_path / "cache")}

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "foretell", *arguments], capture_output=True, text=True, env=env
        )

    return call


def test_a_plugin_adds_a_command_and_cannot_replace_one(stranger):
    assert stranger("greet").stdout == "hello\n"
    told = stranger("--help").stdout
    _, _, plugins = told.partition("From plugins:\n")
    assert re.search(r"^  greet +Say hello$", plugins, re.MULTILINE)
    assert "Not this one" not in told
    assert stranger("predict", "--help").stdout.startswith("Usage: sdk predict [OPTIONS]")
    listed = stranger("plugins").stdout
    assert "refused: a built-in command has this name" in listed
    assert "broken   sick   odd-plugin 0.3   ModuleNotFoundError" in listed


def test_config_show_names_every_origin(sdk, here):
    sdk("init")
    result = sdk("config", "show", "--set", "schedule.retries=5")
    rows = {line.split()[0]: line for line in result.lines}
    assert rows["schedule.retries"].split()[1:] == ["5", "--set"]
    assert rows["source.path"].split()[1:] == ['"data.jsonl"', "job.toml:6"]
    assert rows["schedule.drain"].split()[1:] == ["60.0", "default"]
    data = sdk("config", "show", "--json").document("config")
    assert {"key": "writer.kind", "value": "zarr", "origin": "job.toml:14"} in data["settings"]


def test_config_check(sdk, here):
    sdk("init")
    assert sdk("config", "check").out == "the job can be used\n"
    assert sdk("config", "check", "--json").document("config-check")["ok"] is True
    result = sdk("config", "check", "--set", "schedule.wokers=1")
    assert (result.code, result.out) == (2, "")
    result = sdk("config", "check", "--set", "schedule.wokers=1", "--json")
    assert result.code == 2
    [problem] = result.document("config-check")["problems"]
    assert problem == {
        "key": "schedule.wokers",
        "message": "unknown key",
        "got": "1",
        "origin": "--set",
        "nearest": "schedule.workers",
    }


def test_config_schema(sdk):
    schema = json.loads(sdk("config", "schema", "--writer", "parquet").out)
    jsonschema.Draft202012Validator.check_schema(schema)
    job = {"writer": {"kind": "parquet", "path": "x"}, "schedule": {"wokers": 1}}
    [error] = jsonschema.Draft202012Validator(schema).iter_errors(job)
    assert "wokers" in error.message
    assert sdk("config", "schema", "--source", "zar").code == 2


@pytest.mark.parametrize("text", ["schedule.workers", "=4", " =4"])
def test_set_takes_key_and_value(sdk, text):
    result = sdk("config", "show", "--set", text)
    assert result.code == 2
    assert result.err == (
        f"error[usage]: --set takes KEY=VALUE\n  got   {text}\n".rstrip()
        + "\n  try   --set schedule.workers=4      for example\n"
    )


def test_an_unknown_plugin_is_refused_before_anything_starts(sdk, here):
    sdk("init")
    result = sdk("predict", "--set", "predictor.kind=calable")
    assert result.code == 2
    assert result.err == (
        'error[config]: predictor.kind: no predictor is called "calable"\n'
        '  got   "calable" (--set)\n'
        "  try   callable      the nearest known name\n"
    )
    assert not (here / "runs").exists()


def test_a_missing_job_file(sdk):
    result = sdk("predict", "jobs/none.toml")
    assert result.code == 2
    assert result.err == (
        "error[config-file]: the job file cannot be read\n"
        "  file     jobs/none.toml\n"
        "  reason   there is no such file\n"
        "  try      sdk init      writes a job that runs\n"
    )


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts(sdk, shell):
    result = sdk("completion", shell)
    assert result.code == 0
    assert "_SDK_COMPLETE" in result.out
    if shutil.which(shell):
        checked = subprocess.run(
            [shell, "-n"], input=result.out, text=True, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("sdk sta", "status"),
        ("sdk config s", "show"),
        ("sdk status @", "@last"),
        ("sdk verify --de", "--deep"),
        ("sdk completion f", "fish"),
    ],
)
def test_completions(words, wanted, cache):
    env = {
        **os.environ,
        "_SDK_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "foretell"], capture_output=True, text=True, env=env, check=False
    )
    found = [line.partition(",")[2] for line in done.stdout.splitlines()]
    assert wanted in found
