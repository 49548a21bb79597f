"""The JSON API of a dockyard hub, ``/api/v1/``: whose repositories those are, and who may do what with them.

Who asks is proved with docker's login itself: Basic for a name and password, Bearer for an identity token.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from dockyard.content.challenges import parse_challenges
from dockyard.content.fetch import read_all
from dockyard.content.http import MAX_PAGE
from dockyard.errors import (
    Conflict,
    Denied,
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

    from dockyard.content.challenges import Challenge
    from dockyard.content.http import RegistryClient
    from dockyard.oci.reference import RepositoryName

    Fields = dict[str, Any]

API = "/api/v1"
REALM = "dockyard"
"""What a hub calls the realm of its API where it asks for a login."""
PAGE = "100"
"""Items to ask for at once, as ``n``, in a list that has pages."""

_DONE = frozenset({200, 201, 202, 204})
_NO_HUB = "Name a hub with --hub URL, or make it the default: dockyard config set default-registry HOST"


class HubClient:
    """What one hub answers, as plain JSON objects. ``client`` is its registry's, and used for nothing else then."""

    def __init__(self, client: RegistryClient) -> None:
        self.client = client
        self.host = client.registry
        self._met = False
        client.auth.direct = True

    async def ask(self, method: str, target: str, body: Mapping[str, Any] | None = None) -> Fields:
        """Send one request to ``target``, made by :func:`path`; return the answer, ``{}`` where it has no body.

        Raise what a refusal means, and NotFound where the other side is no hub at all.
        """
        if not self._met:
            await self._meet()
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            async with self.client.request(
                method, API + target, expect=_DONE, where=self.host, headers=headers,
                body=None if body is None else json.dumps(body).encode(), again=method == "GET",
            ) as response:  # fmt: skip
                raw = await read_all(response, MAX_PAGE, self.host)
        except Unauthenticated as error:
            raise Unauthenticated(error.message, hint=f"Log in: dockyard login {self.host}") from error
        except (NotFound, Invalid, Conflict) as error:
            # The hub's own words say more than the code that registries have for it.
            words = error.code.lower().replace("_", " ")
            raise type(error)(error.message.removeprefix(f"{self.host}: {words}: ")) from error
        fields = _parse(raw) if raw else {}
        if fields is None:
            raise Unavailable(f"{self.host}: the answer is not a JSON object")
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

    async def _meet(self) -> None:
        """Find out that the other side is a hub before it is sent a login: a hub asks for one, in a way of its own."""
        challenges: list[Challenge] = []
        if self.host != DOCKER_HUB:
            with contextlib.suppress(NotFound, Denied, Invalid, Unsupported):
                async with self.client.request(
                    "GET", f"{API}/account", None, expect={401}, where=self.host
                ) as response:
                    challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
        if not any(one.scheme == "basic" and one.parameters.get("realm") == REALM for one in challenges):
            what = "is not a dockyard hub" + ("" if self.host == DOCKER_HUB else ", or one without accounts")
            raise NotFound(f"{self.host} {what}", hint=_NO_HUB)
        self.client.auth.learn(challenges)
        self._met = True


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
