"""Files changed behind a source's back."""

import os
from pathlib import Path


def later(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 3_000_000_000))


def overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes in the middle of a file, keeping its size and its time."""
    assert len(old) == len(new)
    stat, data = path.stat(), path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
