"""The built-in writers under the contract that strangers' writers meet."""

import pytest
from foretell.builtin.writers.jsonl import JsonlOptions, JsonlWriter
from foretell.builtin.writers.parquet import ParquetOptions, ParquetWriter
from foretell.builtin.writers.zarr import ZarrOptions, ZarrWriter
from foretell.testing.writer import WriterContract


class TestZarr(WriterContract):
    @pytest.fixture(params=[1, 0], ids=["zstd", "crc-only"])
    def make_writer(self, request):
        return lambda objects: ZarrWriter(ZarrOptions(compression=request.param), objects)


class TestParquet(WriterContract):
    @pytest.fixture(params=[1, 0], ids=["zstd", "plain"])
    def make_writer(self, request):
        return lambda objects: ParquetWriter(ParquetOptions(compression=request.param), objects)


class TestJsonl(WriterContract):
    @pytest.fixture
    def make_writer(self):
        return lambda objects: JsonlWriter(JsonlOptions(), objects)
