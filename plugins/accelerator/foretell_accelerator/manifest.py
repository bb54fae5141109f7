"""``manifest.json``: everything an artifact knows about itself, hashed.

It stands beside the compiled programs and names every file they need with its size and hash. Its
own hash is over all of it but that hash, so a change anywhere is noticed before anything runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from foretell.digest import hash_file, hash_json
from foretell.types import JSON

from foretell_accelerator.errors import ArtifactError, refused
from foretell_accelerator.schema import ArraySpec

NAME = "manifest.json"
FORMAT = "foretell-artifact"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Program:
    """One compiled program: fixed shapes, its own folder.

    Attributes:
        name: Unique in the artifact; the name of its folder.
        role: ``main``; of a decoder ``full``, ``prefill`` or ``step``.
        inputs, outputs: In the order the program takes and gives them.
        rows: Length of axis 0 of every input and output; None when they do not share one, and
            then only whole calls are possible.
        length: Compiled sequence length of a decoder, 0 otherwise.
        structure: What the model returned: ``array``, ``tuple`` or ``mapping``.
    """

    name: str
    inputs: tuple[ArraySpec, ...]
    outputs: tuple[ArraySpec, ...]
    role: str = "main"
    rows: int | None = None
    length: int = 0
    structure: str = "array"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Program:
        """The inverse of :meth:`to_json`."""
        given = dict(data)
        for part in ("inputs", "outputs"):
            given[part] = tuple(ArraySpec.from_json(item) for item in data[part])
        return cls(**given)

    def to_json(self) -> dict[str, JSON]:
        """As the manifest has it."""
        return {
            "name": self.name,
            "role": self.role,
            "rows": self.rows,
            "length": self.length,
            "structure": self.structure,
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
        }


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact is.

    Attributes:
        name: Given at compile time.
        target: The target's name.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        device: Kind of device the programs run on, as the target tells it.
        options: Options of the target.
        versions: Of what runs the programs; they must be the same where they run.
        compiler: Versions of what compiled them, for the record.
        fingerprint: Parts that identify the model.
        rewrites: Names of the rewrites that were applied, in order.
        programs: The compiled programs.
        calibration: How the outputs differ from the eager model's, see :mod:`.calibrate`.
        decoder: For text generation: vocabulary size, start and stop tokens, tokenizer.
        files: Relative path to (size, hash).
        hash: Of everything above.
    """

    name: str
    target: str
    precision: str
    device: str
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    compiler: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    rewrites: tuple[str, ...] = ()
    programs: tuple[Program, ...] = ()
    calibration: Mapping[str, Any] = field(default_factory=dict)
    decoder: Mapping[str, Any] | None = None
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    hash: str = ""

    def sealed(self) -> Manifest:
        """The same with its hash."""
        return replace(self, hash=hash_json(self._body()))

    def _body(self) -> dict[str, Any]:
        body = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "hash"}
        body["programs"] = [program.to_json() for program in self.programs]
        return {"format": FORMAT, "version": VERSION, **body}

    def to_json(self) -> dict[str, Any]:
        """The document."""
        return {**self._body(), "hash": self.hash}

    def write(self, folder: Path) -> None:
        """Put the document into the folder, whole or not at all."""
        staged = folder / f".{NAME}.new"
        staged.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")
        os.replace(staged, folder / NAME)


def read_manifest(folder: Path | str) -> Manifest:
    """Read and check a manifest; the files it names are not looked at.

    Raises:
        ArtifactError: there is none, or it was changed.
    """
    path = Path(folder) / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArtifactError(
            "there is no artifact in this folder",
            facts=[("looked for", str(path)), ("cause", error.strerror or str(error))],
            tries=[("sdk compile JOB.toml --artifact DIR", "makes one")],
            slug="artifact-missing",
        ) from error
    except ValueError as error:
        raise _damaged(path, "it is not JSON") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise _damaged(path, f"it does not say {FORMAT!r}")
    if data.get("version") != VERSION:
        raise refused("version", VERSION, data.get("version"), str(folder))
    claimed = data.pop("hash", None)
    if hash_json(data) != claimed:
        raise _damaged(path, "its hash is not that of its content")
    try:
        return _from_json(data, claimed)
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _from_json(data: Mapping[str, Any], claimed: str) -> Manifest:
    given = {k: v for k, v in data.items() if k not in ("format", "version")}
    given["programs"] = tuple(Program.from_json(item) for item in data["programs"])
    given["rewrites"] = tuple(data["rewrites"])
    given["files"] = {path: (int(n), str(digest)) for path, (n, digest) in data["files"].items()}
    return Manifest(**given, hash=claimed)


def _damaged(path: Path, why: str) -> ArtifactError:
    return ArtifactError(
        "the artifact's manifest was changed or is damaged",
        facts=[("file", str(path)), ("because", why)],
        tries=[("sdk compile JOB.toml --artifact DIR", "makes it anew")],
        slug="artifact-damaged",
    )


def hash_files(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file below the folder but the manifest: size and hash."""
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, hash_file(path))
        for path in found
        if path.name not in (NAME, f".{NAME}.new")
    }


def verify_files(folder: Path, manifest: Manifest) -> None:
    """Check every file an artifact needs.

    Raises:
        ArtifactError: the first that is missing or was changed, by name.
    """
    for name, (size, digest) in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise _changed(folder, name, "it is missing")
        found = path.stat().st_size
        if found != size:
            raise _changed(folder, name, f"{size:,} bytes expected, got {found:,}")
        if hash_file(path) != digest:
            raise _changed(folder, name, "its bytes are not those that were compiled")


def _changed(folder: Path, name: str, why: str) -> ArtifactError:
    return ArtifactError(
        f"the artifact's file {name} was changed or is damaged",
        facts=[("artifact", str(folder)), ("file", name), ("because", why)],
        tries=[("sdk compile JOB.toml --artifact DIR", "makes it anew")],
        slug="artifact-damaged",
    )
