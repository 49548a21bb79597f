"""One registry over HTTP: its address, who asks, redirects, retries and what its refusals mean.

Source: OCI distribution specification 1.1; RFC 9110, section 15.4, for redirects.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp
from yarl import URL

from dockyard.content import trust
from dockyard.content.auth import CATALOG, INCORRECT, Auth, Scopes
from dockyard.content.challenges import parse_challenges
from dockyard.content.credentials import Credentials, FixedLogin, Login
from dockyard.content.failures import failure
from dockyard.content.fetch import read_all
from dockyard.content.links import next_page
from dockyard.content.protocols import CHUNK
from dockyard.content.refusals import MAX_ERROR_BODY, refusal
from dockyard.content.remote import Remote
from dockyard.content.retry import Retry
from dockyard.content.uploads_state import UploadSessions
from dockyard.errors import DockyardError, NotFound, Unauthenticated, Unavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from pathlib import Path
    from typing import Self

    from dockyard.oci.reference import RepositoryName

    Body = bytes | Callable[[], AsyncIterator[bytes]]

CONNECT_TIMEOUT = 30.0
"""Seconds for a connection to stand."""
IDLE_TIMEOUT = 90.0
"""Seconds in which nothing moves before the other side is taken for gone."""
MAX_REDIRECTS = 8
MAX_CHALLENGES = 3
"""Times that one request is sent with what it was asked for: a password, a token, a token for more."""
MAX_PAGE = 16 * 1024 * 1024
"""Bytes of one page of a list."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WITHOUT_SCOPE: Scopes = frozenset()


