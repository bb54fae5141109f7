"""What one invocation of ``sdk`` shares between its parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from foretell.cli.render import Messages


@dataclass(slots=True)
class Session:
    """One invocation.

    Attributes:
        arguments: What was typed after ``sdk``.
        messages: stderr.
        json: Whether stdout holds one document.
        progress: How progress is shown: auto, live, plain, json, quiet.
    """

    arguments: Sequence[str] = ()
    messages: Messages = field(default_factory=Messages)
    json: bool = False
    progress: str = "auto"

    @property
    def quiet(self) -> bool:
        """Whether only errors are told."""
        return self.messages.quiet

    @property
    def command(self) -> str:
        """The command line for the run's record, secrets hidden."""
        from foretell.cli.reports import safe_arguments

        return " ".join(["sdk", *safe_arguments(self.arguments)])
