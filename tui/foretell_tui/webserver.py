"""The server of the dashboard in a browser: it answers its own pages and no others.

Any page in the same browser may open a connection to this machine, and a name of the attacker's may
lead here as well. What a browser says of where a request comes from tells them apart.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.server import Server

from foretell_tui.web import LOOPBACK

HERE = frozenset({LOOPBACK, "localhost", "::1"})
"""Names by which a browser reaches this machine alone, through a tunnel as well."""


def foreign(host: str, origin: str | None, listening: str) -> bool:
    """Whether a request comes from another page than ours.

    Args:
        host: Its ``Host``.
        origin: Its ``Origin``; None where the browser named none, as for a page that was typed.
        listening: Where the server listens.
    """
    try:
        asked, came = urlsplit(f"//{host}"), urlsplit(origin or "")
        same_port = asked.port == came.port
    except ValueError:
        return True
    if listening == LOOPBACK and asked.hostname not in HERE:
        return True
    if origin is None:
        return False
    names = HERE if listening == LOOPBACK else {asked.hostname, listening}
    return not same_port or came.hostname not in names


class OwnPages(Server):
    """Serves what comes from its own pages, and refuses the rest with 403."""

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if foreign(request.host, request.headers.get("Origin"), self.host):
            raise web.HTTPForbidden(text="this dashboard answers its own pages only")
        return await handler(request)
