"""The dashboard in a browser: served on loopback, it paints and answers keys."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time

import pytest

aiohttp = pytest.importorskip("aiohttp", reason="--web needs foretell[web]")
pytest.importorskip("textual_serve", reason="--web needs foretell[web]")
from foretell_tui.webserver import foreign  # noqa: E402


@pytest.fixture
def served(runs):
    """A port of this machine at which a run is served."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = runs["running"].objects.path
    words = [sys.executable, "-m", "foretell", "watch", store, "--web", "--port", str(port)]
    env = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    yield port
    process.terminate()
    process.communicate(timeout=30)


async def opened(session, port):
    """The connection a browser makes, as soon as the server listens."""
    end = time.monotonic() + 60
    while True:
        try:
            return await session.ws_connect(f"http://127.0.0.1:{port}/ws?width=100&height=30")
        except aiohttp.ClientError:
            assert time.monotonic() < end, "the server never listened"
            await asyncio.sleep(0.05)


async def shown(socket, wanted):
    """Read until something is on the screen."""
    seen = b""
    while wanted not in seen:
        message = await socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.BINARY, (message, seen[-500:])
        seen += message.data
    return seen


def test_a_browser_sees_the_run_and_its_keys_work(served):
    async def browse():
        async with aiohttp.ClientSession() as session:
            page = await opened(session, served)
            seen = await shown(page, b"Chunk map")
            assert b"2,000" in seen
            assert b"READ-ONLY" in seen
            await page.send_str(json.dumps(["stdin", "4"]))
            await shown(page, b"CUDA out of memory")
            await page.close()

    asyncio.run(browse())


def test_another_page_in_the_same_browser_sees_nothing(served):
    async def browse():
        async with aiohttp.ClientSession() as session:
            page = await opened(session, served)
            await page.close()
            address = f"http://127.0.0.1:{served}/ws?width=100&height=30"
            for headers in (
                {"Origin": "https://evil.example"},
                {"Origin": "http://127.0.0.1:1"},
                {"Host": f"evil.example:{served}"},
            ):
                with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                    await session.ws_connect(address, headers=headers)
                assert refused.value.status == 403
            own = await session.ws_connect(address, origin=f"http://localhost:{served}")
            await shown(own, b"Chunk map")
            await own.close()

    asyncio.run(browse())


@pytest.mark.parametrize(
    ("host", "origin", "listening", "expected"),
    [
        ("127.0.0.1:80", None, "127.0.0.1", False),
        ("localhost:8000", "http://127.0.0.1:8000", "127.0.0.1", False),
        ("[::1]:8000", "http://localhost:8000", "127.0.0.1", False),
        ("127.0.0.1:8000", "null", "127.0.0.1", True),
        ("127.0.0.1:8000", "http://127.0.0.1:99999999", "127.0.0.1", True),
        ("evil.example:8000", "http://evil.example:8000", "127.0.0.1", True),
        ("lab:8000", "http://lab:8000", "192.0.2.7", False),
        ("lab:8000", "http://192.0.2.7:8000", "192.0.2.7", False),
        ("lab:8000", "http://evil.example:8000", "192.0.2.7", True),
    ],
)
def test_whose_page_it_is(host, origin, listening, expected):
    assert foreign(host, origin, listening) is expected
