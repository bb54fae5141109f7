"""What tests of object stores share: a lease that runs out, and what is in a folder."""

from pathlib import Path

from foretell.errors import LeaseLost


class CountedLease:
    """Holds for a given number of checks, or for ever."""

    def __init__(self, checks: float = float("inf")) -> None:
        self.left = checks

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise LeaseLost("the lease ran out")


def files(root: str | Path) -> list[str]:
    """Every file under a folder, its path from there."""
    return sorted(str(path.relative_to(root)) for path in Path(root).rglob("*") if path.is_file())
