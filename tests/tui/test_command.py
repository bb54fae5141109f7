"""``sdk watch`` as it is typed: one frame as text, refusals, the web, and what it imports."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from foretell.cli.session import Session
from foretell.errors import ConfigError, UsageError
from foretell_tui import command as watch
from foretell_tui.line import width_of
from foretell_tui.settings import read_settings
from foretell_tui.web import address, command_line, serve


def typed(*words, **options):
    runner = CliRunner()
    return runner.invoke(watch.command, words, obj=Session(), standalone_mode=False, **options)


@pytest.mark.parametrize("screen", ["overview", "failures", "timeline", "results", "runs", "help"])
def test_one_frame_as_text(runs, screen, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FORETELL_CACHE_DIR", str(tmp_path))
    store = runs["done"].objects.path
    done = typed(store, "--once", "--screen", screen, "--size", "100x30")
    assert done.exception is None
    lines = done.stdout.splitlines()
    assert len(lines) == 30
    assert max(map(width_of, lines)) <= 100
    assert "DONE" in lines[0]


def test_one_frame_in_ascii(runs):
    done = typed(runs["done"].objects.path, "--once", "--ascii", "--size", "80x24")
    assert done.stdout.isascii()
    assert "[=" in done.stdout or "[#" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--json"], "no document"),
        ([], "needs a terminal"),
        (["--web", "--control"], "do not go together"),
        (["--web", "--insecure-listen", "0.0.0.0"], "every network"),
        (["--once", "--size", "wide"], "columns x lines"),
    ],
)
def test_what_cannot_be_is_refused(runs, words, said):
    done = typed(runs["done"].objects.path, *words)
    assert done.exception is not None
    assert said in str(done.exception)


def test_no_run_is_an_error(tmp_path):
    done = typed(str(tmp_path / "none"), "--once")
    assert "no run here" in str(done.exception)


def test_the_web_listens_here_alone(monkeypatch):
    pytest.importorskip("textual_serve", reason="--web needs foretell[web]")
    served: dict[str, object] = {}

    class Server:
        def __init__(self, command, **options):
            served.update(command=command, **options)

        def serve(self):
            served["at"] = "once"

    monkeypatch.setattr("foretell_tui.webserver.OwnPages", Server)
    chosen = {
        "control": False, "port": 8123, "insecure_listen": None, "screen": "log", "theme": "auto",
        "ascii_only": True, "interval": 5.0,
    }  # fmt: skip
    said: list[str] = []
    assert serve(said.append, "runs/a b.zarr", chosen) == 0
    assert served["host"] == "127.0.0.1"
    assert "'runs/a b.zarr' --screen log --ascii --interval 5.0" in str(served["command"])
    assert said[0] == "http://127.0.0.1:8123"
    assert said[1].startswith("from another machine: ssh -N -L 8123:127.0.0.1:8123 ")
    assert command_line("x", chosen | {"theme": "light"}).count("--theme light") == 1
    for everywhere in ("0.0.0.0", "::"):
        with pytest.raises(UsageError, match="every network"):
            address(1, everywhere)
    assert address(1, "192.0.2.7") == "192.0.2.7"


def test_keys_come_from_the_nearest_pyproject(tmp_path):
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    text = '[tool.foretell.tui.keys]\nquit = "ctrl+q"\n'
    (tmp_path / "pyproject.toml").write_text(text)
    quits = [action for action in read_settings(below).actions if action.name == "quit"]
    assert quits[0].keys == ("ctrl+q",)
    (below / "pyproject.toml").write_text("[tool")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_settings(below)


def test_it_imports_no_engine_no_dask_and_textual_only_when_shown(runs):
    code = (
        "import sys, json\n"
        "from foretell.cli import app\n"
        "app.run(sys.argv[1:])\n"
        "names = {name.split('.')[0] for name in sys.modules}\n"
        "sys.stderr.write(json.dumps([sorted(names), 'foretell.engine' in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "watch", runs["done"].objects.path, "--once"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    names, engine = json.loads(done.stderr.splitlines()[-1])
    assert not engine
    assert not {"dask", "distributed", "torch", "jax", "textual", "zarr"} & set(names)
