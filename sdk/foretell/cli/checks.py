"""Checks of this machine, each with its fix. Nothing heavy is imported to make them."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from foretell.paths import cache_dir
from foretell.text import plural, size

LEVELS = OK, WARN, FAIL = "ok", "warn", "fail"

FEW_FILES = 1024
SMALL_SHM = 64 * 2**20
LITTLE_MEMORY = 2 * 2**30
LITTLE_CACHE = 2**30


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        name: What was looked at.
        level: ``ok``, ``warn`` or ``fail``.
        text: What was found.
        fix: What to do, empty when nothing is to be done.
    """

    name: str
    level: str
    text: str
    fix: str = ""


def all_checks() -> Iterator[Check]:
    """Every check; one that cannot be made says so instead of stopping the others."""
    for check in (
        python,
        packages,
        extras,
        plugins,
        cache,
        shared_memory,
        open_files,
        cores,
        memory,
        terminal,
    ):
        try:
            yield from check()
        except Exception as error:
            reason = f"cannot be checked: {type(error).__name__}: {error}"
            yield Check(check.__name__.replace("_", " "), WARN, reason)
    yield from of_plugins()


def python() -> Iterator[Check]:
    """The interpreter."""
    found = platform.python_version()
    fine = sys.version_info >= (3, 11)
    fix = "" if fine else "install Python 3.11 or newer"
    yield Check("python", OK if fine else FAIL, f"{found} ({sys.executable})", fix)


def packages() -> Iterator[Check]:
    """What the core needs, in the versions it needs."""
    for requirement in _requirements(""):
        yield _package(requirement, FAIL, "pip install --upgrade foretell")


def extras() -> Iterator[Check]:
    """What the extras need; missing ones are no fault."""
    from packaging.requirements import Requirement

    names = metadata.metadata("foretell").get_all("Provides-Extra") or []
    for extra in sorted(set(names) - {"dev", "bench"}):
        wanted = [Requirement(str(r)) for r in _requirements(extra)]
        missing = [r.name for r in wanted if _version(r.name) is None]
        fix = f"pip install 'foretell[{extra}]', if you need it" if missing else ""
        text = f"not installed: {', '.join(missing)}" if missing else "installed"
        yield Check(f"extra {extra}", OK, text, fix)


def _requirements(extra: str) -> Iterator[str]:
    from packaging.requirements import Requirement

    for line in metadata.requires("foretell") or []:
        requirement = Requirement(line)
        marker = requirement.marker
        inside = marker is None or marker.evaluate({"extra": extra})
        of_extra = marker is not None and not marker.evaluate({"extra": ""})
        if inside and of_extra == bool(extra):
            yield line


def _package(line: str, level: str, fix: str) -> Check:
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    found = _version(requirement.name)
    if found is None:
        return Check(requirement.name, level, "not installed", fix)
    if not requirement.specifier.contains(found, prereleases=True):
        return Check(requirement.name, level, f"{found}, needs {requirement.specifier}", fix)
    return Check(requirement.name, OK, found)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def plugins() -> Iterator[Check]:
    """Plugins that cannot be used."""
    from foretell.cli.parts import plugins as load

    found = load()
    for item in found.broken():
        fix = f"pip install --upgrade or uninstall {item.origin.distribution.partition(' ')[0]}"
        yield Check(f"plugin {item.origin.name}", WARN, item.reason, fix)
    if not found.broken():
        yield Check("plugins", OK, f"{plural(len(found.origins()), 'plugin')}, none broken")


def of_plugins() -> Iterator[Check]:
    """What plugins look at; one that raises says so, and stops no other."""
    from foretell.cli.parts import plugins as load

    found = load()
    for claim in found.claims("check"):
        name = claim.entry.name
        try:
            for looked_at, level, text, fix in found.check(name)():
                yield Check(looked_at, level if level in LEVELS else WARN, text, fix)
        except Exception as error:
            yield Check(name, WARN, f"cannot be checked: {type(error).__name__}: {error}")


def cache() -> Iterator[Check]:
    """The cache can be written and has room."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "set FORETELL_CACHE_DIR to a folder that can be written"
        yield Check("cache", FAIL, f"{folder}: {error.strerror or error}", fix)
        return
    free = shutil.disk_usage(folder).free
    low = free < LITTLE_CACHE
    fix = "free some space or set FORETELL_CACHE_DIR" if low else ""
    yield Check("cache", WARN if low else OK, f"{folder}, {size(free)} free", fix)


def shared_memory() -> Iterator[Check]:
    """Frameworks pass tensors between processes through /dev/shm."""
    if not os.path.isdir("/dev/shm"):
        return
    usage = shutil.disk_usage("/dev/shm")
    small = usage.total < SMALL_SHM
    fix = "docker run --shm-size=1g" if small else ""
    yield Check("/dev/shm", WARN if small else OK, f"{size(usage.total)}", fix)


def open_files() -> Iterator[Check]:
    """Workers hold many sockets and files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = 0 <= soft < FEW_FILES
    fix = f"ulimit -n {FEW_FILES if hard < 0 else min(hard, 65536)}" if few else ""
    shown = "no limit" if soft < 0 else f"{soft:,}"
    yield Check("open files", WARN if few else OK, shown, fix)


def cores() -> Iterator[Check]:
    """Cores this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _cgroup_cores()
    text = f"{usable} usable" + (f", {quota:.3g} by the container" if quota else "")
    yield Check("cores", OK, text)


def _cgroup_cores() -> float | None:
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def memory() -> Iterator[Check]:
    """Memory this process may use."""
    import psutil

    total = int(psutil.virtual_memory().total)
    limit = _cgroup_memory()
    usable = min(total, limit) if limit else total
    little = usable < LITTLE_MEMORY
    text = size(usable) + (" by the container" if limit and limit < total else "")
    fix = "schedule.workers = 1 and a small predictor.batch_size" if little else ""
    yield Check("memory", WARN if little else OK, text, fix)


def _cgroup_memory() -> int | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def terminal() -> Iterator[Check]:
    """Whether the terminal shows more than ASCII."""
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    fine = encoding.replace("-", "") == "utf8"
    yield Check("terminal", OK if fine else WARN, encoding, "" if fine else "export LANG=C.UTF-8")
