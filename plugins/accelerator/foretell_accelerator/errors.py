"""Refusals of this package: each names the field, what was expected and what is there."""

from __future__ import annotations

from collections.abc import Iterable

from foretell.errors import Fact, LoadError, ShapeMismatch, UsageError


class ArtifactError(LoadError):
    """An artifact cannot be used here: damaged, of another model, version, target or device."""

    slug = "artifact"


class InputError(UsageError, ShapeMismatch):
    """Inputs that an artifact was not compiled for. Nothing was run."""

    slug = "artifact-input"


class CompileError(LoadError):
    """A model cannot be compiled for a target."""

    slug = "compile"


def refused(
    field: str, expected: object, got: object, where: str, tries: Iterable[Fact] = ()
) -> ArtifactError:
    """An artifact whose ``field`` is not what is needed here."""
    return ArtifactError(
        f"the artifact has another {field}",
        facts=[
            ("artifact", where),
            ("field", field),
            ("expected", str(expected)),
            ("got", str(got)),
        ],
        tries=tries,
        slug=f"artifact-{field.replace(' ', '-')}",
    )
