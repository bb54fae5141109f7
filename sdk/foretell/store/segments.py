"""One segment of the ledger: a sealed header that chains it to the one before, then its records."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from foretell.errors import DamagedLedger
from foretell.store.codec import Entry, decode, encode
from foretell.store.layout import segment_key
from foretell.store.sealed import Broken, seal, unseal

FORMAT = "foretell-ledger"
VERSION = 1
START = "0" * 32
"""Hash that the first segment names as the one before it."""


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """First line of a segment.

    Attributes:
        sequence: Its number, 1 for the first.
        epoch: Of the driver that wrote it.
        writer: Random name of that driver's writer: tells our own repeated create from a rival's.
        previous: :func:`segment_hash` of the segment before, :data:`START` for the first.
        records: Lines that follow.
    """

    sequence: int
    epoch: int
    writer: str
    previous: str
    records: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as read: its header, what it holds, and its hash."""

    header: SegmentHeader
    entries: list[Entry]
    hash: str


def segment_hash(data: bytes) -> str:
    """What the next segment names as ``previous``."""
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def encode_segment(
    sequence: int, epoch: int, writer: str, previous: str, entries: Sequence[Entry]
) -> bytes:
    """The bytes of a segment."""
    head = {
        "format": FORMAT,
        "version": VERSION,
        "sequence": sequence,
        "epoch": epoch,
        "writer": writer,
        "previous": previous,
        "records": len(entries),
    }
    return seal(head, encode(entries))


def read_header(data: bytes, sequence: int) -> tuple[SegmentHeader, bytes]:
    """Header and body of the segment stored as number ``sequence``.

    Raises:
        DamagedLedger: a byte of it is not as it was written, or it is another segment.
    """
    try:
        head, body = unseal(data)
        if head.pop("format") != FORMAT:
            raise Broken("it is not a ledger segment")
        if (version := head.pop("version")) != VERSION:
            raise Broken(f"it has version {version}, this program knows {VERSION}")
        header = SegmentHeader(**head)
    except (Broken, TypeError, KeyError) as error:
        raise damaged(sequence, str(error)) from error
    if header.sequence != sequence:
        raise damaged(sequence, f"it says it is segment {header.sequence}")
    return header, body


def decode_segment(data: bytes, sequence: int, n_chunks: int, previous: str | None) -> Segment:
    """The segment stored as number ``sequence``.

    Args:
        data: Its bytes.
        sequence: The number in its key.
        n_chunks: Chunks of the plan.
        previous: Hash of the segment before, None when that is not known.

    Raises:
        DamagedLedger: it is torn, altered, misplaced, or does not follow the one before.
    """
    header, body = read_header(data, sequence)
    if previous is not None and header.previous != previous:
        raise damaged(sequence, "it does not follow the segment before it")
    try:
        entries = decode(body, n_chunks)
    except ValueError as error:
        raise damaged(sequence, str(error)) from error
    if len(entries) != header.records:
        raise damaged(sequence, f"it has {len(entries)} of {header.records} records")
    return Segment(header, entries, segment_hash(data))


def damaged(sequence: int, why: str) -> DamagedLedger:
    """The error for segment ``sequence``, saying what is safe and the way out."""
    key = segment_key(sequence)
    safe = f"segments before {sequence} and the chunks they record" if sequence > 1 else "nothing"
    return DamagedLedger(
        f"ledger segment {sequence} cannot be trusted: {why}",
        facts=[("segment", key), ("safe", safe), ("not safe", "anything recorded from there on")],
        tries=[
            (f"restore {key} from a backup", "then nothing is lost"),
            (
                f"remove segments {sequence} and later, and _run/head.json",
                "the chunks they recorded are computed again",
            ),
        ],
    )
