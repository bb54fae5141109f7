"""The built-in writers: Zarr, Parquet and JSON lines."""
