"""The dashboard in a browser, through textual-serve, on this machine alone."""

from __future__ import annotations

import ipaddress
import os
import shlex
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any

from foretell.errors import LoadError, UsageError

LOOPBACK = "127.0.0.1"


def served() -> bool:
    """Whether this process is one of those that a browser looks at, not a terminal."""
    return os.environ.get("TEXTUAL_DRIVER", "").endswith(":WebDriver")


def address(port: int, insecure: str | None) -> str:
    """Where to listen: this machine alone, unless somebody insists.

    Raises:
        UsageError: an address that means every network, or none.
    """
    if insecure is None:
        return LOOPBACK
    try:
        known = ipaddress.ip_address(insecure)
    except ValueError:
        return insecure
    if known.is_unspecified:
        raise UsageError(
            f"--insecure-listen {insecure} is every network of this machine",
            facts=[("port", str(port)), ("whoever reaches it", "sees the run, as you do")],
            tries=[("--insecure-listen 192.0.2.7", "one address of this machine")],
        )
    return insecure


def command_line(run: str, chosen: Mapping[str, Any]) -> str:
    """The command each browser gets its own process of."""
    words = [sys.executable, "-m", "foretell", "watch", run, "--screen", chosen["screen"]]
    words += ["--theme", chosen["theme"]] if chosen["theme"] != "auto" else []
    words += ["--ascii"] if chosen["ascii_only"] else []
    words += ["--interval", str(chosen["interval"])] if chosen["interval"] is not None else []
    return shlex.join(words)


def serve(say: Callable[[str], None], run: str, chosen: Mapping[str, Any]) -> int:
    """Serve until Ctrl-C. Never with ``--control``: whoever has the address could use it.

    Raises:
        UsageError: with ``--control``, or an address that is every network.
        LoadError: textual-serve is not installed.
    """
    if chosen["control"]:
        raise UsageError("--web and --control do not go together: a page has no password")
    host, port = address(chosen["port"], chosen["insecure_listen"]), chosen["port"]
    try:
        from foretell_tui.webserver import OwnPages
    except ImportError as error:
        raise LoadError(
            "--web needs textual-serve",
            facts=[("missing", str(error))],
            tries=[("pip install 'foretell[web]'", "")],
            slug="extra-missing",
        ) from error
    say(f"http://{host}:{port}")
    if host == LOOPBACK:
        here = socket.gethostname()
        say(f"from another machine: ssh -N -L {port}:{LOOPBACK}:{port} {here}")
    OwnPages(command_line(run, chosen), host=host, port=port, title="sdk watch").serve()
    return 0
