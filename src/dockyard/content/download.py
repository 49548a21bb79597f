"""A file from a web server: what ADD takes from a URL. No credentials are ever sent.

Source: RFC 9110, sections 8.8 (validators), 13.1 (conditional requests) and 15.4 (redirects).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from dockyard.content import trust
from dockyard.content.failures import failure
from dockyard.content.http import CONNECT_TIMEOUT, IDLE_TIMEOUT, MAX_REDIRECTS
from dockyard.content.protocols import CHUNK
from dockyard.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What a server answered. ``modified`` is in seconds since 1970, 0 where it did not say; ``size`` in bytes.

    With ``unchanged`` it is still what ``etag`` or ``modified`` in the question named, and nothing came.
    """

    size: int = 0
    modified: int = 0
    etag: str = ""
    unchanged: bool = False


async def download(
    url: str,
    sink: Callable[[bytes], None],
    *,
    etag: str = "",
    limit: int | None = None,
    ca_file: str | None = None,
    progress: Callable[[int, int], None] = lambda current, total: None,
) -> Downloaded:
    """Fetch ``url`` and pass on its bytes. With ``etag`` ask only for what is not that any more.

    NotFound, Invalid for what is no URL to fetch or has more than ``limit`` bytes, Unavailable for the rest.
    """
    shown = redacted(url)
    headers = {"User-Agent": "dockyard", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    async with aiohttp.ClientSession(
        headers=headers, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), read_bufsize=CHUNK,
        trust_env=False,
    ) as session:  # fmt: skip
        response = await _follow(session, url, ca_file)
        try:
            if response.status == 304 and etag:
                return Downloaded(etag=etag, unchanged=True)
            if response.status in (404, 410):
                raise NotFound(f"{shown}: not found: the server says {response.status}")
            if response.status != 200:
                raise Unavailable(f"{shown}: invalid response status {response.status}")
            total = response.content_length or 0
            if limit is not None and total > limit:
                raise Invalid(f"{shown} has {total} bytes; at most {limit} are taken")
            size = 0
            while True:
                with failure(where=shown):
                    piece = await response.content.read(CHUNK)
                if not piece:
                    break
                size += len(piece)
                if limit is not None and size > limit:
                    raise Invalid(f"{shown} has more than {limit} bytes")
                sink(piece)
                progress(size, total)
            if total and size != total:
                raise Unavailable(f"{shown}: the connection was cut after {size} of {total} bytes")
            return Downloaded(size, modified_of(response.headers), response.headers.get("ETag", ""))
        finally:
            response.close()


def modified_of(headers: Mapping[str, str]) -> int:
    """The time of ``Last-Modified`` in seconds since 1970; 0 where there is none, as docker has it."""
    try:
        return max(0, int(parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp()))
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0


def redacted(url: str) -> str:
    """A URL as it may be shown: without what may be a secret in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


async def _follow(session: aiohttp.ClientSession, url: str, ca_file: str | None) -> aiohttp.ClientResponse:
    for _ in range(MAX_REDIRECTS):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Invalid(f"{redacted(url)[:200]!r} is not an http or https URL")
        if parts.username is not None or parts.password is not None:
            raise Invalid(
                f"{redacted(url)}: a URL with a user name or a password in it is not fetched",
                hint="They would stay in the image's history. Fetch it in a RUN with --mount=type=secret.",
            )
        with failure(where=parts.netloc):
            response = await session.get(
                URL(url, encoded=True),
                allow_redirects=False,
                ssl=_tls(parts.netloc, ca_file) if parts.scheme == "https" else True,
                proxy=trust.proxy_for(parts.scheme, parts.hostname),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT, sock_read=IDLE_TIMEOUT),
            )
        location = response.headers.get("Location", "")
        if response.status not in _REDIRECTS or not location:
            return response
        response.release()
        url, came_from = urljoin(url, location), url
        if came_from.startswith("https:") and not url.startswith("https:"):
            raise Unavailable(f"{redacted(came_from)} redirects from https to {redacted(url)}, which is less safe")
    raise Unavailable(f"{redacted(url)}: more than {MAX_REDIRECTS} redirects")


def _tls(netloc: str, ca_file: str | None) -> ssl.SSLContext:
    # Certificates that docker trusts for a registry are of no meaning for other servers.
    return trust.tls_context(netloc, ca_file=ca_file or os.environ.get("SSL_CERT_FILE") or None, folders=())
