"""The JSON API as one asker sees it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from web.wire import Answer, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping

    from servers import Hub

PREFIX = "/api/v1"


class Api(Wire):
    """One connection, with the credentials of ``name`` or none: ``api("POST", "/orgs", {"name": "acme"})``."""

    def __init__(self, hub: Hub, name: str = "", password: str = "") -> None:
        super().__init__(hub)
        self.hub, self.name, self.password = hub, name, password
        self.credentials: dict[str, str] = basic(name, password) if name else {}

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] = {},
        **more: str,
    ) -> Answer:
        """Send one request; a body that is not bytes is sent as JSON."""
        sent = {**self.credentials, **headers}
        if body is not None:
            sent = {"Content-Type": "application/json"} | sent
            body = body if isinstance(body, bytes) else json.dumps(body).encode()
        return super().__call__(method, PREFIX + path, body, sent, **more)

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
