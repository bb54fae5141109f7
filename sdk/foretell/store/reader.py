"""Reads the outputs of a run, finished or not, and never a value that was not committed."""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from foretell.abc.writer import Writer
from foretell.errors import NotYetPredicted, UnknownOutput
from foretell.rows import allocate
from foretell.store.chunk_reader import ChunkReader
from foretell.store.selection import Piece, select
from foretell.store.snapshot import Snapshot
from foretell.types import Arrays, Chunk, OutputSpec, Valid

if TYPE_CHECKING:
    import xarray

_THREADS = 4


class Gaps(enum.Enum):
    """What stands for rows of chunks that are not done."""

    REFUSED = "refused"
    MASKED = "masked"
    FILLED = "filled"


class RunReader:
    """The outputs of a run by name: ``run["logits"][100:200]``.

    A run that is still written can be read at any moment: values are those some commit recorded,
    never half of one. Chunks that were not done are looked for anew at every read; what a retry
    has replaced since shows after :meth:`refresh`.

    Args:
        snapshot: The run.
        writer: Writer of the run's kind, on the same store.
    """

    def __init__(self, snapshot: Snapshot, writer: Writer) -> None:
        self.snapshot = snapshot
        self.plan = snapshot.plan
        self._chunks = ChunkReader(snapshot, writer)
        self._specs = {spec.name: spec for spec in self.plan.outputs}

    @property
    def names(self) -> list[str]:
        """Names of the outputs, in the order of the plan."""
        return list(self._specs)

    @property
    def states(self) -> np.ndarray:
        """uint8 ``(chunks,)``: the :class:`~foretell.types.ChunkState` of every chunk."""
        return np.array(self.snapshot.table.state)

    @property
    def valid(self) -> ValidReader:
        """``valid`` of every row, as the ledger has it; never refused."""
        return ValidReader(self._chunks)

    def refresh(self) -> bool:
        """Take into account what happened since; whether anything did."""
        return self._chunks.refresh()

    def __len__(self) -> int:
        return self.plan.n_rows

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __getitem__(self, name: str) -> OutputReader:
        spec = self._specs.get(name)
        if spec is None:
            raise self._unknown(name)
        return OutputReader(self._chunks, spec, Gaps.REFUSED)

    def chunks(
        self, names: Sequence[str] | None = None, *, partial: bool = False
    ) -> Iterator[tuple[Chunk, Arrays, np.ndarray]]:
        """Chunk by chunk, in order: rows, outputs by name, ``valid``.

        Args:
            names: Which outputs; all of them when absent.
            partial: Leave out chunks that are not done, instead of refusing.

        Raises:
            NotYetPredicted: a chunk is not done.
        """
        wanted = [self[name].name for name in (self.names if names is None else names)]
        for chunk in range(self.plan.n_chunks):
            if partial and not self._chunks.is_done(chunk):
                continue
            columns = {name: self._chunks.read(chunk, name) for name in wanted}
            arrays = {name: values.copy() for name, (values, _) in columns.items()}
            yield self.plan.chunk(chunk), arrays, self._chunks.valid(chunk).copy()

    def to_xarray(
        self, names: Sequence[str] | None = None, *, masked: bool = False
    ) -> xarray.Dataset | xarray.DataTree:
        """The run as a lazy Dataset, a DataTree when outputs are nested.

        Args:
            names: Which outputs; all of them when absent.
            masked: Fill values where a chunk is not done, instead of refusing to read it.

        Raises:
            OutputError: an output has no fixed shape.
            LoadError: xarray is not installed.
        """
        from foretell.store.xarray_view import to_xarray

        return to_xarray(self, self.names if names is None else names, masked)

    def _unknown(self, name: str) -> UnknownOutput:
        near = difflib.get_close_matches(str(name), self.names, n=1)
        return UnknownOutput(
            f"this run has no output {name!r}",
            facts=[("outputs", ", ".join(self.names))],
            tries=[(f"run[{near[0]!r}]", "")] if near else [],
        )


