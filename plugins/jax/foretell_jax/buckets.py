"""The batch sizes that programs are compiled for."""

from __future__ import annotations

from collections.abc import Sequence

from foretell.errors import ConfigError


def bucket_sizes(batch: int, shares: int, declared: Sequence[int] | None = None) -> tuple[int, ...]:
    """The sizes a batch may be padded to, smallest first.

    Args:
        batch: Rows of a full batch.
        shares: Into how many equal shares the rows of every batch are cut, one a device.
        declared: What the job says; None for the batch size and what halving it gives, so that a
            batch split for want of memory needs at most one more program for each split.

    Raises:
        ConfigError: a declared size that the shares do not divide, or none for a full batch.
    """
    if declared is None:
        sizes = set()
        size = batch
        while size:
            sizes.add(-(-size // shares) * shares)
            size //= 2
        return tuple(sorted(sizes))
    found = tuple(sorted(set(declared)))
    for size in found:
        if size % shares:
            raise ConfigError(
                "a bucket is not a multiple of the shares its rows are cut into",
                facts=[
                    ("bucket", f"{size} rows in this process"),
                    ("expected", f"a multiple of {shares}"),
                ],
                tries=[(f"{-(-size // shares) * shares}", "the next multiple")],
                slug="config-buckets",
            )
    if not found or found[-1] < batch:
        raise ConfigError(
            "no bucket holds a full batch",
            facts=[
                ("batch", f"{batch} rows in this process"),
                ("buckets", ", ".join(map(str, found)) or "none"),
            ],
            slug="config-buckets",
        )
    return found


def bucket_for(rows: int, sizes: Sequence[int]) -> int:
    """The smallest of the sizes that holds ``rows``.

    Raises:
        ConfigError: none does.
    """
    for size in sizes:
        if size >= rows:
            return size
    raise ConfigError(
        "no bucket holds this batch",
        facts=[("batch", f"{rows} rows"), ("buckets", ", ".join(map(str, sizes)))],
        slug="config-buckets",
    )
