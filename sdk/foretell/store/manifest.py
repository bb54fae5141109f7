"""``manifest.json``: what the run is. Written once, never changed, checked by its own hash."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from foretell.errors import NotARun, StorageError, StoreError
from foretell.redact import redact
from foretell.store.layout import MANIFEST
from foretell.store.objects import ObjectStore

FORMAT = "foretell-run"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Manifest:
    """One run, as planned.

    Attributes:
        job: Resolved settings by section, plain JSON, secrets removed.
        fingerprint: Named parts that identify source, model, plan and writer.
        plan: What ``Plan.to_json`` returned.
        versions: Versions of what computes, by distribution name.
        created: Seconds since the epoch.
        live: Whether the run was started from live Python objects, which no command can restore.
        base_dir: Folder that relative paths and import strings are looked up in.
        hash: Of all the rest; filled in by :func:`write_manifest`.
    """

    job: Mapping[str, Any]
    fingerprint: Mapping[str, str]
    plan: Mapping[str, Any]
    versions: Mapping[str, str]
    created: float
    live: bool = False
    base_dir: str = ""
    hash: str = field(default="")

    @property
    def n_chunks(self) -> int:
        """Chunks of the plan; 0 for no rows."""
        return int(-(-self.plan["n_rows"] // self.plan["chunk_rows"]))


def new_manifest(
    *,
    job: Mapping[str, Any],
    fingerprint: Mapping[str, str],
    plan: Mapping[str, Any],
    versions: Mapping[str, str],
    live: bool = False,
    base_dir: str = "",
    created: float | None = None,
) -> Manifest:
    """The manifest of a new run, as it will be stored: secrets removed, hash filled in."""
    created = time.time() if created is None else created
    return sealed(Manifest(job, fingerprint, plan, versions, created, live, base_dir))


def sealed(manifest: Manifest) -> Manifest:
    """The manifest as it is stored: secrets removed, hash filled in."""
    clean = replace(manifest, job=redact(dict(manifest.job)))
    return replace(clean, hash=_hash(_document(clean)))


def write_manifest(objects: ObjectStore, manifest: Manifest) -> bool:
    """Store the manifest if there is none; whether there was none."""
    text = json.dumps(_document(sealed(manifest), with_hash=True), indent=1, allow_nan=False)
    return objects.create(MANIFEST, text.encode() + b"\n")


def check_there(objects: ObjectStore) -> None:
    """Notice a store that somebody deletes while it is written.

    Raises:
        StorageError: the manifest, which never goes, is gone.
    """
    try:
        objects.version(MANIFEST)
    except FileNotFoundError:
        raise StorageError(
            "the run store has vanished",
            facts=[("store", objects.url), ("missing", MANIFEST)],
            tries=[("put it back and resume", "")],
            slug="store-vanished",
        ) from None


def read_manifest(objects: ObjectStore) -> Manifest:
    """The manifest of a run.

    Raises:
        NotARun: there is none.
        StoreError: it is damaged, or of a newer version.
    """
    try:
        data = objects.get(MANIFEST)
    except FileNotFoundError:
        raise NotARun(
            "there is no run here",
            facts=[("place", objects.url), ("missing", MANIFEST)],
            tries=[("sdk runs", "the runs below the current folder")],
        ) from None
    try:
        return _parse(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StoreError(
            "the manifest of this run cannot be trusted",
            facts=[
                ("run", objects.url),
                ("object", MANIFEST),
                ("why", str(error) or type(error).__name__),
                ("safe", "the outputs and the ledger were not touched"),
            ],
            tries=[(f"restore {MANIFEST} from a backup", "")],
            slug="store-manifest",
        ) from error


def _parse(document: dict[str, Any]) -> Manifest:
    if document.pop("format") != FORMAT:
        raise ValueError("it is not a manifest")
    if (version := document.pop("version")) != VERSION:
        raise ValueError(f"it has version {version}, this program knows {VERSION}")
    manifest = Manifest(**document)
    if manifest.hash != _hash(_document(manifest)):
        raise ValueError("its hash does not match")
    return manifest


def _document(manifest: Manifest, *, with_hash: bool = False) -> dict[str, Any]:
    document = {"format": FORMAT, "version": VERSION} | asdict(manifest)
    if not with_hash:
        del document["hash"]
    return document


def _hash(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return "blake2b:" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