class _RowsReader:
    """Picks rows out of chunks."""

    def __init__(self, chunks: ChunkReader, spec: OutputSpec) -> None:
        self._chunks = chunks
        self.spec = spec
        self.name = spec.name
        self.shape = (chunks.plan.n_rows, *spec.shape)
        self.ndim = len(self.shape)
        self.dtype = np.dtype(object if spec.dtype in ("str", "json") else spec.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def _gather(self, pieces: Sequence[Piece], targets: Sequence[np.ndarray]) -> None:
        if len(pieces) < 2:
            for piece in pieces:
                self._fill(piece, targets)
            return
        with ThreadPoolExecutor(_THREADS) as pool:
            for _ in pool.map(lambda piece: self._fill(piece, targets), pieces):
                pass

    def _fill(self, piece: Piece, targets: Sequence[np.ndarray]) -> None:
        raise NotImplementedError


class OutputReader(_RowsReader):
    """One output of a run, read when it is indexed, and only the chunks that are needed.

    Rows are picked by an integer, a slice, an array of integers or a mask; the other axes as NumPy
    does. ``numpy.asarray(run["logits"])`` reads all of it.

    Attributes:
        name: Of the output.
        spec: Its specification.
        shape: Rows first.
        dtype: ``object`` for text and ragged values.
        ndim: Number of axes.
    """

    def __init__(self, chunks: ChunkReader, spec: OutputSpec, gaps: Gaps) -> None:
        super().__init__(chunks, spec)
        self._gaps = gaps

    def masked(self) -> OutputReader:
        """The same output as masked arrays: every row without a prediction is masked."""
        return OutputReader(self._chunks, self.spec, Gaps.MASKED)

    def filled(self) -> OutputReader:
        """The same output with fill values (NaN, 0, False, "") in rows without a prediction."""
        return OutputReader(self._chunks, self.spec, Gaps.FILLED)

    def __getitem__(self, key: Any) -> Any:
        """Values of the rows ``key``.

        Raises:
            NotYetPredicted: some lie in chunks that are not done.
            StoreError: an object is missing or not what was recorded.
        """
        selection = select(key, len(self), self.ndim)
        pieces = list(selection.pieces(self._chunks.plan.chunk_rows))
        self._look(pieces)
        values = allocate(self.spec, selection.length)
        valid = np.zeros(selection.length, np.uint8)
        self._gather(pieces, (values, valid))
        if self._gaps is Gaps.MASKED:
            return selection.finish(self._mask(values, valid))
        return selection.finish(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __iter__(self) -> Iterator[Any]:
        for row in range(len(self)):
            yield self[row]

    def __repr__(self) -> str:
        return f"<output {self.name!r}: {self.spec.dtype} {self.shape}>"

    def _look(self, pieces: list[Piece]) -> None:
        chunks = [piece.chunk for piece in pieces]
        self._chunks.look_again(chunks)
        if self._gaps is Gaps.REFUSED:
            self._chunks.require(self.name, chunks)
        else:
            pieces[:] = [piece for piece in pieces if self._chunks.is_done(piece.chunk)]

    def _mask(self, values: np.ndarray, valid: np.ndarray) -> np.ma.MaskedArray[Any, Any]:
        mask = (valid != Valid.PREDICTED).reshape(-1, *[1] * len(self.spec.shape))
        return np.ma.MaskedArray(values, mask=np.broadcast_to(mask, values.shape).copy())

    def _fill(self, piece: Piece, targets: Sequence[np.ndarray]) -> None:
        try:
            column = self._chunks.read(piece.chunk, self.name)
        except NotYetPredicted:
            if self._gaps is Gaps.REFUSED:
                raise
            return
        for target, found in zip(targets, column, strict=True):
            target[piece.target] = found[piece.local]


class ValidReader(_RowsReader):
    """``valid`` of a run: 0 not predicted, 1 predicted, 2 quarantined; uint8, one a row.

    Reads nothing for chunks without a quarantined row.
    """

    def __init__(self, chunks: ChunkReader) -> None:
        super().__init__(chunks, OutputSpec("valid", (), "uint8"))

    def __getitem__(self, key: Any) -> Any:
        selection = select(key, len(self), 1)
        pieces = list(selection.pieces(self._chunks.plan.chunk_rows))
        self._chunks.look_again([piece.chunk for piece in pieces])
        values = np.zeros(selection.length, np.uint8)
        self._gather(pieces, (values,))
        return selection.finish(values)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def _fill(self, piece: Piece, targets: Sequence[np.ndarray]) -> None:
        targets[0][piece.target] = self._chunks.valid(piece.chunk)[piece.local]