class RegistryClient:
    """One registry and the connections to it; an async context manager.

    ``registry`` is the host as image names have it. Plain HTTP is spoken to loopback, and elsewhere only when told
    ``insecure``, which also accepts any certificate. ``ca_file`` holds certificates (PEM) to believe besides the
    system's. ``uploads`` keeps unfinished uploads for later processes.
    """

    def __init__(
        self,
        registry: str,
        *,
        credentials: Credentials | None = None,
        insecure: bool = False,
        ca_file: str | Path | None = None,
        uploads: UploadSessions | None = None,
        retry: Retry | None = None,
    ) -> None:
        self.registry = registry
        self.insecure = insecure
        self.ca_file = ca_file
        self.uploads = uploads or UploadSessions(None)
        self.retry = retry or Retry()
        self.auth = Auth(registry, credentials or FixedLogin(), self._fetch)
        self.origin = ""  # scheme://host, once the registry answered
        self.chunk = 0  # bytes in one PATCH, once the registry showed that it takes no endless ones
        self._settling = asyncio.Lock()
        self._session: aiohttp.ClientSession | None = None
        self._tls: dict[str, ssl.SSLContext] = {}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            # Bytes come as they are stored: nothing on the way may compress them.
            headers={"User-Agent": "dockyard", "Accept-Encoding": "identity"},
            skip_auto_headers=["Content-Type"],
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=CHUNK,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session:
            await self._session.close()

    def repository(self, name: RepositoryName) -> Remote:
        """One repository of this registry."""
        return Remote(self, name)

    async def ping(self) -> None:
        """Ask whether the registry is there and lets us in. Unauthenticated, Unavailable."""
        async with self.request("GET", "/v2/", expect={200}, where=self.registry):
            pass

    async def login(self) -> Login | None:
        """Prove the credentials, as ``docker login`` does; return what to keep in place of the password, if anything.

        Unauthenticated where they are wrong.
        """
        self.auth.offline = True
        try:
            await self.ping()
        except Unauthenticated as error:
            raise Unauthenticated(
                f"{self.registry}: {error.detail or INCORRECT}",
                hint="A personal access token of the registry, made on its pages, works in place of the password.",
            ) from error
        login, token = await self.auth.login(), self.auth.identity_token
        return Login(login.username, identity_token=token) if login and token else None

    async def catalog(self) -> AsyncIterator[str]:
        """Yield the repositories that we may list (``_catalog``, which not every registry has)."""
        async for page in self.pages("/v2/_catalog?n=1000", CATALOG, where=f"the catalog of {self.registry}"):
            names = page.get("repositories")
            for name in names if isinstance(names, list) else []:
                yield str(name)

    async def pages(
        self, target: str, scopes: Scopes, *, where: str, missing: type[DockyardError] = NotFound
    ) -> AsyncIterator[dict[str, object]]:
        """Yield the JSON object of each page of a list, going by ``Link``, within this registry."""
        seen: set[str] = set()
        page: str | None = target
        while page and page not in seen:
            async with self.request("GET", page, scopes, expect={200}, where=where, missing=missing) as response:
                body = await read_all(response, MAX_PAGE, where)
                seen.add(str(response.url))
                page = next_page(response.headers.getall("Link", []), str(response.url))
            if page and not self.is_own(page):
                raise Unavailable(f"{where}: the list goes on at another host, {urlsplit(page).netloc}")
            try:
                fields = json.loads(body)
            except (ValueError, RecursionError):
                fields = None
            if not isinstance(fields, dict):
                raise Unavailable(f"{where}: the answer is not a JSON object")
            yield fields

    @contextlib.asynccontextmanager
    async def request(
        self,
        method: str,
        target: str,
        scopes: Scopes | None = _WITHOUT_SCOPE,
        *,
        expect: Collection[int],
        where: str,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        missing: type[DockyardError] = NotFound,
        again: bool = True,
        idle: float = IDLE_TIMEOUT,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send one request and give its answer once its status is one of ``expect``; else raise what it means.

        ``target`` is a path or a URL; with ``scopes`` ``None`` no credentials go there. ``where`` names what is
        asked, for messages; ``missing`` is what a 404 without a code means. ``again`` repeats requests that failed
        for the moment. ``idle`` is the longest silence of the other side, in seconds, once the request is sent.
        """

        async def once() -> aiohttp.ClientResponse:
            await self._settle()
            response = await self._follow(method, self.resolve(target), scopes, headers or {}, body, idle)
            if response.status in expect:
                return response
            raise await self._refusal(response, where, missing)

        response = await (self.retry(once) if again else once())
        try:
            yield response
        finally:
            response.release()

    def resolve(self, target: str, base: str = "") -> str:
        """The URL of a path or of a ``Location``, which may be relative.

        A proxy that ends TLS often lets the registry believe that it is spoken to over plain HTTP: what points back
        to the same host stays on https.
        """
        url = urljoin(base or self.origin + "/", target)
        if self.origin.startswith("https://") and url.startswith(
            "http://" + self.origin.removeprefix("https://") + "/"
        ):
            return "https" + url.removeprefix("http")
        return url

    def is_own(self, url: str) -> bool:
        """Whether a URL is on this registry itself: same scheme, host and port."""
        return url.startswith(self.origin + "/")

    async def _follow(
        self, method: str, url: str, scopes: Scopes | None, headers: Mapping[str, str], body: Body | None, idle: float
    ) -> aiohttp.ClientResponse:
        for _ in range(MAX_REDIRECTS):
            if scopes is not None and self.is_own(url):
                response = await self._authorised(method, url, scopes, headers, body, idle)
            else:
                response = await self._send(method, url, headers, body, idle)
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not location:
                return response
            if method not in {"GET", "HEAD"} and response.status not in {307, 308}:
                return response
            response.release()
            url, came_from = self.resolve(location, url), url
            if came_from.startswith("https:") and not url.startswith("https:"):
                raise Unavailable(f"{self.registry} redirects from https to {url[:200]!r}, which is less safe")
        raise Unavailable(f"{self.registry} redirects more than {MAX_REDIRECTS} times")

    async def _authorised(
        self, method: str, url: str, scopes: Scopes, headers: Mapping[str, str], body: Body | None, idle: float
    ) -> aiohttp.ClientResponse:
        since, authorization = time.monotonic(), await self.auth.header(scopes)
        for _ in range(MAX_CHALLENGES):
            carried = {**headers, "Authorization": authorization} if authorization else headers
            response = await self._send(method, url, carried, body, idle)
            challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
            if response.status != 401 or not self.auth.refused(scopes, authorization, challenges, since=since):
                break
            try:
                renewed = await self.auth.header(scopes)
            except BaseException:
                response.release()
                raise
            if renewed == authorization:
                break
            response.release()
            authorization = renewed
        return response

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Body | None, idle: float
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("the client is used outside of its context")
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Unavailable(f"{self.registry} points to {url[:200]!r}, which is not an http or https URL")
        with failure(where=parts.netloc, first=not self.origin):
            return await self._session.request(
                method,
                URL(url, encoded=True),
                headers=headers,
                # A file goes piece by piece; megabytes of a manifest at once would hold up all that goes on beside.
                data=BytesIO(body) if isinstance(body, bytes) else body and body(),
                allow_redirects=False,
                ssl=self._context(parts.netloc) if parts.scheme == "https" else True,
                proxy=trust.proxy_for(parts.scheme, parts.hostname),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=idle),
            )

    def _context(self, netloc: str) -> ssl.SSLContext:
        if netloc not in self._tls:
            own = netloc == trust.address(self.registry)
            self._tls[netloc] = trust.tls_context(
                self.registry if own else netloc, insecure=self.insecure and own, ca_file=self.ca_file
            )
        return self._tls[netloc]

    async def _settle(self) -> None:
        """At first contact, find out how the registry is spoken to and how it wants to be asked."""
        async with self._settling:
            if not self.origin:
                await self._first_contact()

    async def _first_contact(self) -> None:
        host = trust.address(self.registry)
        choices = trust.schemes(self.registry, insecure=self.insecure)
        for scheme in choices:
            last = scheme == choices[-1]
            try:
                response = await self._send("GET", f"{scheme}://{host}/v2/", {}, None, IDLE_TIMEOUT)
            except Unavailable:
                if last:
                    raise
                continue
            response.release()
            # A TLS server answers plain HTTP with 400, if at all.
            if response.status == 400 and not last:
                continue
            self.auth.learn(parse_challenges(response.headers.getall("WWW-Authenticate", [])))
            self.auth.scheme, self.origin = scheme, f"{scheme}://{host}"
            return

    async def _refusal(
        self, response: aiohttp.ClientResponse, where: str, missing: type[DockyardError]
    ) -> DockyardError:
        try:
            with failure(where=where):
                body = await response.content.readexactly(MAX_ERROR_BODY)
        except asyncio.IncompleteReadError as end:
            body = end.partial
        except Unavailable:
            body = b""
        finally:
            response.release()
        challenges = parse_challenges(response.headers.getall("WWW-Authenticate", []))
        insufficient = any(challenge.parameters.get("error") == "insufficient_scope" for challenge in challenges)
        status = 403 if response.status == 401 and insufficient else response.status
        return refusal(status, response.headers, body, where=where, missing=missing)

    async def _fetch(
        self, method: str, url: str, *, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request to a token service."""
        body = urlencode(form).encode() if form else None
        carried = {**headers, "Content-Type": "application/x-www-form-urlencoded"} if form else headers
        response = await self._send(method, url, carried, body, IDLE_TIMEOUT)
        try:
            where = f"the token service of {self.registry}"
            return response.status, response.headers, await read_all(response, MAX_ERROR_BODY, where)
        finally:
            response.release()
