"""What can go wrong in a pool. All of these are :class:`foretell.errors.ForetellError`."""

from __future__ import annotations

import importlib.util

from foretell.errors import ForetellError, LoadError


class PoolError(ForetellError):
    """A task could not be done."""

    slug = "expert-pool"


class TaskRefused(PoolError, ValueError):
    """The task does not fit the pool: wrong shape, dtype, number of tensors or rows."""

    slug = "expert-task"
    exit_code = 2


class PoolFull(PoolError):
    """The pool held ``pool_size`` tasks for as long as a submit may wait."""

    slug = "expert-pool-full"


class PoolClosed(PoolError):
    """The pool was shut down before the task was done."""

    slug = "expert-pool-closed"


class ProcessFailed(PoolError):
    """The process function broke its contract, or ended with something that is no Exception."""

    slug = "expert-process"


class ProcessHung(PoolError, TimeoutError):
    """The process function did not return in time."""

    slug = "expert-hung"


class TaskExpired(PoolError, TimeoutError):
    """The task waited longer than a task may wait."""

    slug = "expert-expired"


class StateChanged(Exception):
    """Raised by a process function that failed after it had begun to change its state.

    Its batch is then not computed again in smaller parts; the cause is what its tasks raise.
    """


def framework_missing(error: ModuleNotFoundError) -> ImportError:
    """What to raise when the plugin's framework is not installed.

    Returns:
        ``error`` itself when it is about another module.
    """
    if error.name not in ("torch", "safetensors"):
        return error
    return ModuleNotFoundError(
        f"the expert pool needs {error.name}: pip install 'foretell[experts]'", name=error.name
    )


def check_framework() -> None:
    """Refuse to go on without the framework; nothing is imported.

    Raises:
        LoadError: naming the extra that brings it.
    """
    for name in ("torch", "safetensors"):
        try:
            missing = importlib.util.find_spec(name) is None
        except ValueError:  # somebody blocks it
            missing = True
        if missing:
            raise not_loaded("the expert pool", ModuleNotFoundError(name=name))


def not_loaded(what: str, error: BaseException) -> LoadError:
    """A :class:`LoadError` with the cause, naming the extra where the framework is missing."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "safetensors"):
        return LoadError(
            f"{what} needs {error.name}",
            tries=[("pip install 'foretell[experts]'", "brings it")],
            slug="load-experts",
        )
    return LoadError(
        f"{what} could not be loaded", facts=[("cause", f"{type(error).__name__}: {error}")]
    )
