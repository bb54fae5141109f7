"""Lines of ``sdk doctor``: which targets work on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from foretell_accelerator import registry


def targets() -> Iterator[tuple[str, str, str, str]]:
    """One line for each registered target: name, level, what was found, what to do.

    A target that cannot be used is no fault; the line says what it lacks.
    """
    for entry in registry.targets():
        name = f"target {entry.name}"
        try:
            target = registry.target(entry.name)
            reason = target.usable()
        except Exception as error:
            yield name, "warn", f"cannot be checked: {error}".partition("\n")[0], ""
            continue
        if not reason:
            versions = ", ".join(f"{name} {text}" for name, text in target.versions().items())
            yield name, "ok", f"usable{': ' if versions else ''}{versions}", ""
            continue
        wants = reason.startswith("not installed") and target.extra
        fix = f"pip install 'foretell[{target.extra}]', if you need it" if wants else ""
        yield name, "ok", reason, fix
