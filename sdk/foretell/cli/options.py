"""Options and arguments that several commands share, spelled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from foretell.cli.session import Session

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

PROGRESS = ("auto", "live", "plain", "json", "quiet")


class RunType(click.ParamType[str]):
    """``RUN``: a path, a URL, or ``@last``."""

    name = "run"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """``@last``, runs started lately, then folders; no name that a terminal would obey."""
        from foretell.store.recent import recent_runs
        from foretell.text import visible

        known = [
            CompletionItem(name)
            for name in ("@last", *recent_runs())
            if incomplete and name.startswith(incomplete) and visible(name) == name
        ]
        if not incomplete:
            known = [CompletionItem("@last", help="the run started last")]
        return [*known, CompletionItem(incomplete, type="dir")]


run_argument = click.argument("run", metavar="RUN", type=RunType())


def _keep(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        session = ctx.ensure_object(Session)
        if name == "json" and value:
            session.json = True
        elif name in ("debug", "quiet") and value:
            setattr(session.messages, name, True)
        elif name == "progress" and value is not None:
            session.progress = value

    return callback


def _flag(flag: str, name: str, text: str) -> Callable[[CommandT], CommandT]:
    return click.option(
        flag, is_flag=True, expose_value=False, is_eager=True, callback=_keep(name), help=text
    )


def common(function: CommandT) -> CommandT:
    """``--json``, ``--quiet`` and ``--debug``."""
    for flag, name, text in (
        ("--debug", "debug", "Show tracebacks."),
        ("--quiet", "quiet", "Say nothing but errors."),
        ("--json", "json", "Print one JSON document."),
    ):
        function = _flag(flag, name, text)(function)
    return function


def progress(function: CommandT) -> CommandT:
    """``--progress``."""
    return click.option(
        "--progress",
        type=click.Choice(PROGRESS),
        expose_value=False,
        callback=_keep("progress"),
        help="How progress is shown; auto is live on a terminal and plain elsewhere.",
    )(function)


def settings(function: CommandT) -> CommandT:
    """``--set key=value``, any number of times."""
    return click.option(
        "--set",
        "sets",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change one setting, e.g. schedule.workers=4. May be repeated.",
    )(function)


def job(function: CommandT) -> CommandT:
    """``[JOB.toml] --source --model --output --set``: everything that makes a job."""
    function = settings(function)
    for flag, text in (
        ("--output", "The run store: writer.path."),
        ("--model", "The model: predictor.model."),
        ("--source", "The data: source.path."),
    ):
        function = click.option(flag, metavar="PATH", help=text)(function)
    return click.argument("job_file", metavar="[JOB.toml]", required=False, type=click.Path())(
        function
    )


def take_over(function: CommandT) -> CommandT:
    """``--take-over``."""
    return click.option(
        "--take-over", is_flag=True, help="Take the run from the driver that holds it."
    )(function)
