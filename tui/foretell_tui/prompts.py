"""Questions in front of the dashboard: a line of text, yes or no."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from foretell_tui.line import safe

_CSS = """
{name} {{ align: center middle; }}
{name} > Vertical {{
    width: 76; max-width: 96%; height: auto; padding: 1 2;
    border: round $primary; background: $surface;
}}
{name} Static {{ width: 100%; height: auto; }}
{name} .keys {{ color: $foreground 70%; }}
"""


class TextPrompt(ModalScreen[str | None]):
    """Asks for a line of text; Esc gives None."""

    CSS = _CSS.format(name="TextPrompt")
    BINDINGS: ClassVar[list[BindingType]] = [("escape", "leave", "Back")]

    def __init__(self, question: str, value: str = "") -> None:
        super().__init__()
        self._question, self._value = question, value

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(safe(self._question)))
            yield Input(self._value)
            yield Static(Content("Enter takes it, Esc leaves it"), classes="keys")

    def on_mount(self) -> None:
        self.query_one(Input).focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())

    def action_leave(self) -> None:
        self.dismiss(None)


class Confirm(ModalScreen[bool]):
    """Asks before a command is run: only ``y`` says yes."""

    CSS = _CSS.format(name="Confirm")
    BINDINGS: ClassVar[list[BindingType]] = [
        ("y", "answer(True)", "Yes"),
        ("n", "answer(False)", "No"),
        ("escape", "answer(False)", "No"),
        ("enter", "answer(False)", "No"),
    ]

    def __init__(self, command: str, effect: str) -> None:
        super().__init__()
        self._text = f"Run this?\n\n  {safe(command)}\n\n{effect}\n\ny yes   n no"

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Content(self._text))

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)
