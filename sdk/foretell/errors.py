"""The error family: what went wrong, the values and where they came from, and what to do.

Every error a user can meet derives from :class:`ForetellError`. It knows its exit code and a short
slug, carries *facts* (label, text) and *tries* (command, effect), and is rendered by the command
line in one style. ``str(error)`` is a complete plain-text rendering for everyone else.
"""

from __future__ import annotations

from collections.abc import Iterable

Fact = tuple[str, str]


class ForetellError(Exception):
    """Base of all errors this package raises on purpose.

    Args:
        message: What happened, one line, no full stop.
        facts: (label, text) pairs: the offending values and where they came from.
        tries: (what to do, effect) pairs: commands or changes that help.
        slug: Overrides the class's stable short name, e.g. ``store-fingerprint``.
    """

    slug: str = "error"
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        facts: Iterable[Fact] = (),
        tries: Iterable[Fact] = (),
        slug: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.facts = tuple((str(label), str(text)) for label, text in facts)
        self.tries = tuple((str(action), str(effect)) for action, effect in tries)
        if slug is not None:
            self.slug = slug

    def __str__(self) -> str:
        return "\n".join(render(self))

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.facts, self.tries, self.slug))


def _rebuild(
    cls: type[ForetellError],
    message: str,
    facts: tuple[Fact, ...],
    tries: tuple[Fact, ...],
    slug: str,
) -> ForetellError:
    error = cls.__new__(cls)
    ForetellError.__init__(error, message, facts=facts, tries=tries, slug=slug)
    return error


def render(error: ForetellError) -> list[str]:
    """The error as lines of plain text: headline, aligned facts, then what to try."""
    reach = max((len(action) for action, effect in error.tries if effect), default=0)
    pairs = [*error.facts]
    pairs += [
        ("try", f"{action:<{reach}}      {effect}".rstrip()) for action, effect in error.tries
    ]
    width = max((len(label) for label, _ in pairs), default=0)
    lines = [f"error[{error.slug}]: {error.message}"]
    previous = None
    for label, text in pairs:
        shown = "" if label == previous == "try" else label
        first, *rest = text.splitlines() or [""]
        lines.append(f"  {shown:<{width}}   {first}".rstrip())
        lines += [f"  {'':<{width}}   {line}".rstrip() for line in rest]
        previous = label
    return lines


class UsageError(ForetellError):
    """The command or call itself is wrong. Nothing was started."""

    slug = "usage"
    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, missing, of the wrong type or out of range. Nothing was started."""

    slug = "config"


class PlanError(UsageError):
    """The settings are fine one by one but no valid plan follows from them."""

    slug = "plan"


class OutputError(UsageError):
    """The model's outputs cannot be stored: reserved name, unsupported dtype, wrong shape."""

    slug = "output"


class PartialResult(ForetellError):
    """The run finished, but some rows or chunks have no prediction."""

    slug = "partial"
    exit_code = 3


class LoadError(ForetellError):
    """A model, source or plugin cannot be loaded."""

    slug = "load"
    exit_code = 4


class PluginError(LoadError):
    """A plugin is unknown, broken, claimed twice, or misbehaved."""

    slug = "plugin"


class UnknownPlugin(PluginError):
    """A name nobody registered was asked for: the user's typo. Nothing was started.

    Args:
        role: What was wanted: ``predictor``.
        name: The name asked for.
        known: The registered names.
        nearest: The one most like it, if any is.
    """

    slug = "plugin-unknown"
    exit_code = 2
    known: tuple[str, ...] = ()
    nearest: str | None = None

    def __init__(self, role: str, name: str, known: Iterable[str], nearest: str | None) -> None:
        self.known = tuple(known)
        self.nearest = nearest
        super().__init__(
            f'no {role} is called "{name}"',
            facts=[("known", ", ".join(self.known) or "none")],
            tries=[(nearest, "the nearest known name")] if nearest else [("sdk plugins", "")],
        )


class StoreError(ForetellError):
    """The run store cannot be used: not writable, another job's, damaged, or not a run."""

    slug = "store"
    exit_code = 5


class NotARun(StoreError):
    """There is no run at this place."""

    slug = "not-a-run"


class FingerprintMismatch(StoreError):
    """The store belongs to a job that differs from this one."""

    slug = "store-fingerprint"


class DamagedLedger(StoreError):
    """A ledger segment is missing, out of order, or does not match its checksum."""

    slug = "ledger-damaged"


class NotYetPredicted(StoreError, LookupError):
    """A value was asked for that no finished chunk covers."""

    slug = "not-yet-predicted"


class HeldError(ForetellError):
    """Another driver holds this run, or took it over."""

    slug = "held"
    exit_code = 6


class Fenced(HeldError):
    """A newer driver has taken over: this one must stop and may not write again."""

    slug = "fenced"


class BudgetError(ForetellError):
    """Too many rows failed, or ``on_error = "fail"`` met its first failure."""

    slug = "budget"
    exit_code = 7


class StorageError(ForetellError):
    """The storage gave out: disk full, store vanished, object store unreachable."""

    slug = "storage"
    exit_code = 7


class Interrupted(ForetellError):
    """The run was drained on request and can be resumed."""

    slug = "interrupted"
    exit_code = 75


class RowFailure(Exception):
    """Raised by a predictor that knows which rows of a batch are to blame.

    Raising it spares the engine the search: the named rows are quarantined, the rest of the batch
    is predicted again without them.

    Args:
        positions: Index of each bad row *within the examples* handed to the predictor.
        message: Why, one line.
    """

    def __init__(self, positions: Iterable[int], message: str) -> None:
        super().__init__(message)
        self.positions = tuple(int(position) for position in positions)
        self.message = message

    def __reduce__(self) -> tuple[object, ...]:
        return (RowFailure, (self.positions, self.message))


class ShapeMismatch(ForetellError):
    """The model's output has another shape, dtype, length or name than the plan promised."""

    slug = "output-mismatch"
    exit_code = 2


class NotFinite(BudgetError):
    """An output has a NaN or an infinity and the policy is ``on_nan = "fail"``."""

    slug = "not-finite"


class LeaseLost(ForetellError):
    """A worker may not write: its driver has not renewed the lease in time."""

    slug = "lease-lost"
    exit_code = 6


class ServiceLost(ForetellError):
    """A call did not reach its service, or the service died in the middle of it."""

    slug = "service-lost"
    exit_code = 4


class UnknownOutput(UsageError, KeyError):
    """A run has no output of that name."""

    slug = "unknown-output"
