"""``sdk``: commands found by name, imported when typed, every way out through one door."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from foretell.cli.exits import Exit
from foretell.cli.render import bug_of
from foretell.cli.reports import store_report
from foretell.cli.session import Session
from foretell.errors import ForetellError, UsageError

_GROUPS: dict[str, dict[str, str]] = {
    "Run": {
        "predict": "Plan and run a job; continue it when it was begun",
        "plan": "Show what predict would do; write nothing",
        "resume": "Continue a run",
        "retry": "Predict again what failed",
        "cancel": "Ask a live run to drain and stop",
    },
    "Look": {
        "status": "Show how a run stands",
        "runs": "List runs",
        "show": "Show what a store holds and how to open it",
        "failures": "Show what failed, grouped",
        "logs": "Show a run's log",
        "compare": "Show how two runs differ",
        "report": "Write one offline page about a run",
        "verify": "Check every stored byte against the ledger",
    },
    "Set up": {
        "init": "Write a job that runs as it is",
        "demo": "Predict 1,797 digits, interrupt, resume, verify",
        "doctor": "Check this machine, with a fix for each finding",
        "plugins": "List plugins and what they bring",
        "config": "Show, check or describe a job's settings",
        "completion": "Print a completion script for a shell",
    },
}

COMMANDS = {name: summary for group in _GROUPS.values() for name, summary in group.items()}
"""Built-in commands and their summaries; each lives in ``foretell.cli.commands.<name>``."""

_EPILOG = "RUN is a path, a URL, or @last. Every command takes --help."


class SdkGroup(click.Group):
    """Knows commands by name, and imports the one that is typed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Built-in commands in the order of the help, then those of plugins."""
        return [*COMMANDS, *sorted(_plugin_commands())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called ``cmd_name``, imported now."""
        if cmd_name in COMMANDS:
            module = importlib.import_module(f"foretell.cli.commands.{cmd_name}")
            command: click.Command = module.command
            return command
        if cmd_name in _plugin_commands():
            found = _plugins().command(cmd_name)
            return found if isinstance(found, click.Command) else None
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command for an unknown one."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            raise _unknown_command(name, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands in groups, without importing any of them."""
        plugins = _plugin_commands()
        for title, commands in {**_GROUPS, "From plugins": plugins}.items():
            if commands:
                with formatter.section(title):
                    formatter.write_dl(list(commands.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """As click does; a reader that went away ends the command quietly."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Python flushes stdout once more at exit and would complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.COMPLETE
        return result


def _plugins() -> Any:
    from foretell.cli.parts import plugins

    return plugins()


def _plugin_commands() -> dict[str, str]:
    """Commands of plugins; a name a built-in command has is refused, ``sdk plugins`` says so."""
    from foretell.text import visible

    entries = _plugins().commands()
    return {entry.name: visible(entry.summary) for entry in entries if entry.name not in COMMANDS}


def _unknown_command(name: str, known: Sequence[str]) -> UsageError:
    from foretell.config.suggest import nearest

    near = nearest(name, known)
    tries = [(f"sdk {near}", "the nearest command")] if near else [("sdk --help", "lists them")]
    return UsageError(f'there is no command "{name}"', tries=tries)


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from foretell._version import __version__

        click.echo(f"foretell {__version__}")
        ctx.exit()


@click.group(
    cls=SdkGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
    subcommand_metavar="COMMAND …",
)
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_version,
    help="Show the version and exit.",
)  # fmt: skip
def sdk() -> None:
    """Run a trained model over a lot of data, and never lose, repeat or misplace a prediction."""


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; every message is on stderr by then."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    typed = list(sys.argv[1:] if arguments is None else arguments)
    session = Session(arguments=typed)
    try:
        result = sdk.main(args=typed, prog_name="sdk", standalone_mode=False, obj=session)
    except ForetellError as error:
        return _fail(session, error)
    except click.exceptions.NoArgsIsHelpError as error:
        for line in error.format_message().splitlines():
            session.messages.line(line)
        return Exit.USAGE
    except click.ClickException as error:
        return _fail(session, _usage_error(error), stored=False)
    except (KeyboardInterrupt, click.Abort):
        session.messages.line("stopped at once; what was acknowledged is safe")
        return Exit.KILLED_BY_USER
    except Exception as error:
        report = store_report(error, typed)
        session.messages.error_of_bug(error, report)
        _tell_programs(session, bug_of(error, report))
        return Exit.BUG
    return int(result) if isinstance(result, int) else Exit.COMPLETE


def _fail(session: Session, error: ForetellError, stored: bool = True) -> int:
    if stored:
        store_report(error, session.arguments)
    session.messages.error(error)
    _tell_programs(session, error)
    return error.exit_code


def _tell_programs(session: Session, error: ForetellError) -> None:
    """With ``--json`` an error is the one document on stdout."""
    if not session.json:
        return
    from foretell.cli.output import emit
    from foretell.redact import redact_text

    with contextlib.suppress(BrokenPipeError):
        emit(
            "error",
            {
                "slug": error.slug,
                "message": redact_text(error.message),
                "exit_code": error.exit_code,
                "facts": [[label, redact_text(text)] for label, text in error.facts],
                "tries": [list(pair) for pair in error.tries],
            },
        )


def _usage_error(error: click.ClickException) -> UsageError:
    path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "sdk"
    tries = [(f"{path} --help", "shows what it takes")]
    if isinstance(error, click.NoSuchOption):
        near = [(name, "a known option") for name in error.possibilities or ()]
        return UsageError(f"{path} has no option {error.option_name}", tries=[*near, *tries])
    text = error.format_message().strip().rstrip(".")
    return UsageError(text[:1].lower() + text[1:], tries=tries)
