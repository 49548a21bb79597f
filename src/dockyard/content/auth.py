"""Proving who asks: Basic, and tokens from the service that a registry announces.

Source: distribution's specifications "Token Authentication" and "OAuth2 token authentication".
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode, urlsplit

from dockyard.content.refusals import refusal
from dockyard.content.trust import host_of, may_carry_credentials
from dockyard.errors import Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from dockyard.content.challenges import Challenge
    from dockyard.content.credentials import Credentials, Login

Scopes = frozenset[str]
"""What a token should allow: ``repository:team/app:pull,push``."""

CLIENT_ID = "dockyard"
DEFAULT_LIFE = 60.0
"""Seconds that a token lasts where its answer does not say."""
INCORRECT = "unauthorized: incorrect username or password"
"""What docker says of credentials that are refused, whatever the registry said."""
SECOND_FACTOR = "personal access token"
"""Words of a refusal that is about more than a wrong password, so that it is shown: a second factor is on."""
MARGIN = 5.0
"""Seconds before its end at which a token is no longer used."""


class Fetch(Protocol):
    """One bare request to a token service: no credentials but the headers given, no redirects followed."""

    async def __call__(
        self, method: str, url: str, *, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and the clock's time of its birth and end."""

    text: str
    born: float
    ends: float


class Auth:
    """Makes the ``Authorization`` header of one registry's requests. Tokens are kept for each set of scopes."""

    def __init__(
        self, registry: str, credentials: Credentials, fetch: Fetch, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.registry = registry
        self.credentials = credentials
        self.fetch = fetch
        self.clock = clock
        self.scheme = "https"  # of the registry's own URL; the client says so once it knows
        self.offline = False  # ask for an identity token too, as `docker login` does
        self.identity_token = ""  # what the token service gave for later
        self.direct = False  # prove who asks with the login itself, as a hub's JSON API has it
        self._bearer: Challenge | None = None
        self._basic = False
        self._login: Login | None = None
        self._asked = False
        self._tokens: dict[Scopes, Token] = {}
        self._extra: dict[Scopes, Scopes] = {}
        self._locks: dict[Scopes, asyncio.Lock] = {}

    def learn(self, challenges: Iterable[Challenge]) -> None:
        """Take in how the registry wants to be asked; tokens are preferred to passwords."""
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                self._bearer = challenge
            elif challenge.scheme == "basic":
                self._basic = True

    async def header(self, scopes: Scopes) -> str | None:
        """The header's value for requests that need ``scopes``, or ``None`` to ask without."""
        if self.direct:
            # A password goes as it is only to who takes it so.
            login = await self.login() if self._basic else None
            if login and login.identity_token:
                return f"Bearer {login.identity_token}"
            return _basic(login.username, login.password) if login else None
        if self._bearer:
            return f"Bearer {(await self._token(self._bearer, scopes)).text}"
        if self._basic and (login := await self.login()):
            return _basic(login.username, login.password or login.identity_token)
        return None

    def refused(self, scopes: Scopes, sent: str | None, challenges: list[Challenge], *, since: float) -> bool:
        """Take in a 401 to a request begun at ``since``; return whether asking again may help."""
        self.learn(challenges)
        wanted = {scope for challenge in challenges for scope in challenge.parameters.get("scope", "").split()}
        known = scopes | self._extra.get(scopes, frozenset())
        if sent is None:
            return bool(challenges)
        token = self._tokens.get(scopes)
        if wanted - known and self._bearer:
            self._extra[scopes] = known | wanted
            self._tokens.pop(scopes, None)
            return True
        if not self._bearer or not sent.startswith("Bearer "):
            return bool(self._bearer)
        if token and sent == f"Bearer {token.text}":
            if token.born >= since:
                return False  # made for this very request: another would not be better
            del self._tokens[scopes]
        return True

    async def login(self) -> Login | None:
        """The registry's login, asked for once: a helper may wait for a person."""
        if not self._asked:
            self._login = await asyncio.to_thread(self.credentials.get, self.registry)
            self._asked = True
        return self._login

    async def _token(self, bearer: Challenge, scopes: Scopes) -> Token:
        async with self._locks.setdefault(scopes, asyncio.Lock()):
            token = self._tokens.get(scopes)
            if token is None or token.ends - MARGIN <= self.clock():
                token = self._tokens[scopes] = await self._renew(bearer, scopes)
            return token

    async def _renew(self, bearer: Challenge, scopes: Scopes) -> Token:
        realm, service = bearer.parameters["realm"], bearer.parameters.get("service", "")
        login = await self.login()
        self._check(realm)
        allowed = sorted(scopes | self._extra.get(scopes, frozenset()))
        born = self.clock()
        status, body = 404, b""
        headers: Mapping[str, str] = {}
        if login and login.identity_token:
            form = {"grant_type": "refresh_token", "refresh_token": login.identity_token, "client_id": CLIENT_ID}
            form |= {"service": service} if service else {}
            form |= {"scope": " ".join(allowed)} if allowed else {}
            status, headers, body = await self.fetch("POST", realm, headers={}, form=form)
        if status in {404, 405}:  # no OAuth2 here, or no identity token to use with it
            pairs = [("service", service)] if service else []
            pairs += [("scope", scope) for scope in allowed]
            pairs += [("client_id", CLIENT_ID)] + ([("offline_token", "true")] if self.offline else [])
            carried: dict[str, str] = {}
            if login:
                pairs.append(("account", login.username))
                carried["Authorization"] = _basic(login.username or "<token>", login.password or login.identity_token)
            url = realm + ("&" if urlsplit(realm).query else "?") + urlencode(pairs)
            status, headers, body = await self.fetch("GET", url, headers=carried)
        if status != 200:
            raise self._refused_by_service(status, headers, body, login)
        return self._parse(body, born)

    def _check(self, realm: str) -> None:
        """Refuse a token service to which credentials would go less safely than to the registry itself."""
        try:
            parts = urlsplit(realm)
            host = parts.hostname or ""
        except ValueError:
            parts, host = urlsplit(""), ""
        registry_host = host_of(self.registry)
        if host and may_carry_credentials(parts.scheme, host, registry_scheme=self.scheme, registry_host=registry_host):
            return
        raise Unauthenticated(
            f"{self.registry} sends for a token to {realm[:200]!r}, which is less safe than the registry itself",
            hint="Nothing was sent there. Its operator has to announce an https address.",
        )

    def _refused_by_service(
        self, status: int, headers: Mapping[str, str], body: bytes, login: Login | None
    ) -> Exception:
        where = f"the token service of {self.registry}"
        error = refusal(status, headers, body, where=where)
        if status == 401 and login:
            said = error.message.removeprefix(f"{where}: ")
            why = said if SECOND_FACTOR in said else INCORRECT
            return Unauthenticated(
                f"{self.registry}: {why}", hint=f"Log in again: dockyard login {self.registry}", detail=why
            )
        return error

    def _parse(self, body: bytes, born: float) -> Token:
        try:
            fields: Any = json.loads(body)
            text = fields.get("token") or fields.get("access_token")
            life = fields.get("expires_in") or DEFAULT_LIFE
            refresh = fields.get("refresh_token")
        except (ValueError, AttributeError, RecursionError):
            text = None
        if not isinstance(text, str) or not text.isascii() or not text.isprintable():
            raise Unavailable(f"the token service of {self.registry} gave no token")
        if not isinstance(life, int | float) or life <= 0:
            life = DEFAULT_LIFE
        if isinstance(refresh, str):
            self.identity_token = refresh
        return Token(text, born, born + max(float(life), 2 * MARGIN))


def pull(repository: str) -> Scopes:
    """The scope to read a repository."""
    return frozenset({f"repository:{repository}:pull"})


def push(repository: str) -> Scopes:
    """The scope to read and write a repository."""
    return frozenset({f"repository:{repository}:pull,push"})


def delete(repository: str) -> Scopes:
    """The scope to delete from a repository."""
    return frozenset({f"repository:{repository}:pull,delete"})


CATALOG: Scopes = frozenset({"registry:catalog:*"})
"""The scope to list repositories."""


def _basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
