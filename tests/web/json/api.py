"""The JSON API as one asker sees it."""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any, Self

from web.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers import Hub

PREFIX = "/api/v1"

_addresses = itertools.count(1)


class Api(Wire):
    """One connection, with the credentials of ``name`` or none: ``api("POST", "/orgs", {"name": "acme"})``."""

    def __init__(self, hub: Hub, name: str = "", password: str = "") -> None:
        super().__init__(hub)
        self.hub, self.name, self.password = hub, name, password
        self.credentials: dict[str, str] = basic(name, password) if name else {}
        number = next(_addresses)
        self.address = f"10.1.{number // 256}.{number % 256}"

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = {},
        **more: str,
    ) -> Answer:
        """Send one request; a body that is not bytes is sent as JSON."""
        sent = {"X-Forwarded-For": self.address, **self.credentials, **headers}
        if body is not None:
            sent = {"Content-Type": "application/json"} | sent
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.plain(method, PREFIX + path, body, sent, **more)

    def plain(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}, **more: str) -> Answer:
        """Send one request to any path, with nothing added, over a connection that nobody closed for being idle."""
        self.connection.close()
        return super().__call__(method, path, body, headers, **more)

    def with_token(self) -> Self:
        """Ask with a token from now on: it costs the hub less than a password."""
        made = self.ok("POST", "/account/tokens", {"name": "tests", "scopes": ["admin"]})
        self.credentials = bearer(made["secret"])
        return self

    def ok(self, method: str, path: str, body: Any = None) -> Any:
        """Send one request that has to succeed; return what it answers, ``None`` for 204."""
        answer = self(method, path, body)
        assert answer.status in (200, 201, 204), (method, path, answer.status, answer.body)
        return answer.json if answer.body else None

    def items(self, path: str) -> list[Any]:
        """All of a list that fits on a page."""
        answer = self.ok("GET", path)
        assert answer["next"] is None
        return answer["items"]


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}
