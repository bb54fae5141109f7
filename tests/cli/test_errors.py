import re

import pytest
from foretell.cli import app
from foretell.cli.exits import MEANINGS, Exit
from foretell.cli.render import Messages, safe_lines
from foretell.errors import FingerprintMismatch, ForetellError, StoreError


def test_the_style_of_the_design():
    error = FingerprintMismatch(
        "this store belongs to another job",
        facts=[
            ("store", "runs/tiles.zarr (208,684 of 1,000,000 chunks done)"),
            ("differs", "predictor.checkpoint sha256 1f3c… → 9ab0…"),
        ],
        tries=[("--output runs/tiles-2.zarr", "keep both")],
    )
    assert "\n".join(safe_lines(error)) == (
        "error[store-fingerprint]: this store belongs to another job\n"
        "  store     runs/tiles.zarr (208,684 of 1,000,000 chunks done)\n"
        "  differs   predictor.checkpoint sha256 1f3c… → 9ab0…\n"
        "  try       --output runs/tiles-2.zarr      keep both"
    )


def test_several_tries_are_aligned_under_one_label():
    error = StoreError("x", tries=[("a", "does this"), ("long one", "does that"), ("bare", "")])
    assert safe_lines(error)[1:] == [
        "  try   a             does this",
        "        long one      does that",
        "        bare",
    ]


def test_nothing_in_an_error_reaches_the_terminal_raw():
    nasty = "\x1b]0;owned\x07 \u202e s3://user:pass@bucket \r\b"
    error = ForetellError(nasty, facts=[(nasty, nasty + "\nsecond")], tries=[(nasty, nasty)])
    text = "".join(safe_lines(error))
    assert re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", text) is None
    assert "user:pass" not in text
    assert "  second" in text


def replaced(monkeypatch, error):
    """``sdk plugins`` that raises."""

    def broken():
        raise error

    monkeypatch.setattr("foretell.cli.commands.plugins.survey", broken)


@pytest.mark.parametrize("debug", [False, True])
def test_tracebacks_are_shown_with_debug_only_and_always_stored(sdk, cache, monkeypatch, debug):
    replaced(monkeypatch, StoreError("no way", facts=[("store", "x")]))
    result = sdk("plugins", *(["--debug"] if debug else []))
    assert result.code == 5
    assert result.out == ""
    assert result.err.startswith("error[store]: no way\n  store   x\n")
    assert ("Traceback" in result.err) == debug
    [report] = (cache / "reports").glob("*.txt")
    assert "StoreError" in report.read_text()
    assert "Traceback" in report.read_text()


def test_a_bug_says_where_its_report_is(sdk, cache, monkeypatch):
    replaced(monkeypatch, ZeroDivisionError("division by zero"))
    monkeypatch.setenv("MY_API_KEY", "hush-hush-hush")
    result = sdk("plugins")
    assert result.code == 1
    [report] = (cache / "reports").glob("*.txt")
    assert result.err == (
        "error[bug]: unexpected ZeroDivisionError: division by zero\n"
        f"  report   {report}\n"
        "  try      --debug      shows the traceback\n"
    )
    assert "command: sdk plugins" in report.read_text()


def test_reports_hold_no_secrets_and_do_not_pile_up(sdk, cache, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hush-hush-hush")
    replaced(monkeypatch, ValueError("got hush-hush-hush from s3://u:p@b"))
    for number in range(25):
        monkeypatch.setattr("os.getpid", lambda number=number: 1000 + number)
        assert sdk("plugins").code == 1
    reports = list((cache / "reports").glob("*.txt"))
    assert len(reports) == 20
    assert all("hush" not in path.read_text() for path in reports)
    assert all("u:p@" not in path.read_text() for path in reports)


def test_a_secret_on_the_command_line_is_not_recorded(sdk, cache):
    result = sdk("config", "show", "--set", "predictor.options.api_key=hush", "--set", "zzz.x=1")
    assert result.code == 2
    [report] = (cache / "reports").glob("*.txt")
    assert "hush" not in report.read_text()
    assert "hush" not in result.err


def test_a_file_name_that_is_no_utf_8_is_told_so(sdk):
    result = sdk(
        "config", "check", "--source", "a\udcff.npy", "--model", "m:f", "--output", "o.zarr"
    )
    assert result.code == 2
    assert result.err == (
        'error[config]: source.path: not valid UTF-8\n  got   "a\\udcff.npy" (--source)\n'
    )


def test_with_json_an_error_is_a_document_too(sdk):
    result = sdk("status", "nowhere", "--json")
    assert result.code == 5
    data = result.document("error")
    assert (data["slug"], data["exit_code"]) == ("not-a-run", 5)
    assert result.err.startswith("error[not-a-run]:")


def test_a_second_ctrl_c_exits_130(sdk, monkeypatch):
    replaced(monkeypatch, KeyboardInterrupt())
    assert sdk("plugins").code == 130


def test_exit_codes_are_those_of_the_design():
    assert {code.name: int(code) for code in Exit} == {
        "COMPLETE": 0, "BUG": 1, "USAGE": 2, "PARTIAL": 3, "LOAD": 4, "STORE": 5, "HELD": 6,
        "GAVE_OUT": 7, "INTERRUPTED": 75, "KILLED_BY_USER": 130, "KILLED_BY_WATCHER": 137,
    }  # fmt: skip
    assert set(MEANINGS) == set(Exit)


def test_every_error_class_exits_with_a_known_code():
    from foretell import errors

    classes = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, ForetellError)
    ]
    assert len(classes) > 15
    assert {item.exit_code for item in classes} <= {int(code) for code in Exit}


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    def shown(stream, **env):
        for name, value in {"TERM": "xterm", "NO_COLOR": "", **env}.items():
            monkeypatch.setenv(name, value)
        Messages(stream).error(StoreError("x"))
        return stream.getvalue()

    assert shown(Terminal()) == "\x1b[1;31merror[store]:\x1b[0m x\n"
    assert shown(Terminal(), NO_COLOR="1") == "error[store]: x\n"
    assert shown(Terminal(), TERM="dumb") == "error[store]: x\n"
    assert shown(io.StringIO()) == "error[store]: x\n"


def test_main_ends_the_process_with_the_code(monkeypatch):
    from foretell.cli import main

    monkeypatch.setattr(app, "run", lambda arguments: 75)
    with pytest.raises(SystemExit) as caught:
        main(["x"])
    assert caught.value.code == 75
