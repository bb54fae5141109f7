"""Everything Foretell brings along, registered through the same hooks as anyone's plugin."""

from __future__ import annotations

from foretell.hookspecs import hookimpl
from foretell.types import Entry

_HERE = "foretell.builtin"


@hookimpl
def register_sources() -> list[Entry]:
    """Sources for files, and for what is already in memory."""
    sources = f"{_HERE}.sources"
    return [
        Entry("zarr", "An array of a Zarr store, rows on axis 0", f"{sources}.zarr:ZarrSource"),
        Entry("npy", "A .npy file, read by range", f"{sources}.npy:NpySource"),
        Entry("npz", "An array of an .npz archive", f"{sources}.npy:NpySource"),
        Entry("jsonl", "JSON lines, one record each", f"{sources}.jsonl:JsonlSource"),
        Entry("parquet", "Parquet files, read by columns", f"{sources}.parquet:ParquetSource"),
        Entry("csv", "CSV files with a header line", f"{sources}.csv:CsvSource"),
        Entry("memory", "An array or sequence from Python", f"{sources}.memory:MemorySource"),
    ]


@hookimpl
def register_predictors() -> list[Entry]:
    """The predictor that takes any callable."""
    target = f"{_HERE}.predictors.callable:CallablePredictor"
    return [Entry("callable", "Any function or class of yours that takes a batch", target)]


@hookimpl
def register_deployers() -> list[Entry]:
    """The deployer that calls the model where it is."""
    target = f"{_HERE}.deployers.local:LocalDeployer"
    return [Entry("local", "The model in the worker process, on its CPU threads", target)]


@hookimpl
def register_writers() -> list[Entry]:
    """Writers for Zarr stores and for files of records."""
    writers = f"{_HERE}.writers"
    return [
        Entry("zarr", "A Zarr v3 store, sharded and checksummed", f"{writers}.zarr:ZarrWriter"),
        Entry("parquet", "One Parquet file a chunk", f"{writers}.parquet:ParquetWriter"),
        Entry("jsonl", "One file of JSON lines a chunk", f"{writers}.jsonl:JsonlWriter"),
    ]


@hookimpl
def register_previews() -> list[Entry]:
    """Previews of every dtype and rank; asked in this order, after those of plugins."""
    previews = "foretell.previews"
    return [
        Entry("classes", "Labels and scores with class names", f"{previews}.classes:preview"),
        Entry("text", "Text, wrapped", f"{previews}.texts:preview"),
        Entry("table", "Records and structured rows", f"{previews}.tables:preview"),
        Entry("embeddings", "Long vectors: norms, cosine", f"{previews}.embeddings:preview"),
        Entry("image", "Maps, slices and colour pictures", f"{previews}.images:preview"),
        Entry("numbers", "Figures, histogram, line", f"{previews}.numbers:preview"),
    ]
