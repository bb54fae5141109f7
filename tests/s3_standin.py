"""An S3 stand-in on loopback, and a proxy before it that misbehaves on request."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from foretell.store.objects import ObjectStore
from foretell.store.open import open_objects

SLOW_SECONDS = 0.3
MISSING = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"


@contextlib.contextmanager
def standing_in() -> Iterator[str]:
    """Endpoint of a stand-in. Its state is the process's: buckets of one name are one bucket."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def variables(endpoint: str) -> dict[str, str]:
    """The environment that leads to ``endpoint``."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_REGION": "us-east-1",
    }


def new_bucket(endpoint: str) -> str:
    """The name of a bucket that nothing else in this process uses."""
    name = f"b{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"{endpoint}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=30):
        pass
    return name


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    with standing_in() as endpoint:
        yield endpoint


@pytest.fixture
def s3_env(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in variables(s3_endpoint).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return s3_endpoint


@pytest.fixture
def s3_bucket(s3_env: str) -> str:
    """The name of an empty bucket of its own."""
    return new_bucket(s3_env)


@pytest.fixture
def s3_url(s3_bucket: str) -> str:
    """URL of an empty prefix in a bucket of its own."""
    return f"s3://{s3_bucket}/runs/tiles.zarr"


@pytest.fixture
def s3(s3_url: str) -> ObjectStore:
    return open_objects(s3_url)


class FaultProxy:
    """Passes requests on to the S3 stand-in, except where ``decide`` answers otherwise.

    ``decide(method, path)`` returns None to pass on; a status to answer with it, empty; ``"reset"``
    to hang up; ``"lose"`` to pass on and hang up instead of answering; ``"cut"`` to hang up in the
    middle of the answer; ``"slow"`` to answer late; ``"missing"`` to say what the storage says of
    an object that is not there.
    """

    def __init__(self, endpoint: str) -> None:
        self.decide: Callable[[str, str], int | str | None] = lambda method, path: None
        self.seen: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append(f"{self.command} {self.path}")
                verdict = proxy.decide(self.command, self.path)
                if isinstance(verdict, int):
                    self.send_response(verdict)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if verdict == "reset":
                    self.close_connection = True
                    return
                if verdict == "missing":
                    self._answer(404, [("Content-Length", str(len(MISSING)))], MISSING)
                    return
                if verdict == "slow":
                    time.sleep(SLOW_SECONDS)
                status, headers, data = proxy.forward(self.command, self.path, self.headers, body)
                if verdict == "lose":
                    self.close_connection = True
                    return
                if verdict == "cut":
                    data = data[: len(data) // 2]
                    self.close_connection = True
                self._answer(status, headers, data)

            def _answer(self, status: int, headers: Any, data: bytes) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(data)

            do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = handle_any

            def log_message(self, *args: object) -> None:
                pass

        self._endpoint = endpoint
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def forward(self, method: str, path: str, headers: Any, body: bytes) -> tuple[int, Any, bytes]:
        import http.client

        connection = http.client.HTTPConnection(self._endpoint.removeprefix("http://"))
        kept = {name: value for name, value in headers.items() if name.lower() != "host"}
        connection.request(method, path, body=body, headers=kept)
        response = connection.getresponse()
        data = response.read()
        dropped = ("transfer-encoding", "connection", "server", "date")
        passed = [item for item in response.getheaders() if item[0].lower() not in dropped]
        connection.close()
        return response.status, passed, data

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def s3_proxy(
    s3_url: str, s3_env: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[FaultProxy, str]]:
    proxy = FaultProxy(s3_env)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    yield proxy, s3_url
    proxy.close()
