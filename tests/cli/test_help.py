import os
import subprocess
import sys

import pytest
from foretell.cli.app import COMMANDS

HEAVY = (
    "numpy", "zarr", "dask", "distributed", "torch", "jax", "textual", "pydantic", "pyarrow",
    "rich", "psutil", "obstore", "asyncio", "yaml",
)  # fmt: skip


def imported_by(*arguments):
    script = (
        "import sys\n"
        "from foretell.cli.app import run\n"
        f"code = run({list(arguments)!r})\n"
        f"print(code, sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("--version",), ("plugins",), *((name, "--help") for name in COMMANDS)],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(arguments):
    assert imported_by(*arguments) == "0 []"


def test_the_help_lists_every_command_with_its_summary(sdk):
    told = sdk("--help").out
    for name, summary in COMMANDS.items():
        assert f"  {name} " in told
        assert summary in told


def test_no_command_shows_the_help(sdk):
    result = sdk()
    assert result.code == 2
    assert "Usage: sdk" in result.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(sdk, name):
    result = sdk(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"Usage: sdk {name}")
    assert result.err == ""


def test_version(sdk):
    from foretell import __version__

    assert sdk("--version").out == f"foretell {__version__}\n"


def test_an_unknown_command_has_a_near_one(sdk):
    assert sdk("predcit").err == (
        'error[usage]: there is no command "predcit"\n'
        "  try   sdk predict      the nearest command\n"
    )
    result = sdk("xyz")
    assert result.code == 2
    assert result.err == (
        'error[usage]: there is no command "xyz"\n  try   sdk --help      lists them\n'
    )


def test_an_unknown_option_has_near_ones(sdk):
    result = sdk("predict", "--ouput", "x")
    assert result.code == 2
    assert result.err == (
        "error[usage]: sdk predict has no option --ouput\n"
        "  try   --output                a known option\n"
        "        sdk predict --help      shows what it takes\n"
    )


def test_a_missing_argument(sdk):
    assert sdk("status").err == (
        "error[usage]: missing argument 'RUN'\n  try   sdk status --help      shows what it takes\n"
    )


def test_python_m_foretell_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "foretell", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: sdk")


def test_a_reader_that_goes_away_is_no_error():
    script = f"{sys.executable} -m foretell plugins --json | head -c 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("0\n")
    assert done.stderr == ""
