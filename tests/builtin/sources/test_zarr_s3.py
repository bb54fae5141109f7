"""Zarr arrays in a bucket, through an S3 stand-in on loopback."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import zarr
from foretell.builtin.sources.zarr import ZarrOptions, ZarrSource
from foretell.errors import LoadError
from foretell.fingerprint import differences
from foretell.testing.source import SourceContract
from obstore.store import S3Store
from zarr.storage import ObjectStore

pytestmark = pytest.mark.s3

VALUES = np.random.default_rng(0).normal(size=(40, 3)).astype("float32")


@pytest.fixture
def store(s3_bucket: str) -> Any:
    """A store with sharded, coordinate and sparse arrays; what writes to it is not what reads."""
    objects = ObjectStore(
        S3Store(s3_bucket, prefix="in/x.zarr", client_options={"allow_http": True})
    )
    group = zarr.open_group(store=objects, mode="w")
    rgb = group.create_array(
        "rgb", shape=(40, 3), chunks=(4, 3), shards=(16, 3), dtype="f4", dimension_names=["t", "c"]
    )
    rgb[:] = VALUES
    group.create_array("t", shape=(40,), chunks=(40,), dtype="i8", dimension_names=["t"])[:] = 7
    sparse = group.create_array("sparse", shape=(40,), chunks=(10,), dtype="i2", fill_value=5)
    sparse[:10] = 1
    return objects


class TestContract(SourceContract):
    source_class = ZarrSource

    @pytest.fixture
    def source_options(self, store: Any, s3_bucket: str) -> ZarrOptions:
        return ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr", array="rgb")

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return VALUES

    @pytest.fixture
    def change(self, store: Any) -> Callable[[], object]:
        return lambda: zarr.open_array(store=store, path="rgb", mode="r+").__setitem__(20, 0)


def rows(source: ZarrSource, start: int, stop: int) -> Any:
    return source.read(start, stop).examples


def test_the_path_may_end_at_the_array(store, s3_bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr/rgb"))
    assert (rows(source, 3, 30) == VALUES[3:30]).all()
    assert source.locate(3).endswith("/in/x.zarr/rgb[3]")


def test_finds_coordinates(store, s3_bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr", array="rgb"))
    assert {name: values.tolist() for name, values in source.coords().items()} == {"t": [7] * 40}


def test_a_block_that_is_not_stored_holds_fill_values(store, s3_bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr", array="sparse"))
    assert rows(source, 8, 12).tolist() == [1, 1, 5, 5]
    assert source.read(8, 12).errors == ()


@pytest.mark.parametrize("thorough", ["stat", "content"])
def test_objects_written_again_alike_are_told_by_their_content(store, s3_bucket, thorough):
    options = ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr", array="rgb", fingerprint=thorough)
    before = ZarrSource(options).fingerprint()
    zarr.open_array(store=store, path="rgb", mode="r+")[20] = VALUES[20]
    assert differences(before, ZarrSource(options).fingerprint()) == {}
    zarr.open_array(store=store, path="rgb", mode="r+")[20] = 0
    assert differences(before, ZarrSource(options).fingerprint())


def test_nothing_there_is_said_plainly(s3_bucket):
    with pytest.raises(LoadError) as caught:
        ZarrSource(ZarrOptions(path=f"s3://{s3_bucket}/nothing.zarr"))
    assert str(caught.value) == (
        "error[source-not-zarr]: no Zarr array can be opened here\n"
        f"  path      s3://{s3_bucket}/nothing.zarr\n"
        "  reason    no zarr.json, .zarray or .zgroup is there\n"
        f'  setting   source.path = "s3://{s3_bucket}/nothing.zarr"'
    )


@pytest.mark.parametrize("url", ["gs://b/x", "http://b/x", "s3://u:secret@b/x", "s3://b/x?sig=1"])
def test_other_schemes_and_secrets_in_urls_are_refused(url):
    with pytest.raises(LoadError, match=r"local folders and s3://") as caught:
        ZarrSource(ZarrOptions(path=url))
    assert "secret" not in str(caught.value)


def test_a_bare_404_is_a_failure_of_the_storage_and_not_a_fill_value(store, s3_bucket, s3_proxy):
    proxy, _ = s3_proxy
    source = ZarrSource(ZarrOptions(path=f"s3://{s3_bucket}/in/x.zarr", array="sparse"))
    proxy.decide = lambda method, path: 404 if "/sparse/c/0" in path else None
    with pytest.raises(OSError, match="an answer that is none"):
        source.read(0, 10)
    proxy.decide = lambda method, path: None
    assert rows(source, 8, 12).tolist() == [1, 1, 5, 5]
