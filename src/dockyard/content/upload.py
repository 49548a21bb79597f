"""Writing a blob over HTTP: resumed where it stopped, in one stream or in chunks, and never sent twice.

Source: OCI distribution specification 1.1, section "Pushing blobs".
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from dockyard.content import auth
from dockyard.content.protocols import Outcome
from dockyard.content.streams import closing
from dockyard.errors import (
    BlobUploadInvalid,
    Conflict,
    DigestInvalid,
    DockyardError,
    Invalid,
    NameUnknown,
    NotFound,
    OutOfRange,
    SizeInvalid,
    TooLarge,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Self

    from dockyard.content.protocols import Source
    from dockyard.content.remote import Remote
    from dockyard.content.uploads_state import Claim
    from dockyard.oci.descriptor import Descriptor

SMALL = 1024 * 1024
"""Bytes up to which a blob goes in the closing PUT, which saves a request."""
CHUNK_SIZES = (16 * 1024 * 1024, 4 * 1024 * 1024, 1024 * 1024)
"""Bytes of one PATCH where endless ones don't get through, tried in this order: proxies often limit bodies."""
STREAMS = 2
"""Uploads of one blob that may be cut before chunks are tried: some proxies cut what is too large for them."""
STALL = 120.0
"""Seconds without the registry taking anything before an upload counts as cut."""
COMMIT = 900.0
"""Seconds that a registry may think about the closing PUT: some copy the whole blob then."""

_DONE = frozenset({200, 201, 202, 204})
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)", re.ASCII)


async def begin(remote: Remote, *, query: str = "", scopes: auth.Scopes | None = None) -> str:
    """Open an upload and return its URL.

    With ``scopes`` the ``query`` asks for a mount, and ``""`` is returned where that made the upload needless.
    """
    client = remote.client
    async with client.request(
        "POST", f"{remote.path}/blobs/uploads/" + (f"?{query}" if query else ""),
        scopes or auth.push(remote.repository), expect={202, 201} if scopes else {202},
        where=remote.name, headers={"Content-Length": "0"}, missing=NameUnknown,
    ) as response:  # fmt: skip
        if response.status == 201:
            return ""
        minimum = response.headers.get("OCI-Chunk-Min-Length", "")
        if minimum.isdecimal() and int(minimum):
            client.chunk = max(client.chunk or CHUNK_SIZES[0], min(int(minimum), 1 << 30))
        return _location(remote, response.headers.get("Location", ""), str(response.url))


async def upload(remote: Remote, blob: Descriptor, source: Source) -> Outcome:
    """Send a blob; after an error the next call goes on at the offset that the registry has.

    DigestInvalid and SizeInvalid where ``source`` gives other bytes than ``blob`` says; Unavailable where it is
    worth trying again.
    """
    waited = (lock := remote.writing.setdefault(blob.digest, asyncio.Lock())).locked()
    async with lock:
        if waited and await remote.has(blob):
            return Outcome.EXISTED
        client = remote.client
        with client.uploads.claim(client.registry, remote.repository, blob.digest, size=blob.size) as claim:
            await _upload(remote, blob, source, claim)
    del remote.attempts[blob.digest]
    return Outcome.WRITTEN


async def _upload(remote: Remote, blob: Descriptor, source: Source, claim: Claim) -> None:
    remote.attempts[blob.digest] = attempts = remote.attempts.get(blob.digest, 0) + 1
    if attempts > STREAMS:
        remote.client.chunk = remote.client.chunk or CHUNK_SIZES[0]
    location, offset = remote.begun.pop(blob.digest, ""), 0
    if not location and claim.location:
        location, offset = await _status(remote, blob, claim.location)
        if not location:
            claim.drop()
            if await remote.has(blob):  # it was complete, only the answer was lost
                return
        if not offset:
            location = ""  # an upload of no bytes looks like one of a single byte: it is not worth going on with
    if not location:
        algorithm = blob.digest.algorithm
        location = await begin(remote, query="" if algorithm == "sha256" else f"digest-algorithm={algorithm}")
    try:
        await _send(remote, blob, source, location, offset, claim)
    except (DigestInvalid, SizeInvalid):
        await _cancel(remote, claim.location)
        claim.drop()
        raise
    claim.drop()


async def _cancel(remote: Remote, location: str) -> None:
    """Let the registry free what an upload took that nothing can come of; one that will not keeps it until it expires.

    Source: section "Cancel a blob upload".
    """
    with contextlib.suppress(DockyardError):
        async with remote.client.request(
            "DELETE", location, auth.push(remote.repository), expect=_DONE, where=remote.name,
            headers={"Content-Length": "0"}, again=False,
        ):  # fmt: skip
            pass


async def _send(remote: Remote, blob: Descriptor, source: Source, location: str, offset: int, claim: Claim) -> None:
    client = remote.client
    claim.keep(location)
    if offset == 0 and blob.size <= SMALL:
        await _close(remote, blob, location, _Body(blob, source, 0, blob.size))
        return
    while offset < blob.size:
        length = min(client.chunk or blob.size, blob.size - offset)
        body = _Body(blob, source, offset, length)
        try:
            location, offset = await _patch(remote, blob, location, body)
        except TooLarge as error:
            client.chunk = _smaller(min(length, client.chunk or length), error)
            location, offset = await _status(remote, blob, location)
            if not location:
                raise Unavailable(error.message) from error
        claim.keep(location)
    await _close(remote, blob, location, None)


