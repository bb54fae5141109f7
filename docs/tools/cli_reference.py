"""The reference of the command line, from the commands themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from foretell.cli import app
from foretell.cli.exits import MEANINGS
from foretell.cli.schemas import DOCUMENTS, document_schema
from tables import code, fence, table

_EVERYWHERE = ("schema", "version")


def walk() -> Iterator[tuple[str, click.Command]]:
    """Every built-in command by its full name, in the order of the help; groups before theirs."""
    context = click.Context(app.sdk, info_name="sdk")
    for name in app.COMMANDS:
        command = app.sdk.get_command(context, name)
        assert command is not None
        yield f"sdk {name}", command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                below = command.get_command(context, inner)
                assert below is not None
                yield f"sdk {name} {inner}", below


def usage(name: str, command: click.Command) -> str:
    """The usage line."""
    pieces = command.collect_usage_pieces(click.Context(command, info_name=name))
    return " ".join([name, *pieces])


def help_text(command: click.Command) -> str:
    """What the command's help says, as Markdown."""
    return "\n\n".join(" ".join(part.split()) for part in (command.help or "").split("\n\n"))


def spelling(option: click.Parameter) -> str:
    """How an option or argument is typed: ``-n, --lines INTEGER``."""
    if isinstance(option, click.Argument):
        return option.make_metavar(click.Context(click.Command("x")))
    assert isinstance(option, click.Option)
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    return f"{names} {option.make_metavar(click.Context(click.Command('x')))}"


def default(option: click.Parameter) -> str:
    """The default as code; empty for none."""
    value: Any = option.get_default(click.Context(click.Command("x")))
    if option.required or value is None or repr(value).endswith("UNSET") or value in ((), ""):
        return ""
    if isinstance(option, click.Option) and option.is_flag:
        return code("on") if value else ""
    return code(value)


def parameters(command: click.Command) -> str:
    """All options of a command as one table."""
    rows = [
        (code(spelling(option)), default(option), option.help or "")
        for option in command.params
        if isinstance(option, click.Option)
    ]
    return table(("option", "default", "effect"), rows)


def commands() -> str:
    """Every command with its usage, its help and its options."""
    parts = []
    for name, command in walk():
        parts.append(f"{'#' * (len(name.split()) + 1)} {name}")
        parts.append(fence(usage(name, command), "text"))
        parts.append(help_text(command))
        if not isinstance(command, click.Group):
            parts.append(parameters(command))
    return "\n\n".join(part for part in parts if part)


def overview() -> str:
    """Every command in a line."""
    rows = [(f"[`sdk {name}`](#sdk-{name})", summary) for name, summary in app.COMMANDS.items()]
    return table(("command", "does"), rows)


def exit_codes() -> str:
    """Every exit code and its meaning."""
    return table(
        ("code", "means"), [(code(int(number)), text) for number, text in MEANINGS.items()]
    )


def documents() -> str:
    """The keys of every ``--json`` document."""
    rows = []
    for name in DOCUMENTS:
        keys = [key for key in document_schema(name)["properties"] if key not in _EVERYWHERE]
        rows.append((code(f"foretell.{name}"), ", ".join(map(code, keys))))
    return table(("schema", "keys"), rows)
