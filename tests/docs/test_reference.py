"""What users can type, set, import or meet is in the reference, as the code has it.

These tests read the pages as text and the code by itself; they do not use the generator.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import foretell
import pytest
from foretell import errors, events, hookspecs
from foretell.cli.app import COMMANDS, sdk
from foretell.cli.exits import MEANINGS, Exit
from foretell.cli.schemas import DOCUMENTS
from foretell.config.schedule import ScheduleOptions
from foretell.plugins.manager import load_plugins
from foretell.store.head import Head
from foretell.types import ChunkState, RunState
from pydantic import BaseModel

PACKAGE = Path(foretell.__file__).parent
Read = Callable[[str], str]


def section(text: str, heading: str) -> str:
    """What stands below one heading, up to the next of its level or above."""
    level = len(heading) - len(heading.lstrip("#"))
    start = text.index(f"\n{heading}\n") + len(heading) + 2
    following = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, start)
    return text[start : following.start() if following else len(text)]


# --- the command line -------------------------------------------------------------------------


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(sdk)
    for name in COMMANDS:
        command = sdk.get_command(context, name)
        assert command is not None
        yield f"sdk {name}", command
        if isinstance(command, click.Group):
            for inner in command.list_commands(context):
                below = command.get_command(context, inner)
                assert below is not None
                yield f"sdk {name} {inner}", below


@pytest.mark.parametrize(("name", "command"), list(every_command()), ids=lambda v: str(v))
def test_every_option_of_every_command_is_documented(
    read: Read, name: str, command: click.Command
) -> None:
    text = section(read("reference/cli.md"), f"{'#' * len(name.split())}# {name}")
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            rows = [row for row in text.splitlines() if row.startswith("| `")]
            row = next((r for r in rows if re.search(rf"{parameter.opts[-1]}\b", r)), None)
            assert row is not None, f"{name} {parameter.opts}"
            assert (parameter.help or "").replace("|", "\\|") in row
            default = parameter.default
            if isinstance(default, str | int) and not isinstance(default, bool) and default != "":
                assert f"`{default}`" in row
        elif parameter.metavar:
            assert parameter.metavar in text


def test_every_command_has_its_summary(read: Read) -> None:
    text = read("reference/cli.md")
    for name, summary in COMMANDS.items():
        assert f"[`sdk {name}`](#sdk-{name}) | {summary} |" in text


def test_every_json_document_is_documented(read: Read) -> None:
    text = read("reference/cli.md")
    assert [name for name in DOCUMENTS if f"`foretell.{name}`" not in text] == []


def test_every_exit_code_is_documented_with_its_meaning(read: Read) -> None:
    text = read("reference/exit-codes.md")
    assert set(MEANINGS) == set(Exit)
    for number, meaning in MEANINGS.items():
        assert f"| `{int(number)}` | {meaning} |" in text


# --- settings ---------------------------------------------------------------------------------


def every_setting() -> Iterator[tuple[str, str, type[BaseModel]]]:
    known = load_plugins({"FORETELL_DISABLE_PLUGINS": "1"})
    for role in ("source", "predictor", "deployer", "writer"):
        for claim in known.claims(role):
            yield role, claim.entry.name, known.resolve(role, claim.entry.name)
    yield "schedule", "", ScheduleOptions


@pytest.mark.parametrize(("role", "kind", "model"), list(every_setting()), ids=lambda v: str(v))
def test_every_setting_is_documented(
    read: Read, role: str, kind: str, model: type[BaseModel]
) -> None:
    part = section(read("reference/job-file.md"), f"## [{role}]")
    text = section(part, f"### {kind}") if kind else part
    for name, field in model.model_fields.items():
        if name == "kind":
            continue
        row = next(r for r in text.splitlines() if r.startswith(f"| `{name}` |"))
        assert f"`FORETELL_{role.upper()}__{name.upper()}`" in row
        assert field.description is not None, f"{role}.{name} has no description"
        assert field.description.replace("|", "\\|") in row
        default = field.get_default(call_default_factory=True)
        if field.is_required():
            assert "| required |" in row
        elif isinstance(default, bool):
            assert f"| `{str(default).lower()}` |" in row
        elif isinstance(default, int | float):
            assert f"| `{default:g}` |" in row
        elif isinstance(default, str):
            assert default in row


def test_every_kind_is_listed(read: Read) -> None:
    text = read("reference/job-file.md")
    for role, kind, _ in every_setting():
        if kind:
            assert f"| `[{role}]` | `{kind}` |" in text


def test_every_environment_variable_is_documented(read: Read) -> None:
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        if "testing" not in path.parts:
            text = path.read_text(encoding="utf-8")
            found |= set(re.findall(r'environ[\w.]*(?:\[|\.get\()"([A-Z_]+)"', text))
            found |= set(re.findall(r'"(FORETELL_[A-Z_]+[A-Z])"', text))
    found -= {name for name in found if name.startswith("FORETELL_TESTING")}
    text = read("reference/job-file.md") + read("reference/cli.md")
    known = {"HOME", "XDG_CACHE_HOME", "AWS_DEFAULT_REGION"}
    assert sorted(name for name in found - known if name not in text) == []


# --- hooks, events, contracts, names ----------------------------------------------------------


def specified_hooks() -> dict[str, Callable[..., object]]:
    marked = f"{hookspecs.PROJECT}_spec"
    return {name: hook for name, hook in vars(hookspecs).items() if hasattr(hook, marked)}


@pytest.mark.parametrize("name", specified_hooks())
def test_every_hook_is_documented_with_its_signature(read: Read, name: str) -> None:
    text = section(read("reference/hooks.md"), f"## {name}")
    hook = specified_hooks()[name]
    annotations = [
        f"{parameter.name}: {parameter.annotation}"
        for parameter in inspect.signature(hook).parameters.values()
    ]
    returns = inspect.signature(hook).return_annotation
    assert f"def {name}({', '.join(annotations)}) -> {returns}: ..." in text
    assert (hook.__doc__ or "").split(".")[0].replace("``", "`") in text


def event_classes() -> list[type[events.Event]]:
    return [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
    ]


@pytest.mark.parametrize("kind", event_classes(), ids=lambda kind: kind.name)
def test_every_event_is_documented_with_its_fields(read: Read, kind: type[events.Event]) -> None:
    text = section(read("reference/events.md"), f"## {kind.name}")
    assert f"`foretell.events.{kind.__name__}`" in text
    for field in dataclasses.fields(kind):
        assert f"| `{field.name}` | `{field.type}` |" in text
    assert kind.name in specified_hooks(), "an event nobody is told of"


def test_every_public_name_is_documented(read: Read) -> None:
    text = read("reference/python.md")
    assert [n for n in foretell.__all__ if f"| `foretell.{n}` |" not in text] == []


@pytest.mark.parametrize("name", ["predict", "open_run", "stream"])
def test_functions_are_documented_with_their_signature(read: Read, name: str) -> None:
    text = section(read("reference/python.md"), f"## foretell.{name}")
    for parameter in inspect.signature(getattr(foretell, name)).parameters.values():
        shown = f"{parameter.name}: {parameter.annotation}"
        if parameter.default is not parameter.empty:
            shown += f" = {parameter.default!r}"
        assert shown.replace("'", '"') in text


@pytest.mark.parametrize("name", ["Source", "Predictor", "Deployer", "Deployment", "Writer"])
def test_contracts_are_documented_with_their_signatures(read: Read, name: str) -> None:
    import foretell.abc

    text = section(read("reference/contracts.md"), f"## {name}")
    one_line = " ".join(text.split()).replace("( self", "(self").replace(", )", ")")
    for method, member in vars(getattr(foretell.abc, name)).items():
        if method.startswith("_") or not inspect.isfunction(member):
            continue
        parameters = list(inspect.signature(member).parameters.values())[1:]
        for parameter in parameters:
            assert f"{parameter.name}: {parameter.annotation}" in one_line
        returns = str(inspect.signature(member).return_annotation).replace("'", '"')
        assert re.search(rf"def {method}\([^)]*\)? ?.*?-> {re.escape(returns)}: \.\.\.", one_line)


# --- errors and states ------------------------------------------------------------------------


def error_classes() -> dict[str, type[errors.ForetellError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.ForetellError)
    }


def used_slugs() -> set[str]:
    """Slugs of the classes, and every literal one that is given anywhere."""
    found = {kind.slug for kind in error_classes().values()}
    for path in PACKAGE.rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for keyword in getattr(call, "keywords", ()):
                if keyword.arg == "slug" and isinstance(keyword.value, ast.Constant):
                    found.add(str(keyword.value.value))
    return found


@pytest.mark.parametrize("name", error_classes())
def test_every_error_class_is_documented(read: Read, name: str) -> None:
    kind = error_classes()[name]
    base = kind.__mro__[1].__name__
    row = f"| `{name}` | `{base}` | `{kind.slug}` | `{kind.exit_code}` |"
    assert row in read("reference/errors.md")


def test_every_slug_is_documented(read: Read) -> None:
    text = section(read("reference/errors.md"), "## Slugs")
    given = {slug for slug in used_slugs() if slug}
    assert sorted(slug for slug in given if f"| `{slug}` |" not in text) == []


def test_exit_codes_of_errors_are_exit_codes() -> None:
    assert {kind.exit_code for kind in error_classes().values()} <= {int(code) for code in Exit}


def test_states_and_head_are_documented(read: Read) -> None:
    text = read("reference/store-format.md")
    assert ", ".join(f"`{state.name.lower()}`" for state in ChunkState) in text
    assert ", ".join(f"`{state.value}`" for state in RunState) in text
    head = section(text, "## Head")
    assert [f.name for f in dataclasses.fields(Head) if f"| `{f.name}` |" not in head] == []
