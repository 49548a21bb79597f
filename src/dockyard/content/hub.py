"""The JSON API of a dockyard hub, ``/api/v1/``: whose repositories those are, and who may do what with them.

Who asks is proved with docker's login itself: Basic for a name and password, Bearer for an identity token.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from dockyard.content.fetch import read_all
from dockyard.content.http import MAX_PAGE
from dockyard.errors import (
    Conflict,
    DockyardError,
    Invalid,
    NameInvalid,
    NotFound,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from dockyard.oci.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from dockyard.content.http import RegistryClient
    from dockyard.oci.reference import RepositoryName

    Fields = dict[str, Any]

API = "/api/v1"
PAGE = "100"
"""Items to ask for at once, as ``n``, in a list that has pages."""

_DONE = frozenset({200, 201, 202, 204})
_NO_HUB = "Name a hub with --hub URL, or make it the default: dockyard config set default-registry HOST"


class HubClient:
    """What one hub answers, as plain JSON objects. ``client`` is its registry's, and used for nothing else then."""

    def __init__(self, client: RegistryClient) -> None:
        self.client = client
        self.host = client.registry
        client.auth.direct = True

    async def ask(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> Fields:
        """Send one request to ``target``, made by :func:`path`; return the answer, ``{}`` where it has no body.

        Raise what a refusal means, and NotFound where the other side is no hub at all.
        """
        if self.host == DOCKER_HUB:
            raise NotFound(f"{DOCKER_HUB} is not a dockyard hub", hint=_NO_HUB)
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            async with self.client.request(
                method, API + target, expect=_DONE, where=self.host, headers=headers,
                body=None if body is None else json.dumps(body).encode(), again=method == "GET",
            ) as response:  # fmt: skip
                raw = await read_all(response, MAX_PAGE, self.host)
        except Unauthenticated as error:
            raise Unauthenticated(error.message, hint=f"Log in: dockyard login {self.host}") from error
        except (NotFound, Unsupported) as error:
            if await self._is_hub():
                raise self._plain(error) from error
            raise self._no_hub() from None
        except (Invalid, Conflict) as error:
            raise self._plain(error) from error
        fields = _parse(raw) if raw else {}
        if fields is None:
            raise self._no_hub()
        return fields

    async def items(self, target: str, **query: str) -> AsyncIterator[Fields]:
        """Yield every item of a list, page by page; what is empty in ``query`` is left out."""
        asked = {name: value for name, value in query.items() if value}
        seen: set[str] = set()
        while True:
            page = await self.ask("GET", target + (f"?{urlencode(asked)}" if asked else ""))
            items, after = page.get("items"), page.get("next")
            if not isinstance(items, list) or after in seen:
                raise Unavailable(f"{self.host}: the answer is not a list")
            for item in items:
                yield item
            if after is None:
                return
            asked["after"] = str(after)
            seen.add(str(after))

    async def _is_hub(self) -> bool:
        try:
            async with self.client.request(
                "GET", f"{API}/openapi.json", None, expect={200}, where=self.host
            ) as response:
                return "openapi" in (_parse(await read_all(response, MAX_PAGE, self.host)) or {})
        except (NotFound, Unauthenticated, Unsupported):
            return False

    def _plain(self, error: DockyardError) -> DockyardError:
        """The same error in the hub's own words, which say more than the code that registries have for it."""
        words = error.code.lower().replace("_", " ")
        return type(error)(error.message.removeprefix(f"{self.host}: {words}: "))

    def _no_hub(self) -> NotFound:
        return NotFound(f"{self.host} is not a dockyard hub, or one without accounts", hint=_NO_HUB)


def path(*parts: str) -> str:
    """The target of parts that are one segment each: ``/orgs/acme/members/ada``. Raise NameInvalid for no segment."""
    for part in parts:
        if part in ("", ".", "..") or "/" in part:
            raise NameInvalid(f"invalid name: {part!r}")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def repository_path(repository: RepositoryName, *parts: str) -> str:
    """The target of a repository, or with ``parts`` of something that belongs to it."""
    return f"/repositories/{repository}" + (f"/-{path(*parts)}" if parts else "")


def _parse(raw: bytes) -> Fields | None:
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None
