"""Zarr arrays in a bucket, through an S3 stand-in on loopback."""

import http.client
import logging
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    name = f"b{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=10):
        pass
    return name


@pytest.fixture
def store(bucket: str) -> Any:
    """A store with sharded, coordinate and sparse arrays; what writes to it is not what reads."""
    objects = ObjectStore(S3Store(bucket, prefix="in/x.zarr", client_options={"allow_http": True}))
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
    def source_options(self, store: Any, bucket: str) -> ZarrOptions:
        return ZarrOptions(path=f"s3://{bucket}/in/x.zarr", array="rgb")

    @pytest.fixture
    def expected(self) -> np.ndarray:
        return VALUES

    @pytest.fixture
    def change(self, store: Any) -> Callable[[], object]:
        return lambda: zarr.open_array(store=store, path="rgb", mode="r+").__setitem__(20, 0)


def rows(source: ZarrSource, start: int, stop: int) -> Any:
    return source.read(start, stop).examples


def test_the_path_may_end_at_the_array(store, bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{bucket}/in/x.zarr/rgb"))
    assert (rows(source, 3, 30) == VALUES[3:30]).all()
    assert source.locate(3).endswith("/in/x.zarr/rgb[3]")


def test_finds_coordinates(store, bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{bucket}/in/x.zarr", array="rgb"))
    assert {name: values.tolist() for name, values in source.coords().items()} == {"t": [7] * 40}


def test_a_block_that_is_not_stored_holds_fill_values(store, bucket):
    source = ZarrSource(ZarrOptions(path=f"s3://{bucket}/in/x.zarr", array="sparse"))
    assert rows(source, 8, 12).tolist() == [1, 1, 5, 5]
    assert source.read(8, 12).errors == ()


@pytest.mark.parametrize("thorough", ["stat", "content"])
def test_objects_written_again_alike_are_told_by_their_content(store, bucket, thorough):
    options = ZarrOptions(path=f"s3://{bucket}/in/x.zarr", array="rgb", fingerprint=thorough)
    before = ZarrSource(options).fingerprint()
    zarr.open_array(store=store, path="rgb", mode="r+")[20] = VALUES[20]
    assert differences(before, ZarrSource(options).fingerprint()) == {}
    zarr.open_array(store=store, path="rgb", mode="r+")[20] = 0
    assert differences(before, ZarrSource(options).fingerprint())


def test_nothing_there_is_said_plainly(bucket):
    with pytest.raises(LoadError) as caught:
        ZarrSource(ZarrOptions(path=f"s3://{bucket}/nothing.zarr"))
    assert str(caught.value) == (
        "error[source-not-zarr]: no Zarr array can be opened here\n"
        f"  path      s3://{bucket}/nothing.zarr\n"
        "  reason    no zarr.json, .zarray or .zgroup is there\n"
        f'  setting   source.path = "s3://{bucket}/nothing.zarr"'
    )


@pytest.mark.parametrize("url", ["gs://b/x", "http://b/x", "s3://u:secret@b/x", "s3://b/x?sig=1"])
def test_other_schemes_and_secrets_in_urls_are_refused(url):
    with pytest.raises(LoadError, match=r"local folders and s3://") as caught:
        ZarrSource(ZarrOptions(path=url))
    assert "secret" not in str(caught.value)


class Proxy(ThreadingHTTPServer):
    """Passes requests on, or answers 404 without a word where ``mad`` says so."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.endpoint, self.mad = endpoint.removeprefix("http://"), ""


class Handler(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        if self.server.mad and self.server.mad in self.path:
            status, headers, body = self.nothing()
        else:
            status, headers, body = self.pass_on()
        self.send_response(status)
        for name in ("ETag", "Last-Modified", "Content-Range", "Content-Type"):
            if name in headers:
                self.send_header(name, headers[name])
        length = headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_GET

    def nothing(self) -> tuple[int, Any, bytes]:
        return 404, {}, b""

    def pass_on(self) -> tuple[int, Any, bytes]:
        connection = http.client.HTTPConnection(self.server.endpoint)
        sent = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        connection.request(self.command, self.path, headers=sent)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, body

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def proxy(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    server = Proxy(endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_bare_404_is_a_failure_of_the_storage_and_not_a_fill_value(store, bucket, proxy):
    source = ZarrSource(ZarrOptions(path=f"s3://{bucket}/in/x.zarr", array="sparse"))
    proxy.mad = "/sparse/c/0"
    with pytest.raises(OSError, match="an answer that is none"):
        source.read(0, 10)
    proxy.mad = ""
    assert rows(source, 8, 12).tolist() == [1, 1, 5, 5]
