"""``predictions.json``: what a folder of predictions is, and who may go on with it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any

from foretell.errors import FingerprintMismatch, StoreError
from foretell.store.objects import ObjectStore

KEY = "predictions.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class LoaderRecord:
    """One loader.

    Attributes:
        identity: ``index``: a row is its index in the dataset; ``count``: what a rank counted.
        rows: Rows of the dataset; None where they are counted.
        dataset: Class of the dataset.
    """

    identity: str
    rows: int | None
    dataset: str


@dataclass(frozen=True, slots=True)
class Record:
    """What a folder of predictions is.

    Attributes:
        format: ``zarr`` or ``pt``.
        interval: ``batch``, ``epoch`` or ``batch_and_epoch``.
        ranks: Processes of the Trainer.
        order: Of counted rows: ``rank`` (those of rank 0 first) or ``turns`` (one of each in turn).
        model: What identifies the model: the user's version, or a hash.
        loaders: In the order of the Trainer.
        complete: Whether every row is there and the spool is gone.
        counts: Once complete, for counted rows: rows of each loader and rank.
    """

    format: str
    interval: str
    ranks: int
    order: str
    model: str
    loaders: tuple[LoaderRecord, ...]
    complete: bool = False
    counts: tuple[tuple[int, ...], ...] = ()

    @property
    def counted(self) -> bool:
        """Whether the rows of some loader have no index."""
        return any(loader.identity == "count" for loader in self.loaders)


def read_record(objects: ObjectStore) -> Record | None:
    """The record of a folder; None when there is none.

    Raises:
        StoreError: it is damaged or of a newer version.
    """
    try:
        data = objects.get(KEY)
    except FileNotFoundError:
        return None
    try:
        found: dict[str, Any] = json.loads(data)
        version = found.pop("version")
        if version != VERSION:
            raise ValueError(f"it has version {version}, this program knows {VERSION}")
        loaders = tuple(LoaderRecord(**loader) for loader in found.pop("loaders"))
        counts = tuple(tuple(ranks) for ranks in found.pop("counts"))
        return Record(**found, loaders=loaders, counts=counts)
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(
            "the record of these predictions cannot be trusted",
            facts=[("folder", objects.url), ("file", KEY), ("because", str(error))],
            tries=[("output_dir=another folder", "keeps both")],
            slug="store-record",
        ) from error


def write_record(objects: ObjectStore, record: Record) -> None:
    """Store the record, replacing the one that is there."""
    text = json.dumps({"version": VERSION, **asdict(record)}, indent=1)
    objects.put(KEY, text.encode() + b"\n", leased=False)
    objects.taken(KEY)


def check_same(url: str, stored: Record, now: Record) -> None:
    """Refuse to go on with predictions of something else.

    Other ranks are fine where every row has an index, for then it does not matter who stored it;
    with ``pt`` the files of ranks that are gone would be taken for this run's.

    Raises:
        FingerprintMismatch: naming what differs.
    """
    ranks_matter = stored.format == "pt" or stored.counted or now.counted
    compared = ["format", "model", "loaders"]
    compared += ["ranks", "order"] if ranks_matter else []
    compared += ["interval"] if stored.format == "pt" else []
    differing = [name for name in compared if getattr(stored, name) != getattr(now, name)]
    if not differing:
        return
    facts = [("folder", url)]
    for name in differing:
        before, after = _shown(getattr(stored, name)), _shown(getattr(now, name))
        facts.append(("differs", f"{name} {before} → {after}"))
    raise FingerprintMismatch(
        "this folder holds the predictions of something else",
        facts=facts,
        tries=[
            ("output_dir=another folder", "keeps both"),
            (f"remove {url}", "if they are not wanted"),
        ],
    )


def refuse_foreign(objects: ObjectStore) -> None:
    """Refuse a folder that has files and no record: they could be taken for ours.

    Raises:
        StoreError: naming one of them.
    """
    for key in objects.list():
        raise StoreError(
            "there is something in the output folder that is no record of predictions",
            facts=[("folder", objects.url), ("found", key)],
            tries=[("output_dir=another folder", "")],
            slug="store-occupied",
        )


def held(objects: ObjectStore, *facts: tuple[str, str]) -> StoreError:
    """The error for a folder that another process writes to; ``facts`` say what shows it."""
    return StoreError(
        "another process writes these predictions",
        facts=[("folder", objects.url), *facts],
        tries=[("output_dir=another folder", "for each Trainer its own")],
        slug="store-held",
    )


def completed(record: Record, counts: tuple[tuple[int, ...], ...]) -> Record:
    """The record once every row is there."""
    return replace(record, complete=True, counts=counts)


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_shown(item) for item in value)
    if isinstance(value, LoaderRecord):
        rows = "counted rows" if value.rows is None else f"{value.rows:,} rows"
        return f"{value.dataset} ({rows})"
    return str(value)