async def _patch(remote: Remote, blob: Descriptor, location: str, body: _Body) -> tuple[str, int]:
    """Send one piece; return where and at which offset to go on."""
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(body.length)}
    if body.length < blob.size:
        headers["Content-Range"] = f"{body.offset}-{body.offset + body.length - 1}"
    response_headers, url = await _transmit(remote, "PATCH", location, headers, body)
    got = _RANGE.fullmatch(response_headers.get("Range", ""))
    expected = body.offset + body.length
    offset = int(got[1]) + 1 if got else expected
    if not body.offset < offset <= expected:
        raise Unavailable(f"{remote.name}: after {expected} bytes the registry says that it has {offset}")
    return _location(remote, response_headers.get("Location", "") or location, url), offset


async def _close(remote: Remote, blob: Descriptor, location: str, body: _Body | None) -> None:
    """Tell the digest, which makes the blob; DigestInvalid where the bytes are others."""
    target = location + ("&" if "?" in location else "?") + f"digest={quote(str(blob.digest), safe='')}"
    headers = {"Content-Length": str(body.length if body else 0)}
    if body and body.length:
        headers["Content-Type"] = "application/octet-stream"
    try:
        await _transmit(remote, "PUT", target, headers, body if body and body.length else None)
    except DigestInvalid as error:
        raise DigestInvalid(
            f"{error.message} (what was sent as {blob.digest} is something else)",
            hint="The local copy is damaged, or the bytes changed on the way.",
        ) from error


async def _transmit(
    remote: Remote, method: str, target: str, headers: dict[str, str], body: _Body | None
) -> tuple[dict[str, str], str]:
    try:
        async with asyncio.timeout(None) as deadline, body or contextlib.nullcontext():
            if body:
                body.deadline = deadline
            async with remote.client.request(
                method, target, auth.push(remote.repository), expect=_DONE, where=remote.name,
                headers=headers, body=body, again=False, idle=COMMIT,
            ) as response:  # fmt: skip
                return {name.title(): value for name, value in response.headers.items()}, str(response.url)
    except TimeoutError:
        raise Unavailable(f"{remote.name}: the registry took nothing for {STALL:.0f} s") from None
    except Unavailable:
        if body and body.failure:
            raise body.failure from None  # our side broke it off, not the network
        raise
    except (NotFound, OutOfRange, BlobUploadInvalid, Conflict) as error:
        # The registry dropped the upload or stands elsewhere than it said; the next try asks, or starts anew.
        raise Unavailable(f"{error.message} (the registry lost the upload)") from error


async def _status(remote: Remote, blob: Descriptor, location: str) -> tuple[str, int]:
    """Where an upload stands: its URL and the bytes it has; an empty URL where the registry no longer knows it.

    Source: section "Pushing a blob in chunks", on getting the status of an upload.
    """
    try:
        async with remote.client.request(
            "GET", location, auth.push(remote.repository), expect={200, 202, 204}, where=remote.name, again=False
        ) as response:
            got = _RANGE.fullmatch(response.headers.get("Range", ""))
            # "0-0" is what registries say of an empty upload, and of one with a single byte.
            offset = int(got[1]) + 1 if got and int(got[1]) else 0
            if offset > blob.size:
                return "", 0
            return _location(remote, response.headers.get("Location", "") or location, str(response.url)), offset
    except (NotFound, Invalid, OutOfRange, Unsupported, Conflict):
        return "", 0


class _Body:
    """A piece of a blob as the body of a request, which may have to be sent more than once."""

    def __init__(self, blob: Descriptor, source: Source, offset: int, length: int) -> None:
        self.blob, self.source = blob, source
        self.offset, self.length = offset, length
        self.deadline: asyncio.Timeout | None = None
        self.failure: Exception | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._writer: asyncio.Task[object] | None = None

    def __call__(self) -> AsyncIterator[bytes]:
        """Return the piece's bytes; called anew for each time it is sent."""
        self._pieces = self._read()
        return self._pieces

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave nothing that reads the source: a request that is given up ends its writer a little later."""
        if kind and self._writer and self._writer is not asyncio.current_task():
            self._writer.cancel()
            await asyncio.wait([self._writer])
        if kind and self._pieces:
            async with closing(self._pieces):
                self._pieces = None

    async def _read(self) -> AsyncIterator[bytes]:
        self._writer = asyncio.current_task()
        left = self.length
        whole = self.offset + self.length == self.blob.size
        try:
            async with closing(self.source.open(self.blob, self.offset)) as chunks:
                async for chunk in chunks:
                    if len(chunk) > left:
                        if whole:
                            raise SizeInvalid(f"{self.blob.digest} has more than the {self.blob.size} bytes stated")
                        chunk = chunk[:left]
                    left -= len(chunk)
                    self._alive(left)
                    yield chunk
                    if not left and not whole:
                        return
            if left:
                raise SizeInvalid(f"{self.blob.digest} ends {left} bytes before the {self.blob.size} stated")
        except Exception as error:
            self.failure = error
            raise

    def _alive(self, left: int) -> None:
        """Note that the registry took what came before; after the last bytes it may think."""
        if self.deadline:
            self.deadline.reschedule(asyncio.get_running_loop().time() + STALL + (0 if left else COMMIT))


def _location(remote: Remote, location: str, base: str) -> str:
    """The URL in a ``Location``, absolute or relative to the request's."""
    if not location:
        raise Unavailable(f"{remote.name}: the registry opened an upload and did not say where")
    return remote.client.resolve(location, base)


def _smaller(sent: int, error: TooLarge) -> int:
    """The next size of chunk to try after one of ``sent`` bytes was too large."""
    for size in CHUNK_SIZES:
        if size < sent:
            return size
    raise error
