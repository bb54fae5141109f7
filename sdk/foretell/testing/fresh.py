"""Build a part again in a fresh process, from nothing but its class's name and plain options."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foretell.abc.options import Options
from foretell.imports import load_object
from foretell.workspaces import installed_spec

FRAMEWORKS = frozenset(
    {"torch", "jax", "jaxlib", "lightning", "flax", "tensorflow", "keras", "transformers"}
    | {"onnxruntime", "sklearn", "textual"}
)
"""What constructing a part, or importing a plugin, must not import."""

_SCRIPT = "import sys; from foretell.testing.fresh import main; main(sys.argv[1])"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a fresh process found.

    Attributes:
        result: What the method returned, as JSON has it.
        imported: Frameworks that were imported on the way.
    """

    result: Any
    imported: tuple[str, ...]


def import_string(cls: type) -> str:
    """How a fresh process finds a class: by its module, or by its file where that is a test's."""
    if installed_spec(cls.__module__, Path(os.devnull)) is not None:
        return f"{cls.__module__}:{cls.__qualname__}"
    return f"{sys.modules[cls.__module__].__file__}:{cls.__qualname__}"


def rebuild(
    cls: type, options: Options, method: str | None = None, heavy: tuple[str, ...] = ()
) -> Rebuilt:
    """Build ``cls`` from ``options`` in a fresh process and call ``method`` of it.

    Args:
        cls: A part with ``Options`` and ``from_options``, defined at the top of its module.
        options: Its settings; they cross over as plain JSON, the way workers get them.
        method: Called without arguments; its result must be plain data.
        heavy: Further modules that count as frameworks.

    Raises:
        AssertionError: the process failed; with what it said.
    """
    request = {
        "cls": import_string(cls),
        "options": options.model_dump(mode="json"),
        "base_dir": str(options.base_dir),
        "method": method,
        "heavy": sorted(FRAMEWORKS.union(heavy)),
    }
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, json.dumps(request)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"a fresh process could not build it:\n{done.stderr}"
    answer = json.loads(done.stdout.splitlines()[-1])
    return Rebuilt(answer["result"], tuple(answer["imported"]))


def main(text: str) -> None:
    """The other side: build, call, and print the answer as one line of JSON."""
    answer = json.dumps(_answer(json.loads(text)))
    sys.stdout.write(f"\n{answer}\n")


def _answer(request: Mapping[str, Any]) -> dict[str, Any]:
    cls = load_object(request["cls"], request["base_dir"])
    options = cls.Options.model_validate(request["options"]).at(request["base_dir"])
    part = cls.from_options(options)
    result = None if request["method"] is None else getattr(part, request["method"])()
    if isinstance(result, Mapping):
        result = dict(result)
    return {"result": result, "imported": sorted(set(request["heavy"]) & set(sys.modules))}
