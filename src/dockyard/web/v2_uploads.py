"""Upload sessions: how blobs come in, in every dialect that clients speak.

Source: OCI distribution specification, sections "Pushing blobs", "Mounting a blob from another repository",
"Cancelling a blob upload".
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dockyard.errors import Denied, DigestInvalid, NameInvalid, NotFound, SizeInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.reference import parse_repository
from dockyard.web.messages import Response
from dockyard.web.ranges import parse_content_range, upload_range
from dockyard.web.routing import blob_path, upload_path

if TYPE_CHECKING:
    from dockyard.oci.reference import RepositoryName
    from dockyard.registry.content import Blob, Registry, Upload
    from dockyard.web.messages import Request


async def post_uploads(registry: Registry, request: Request) -> Response:
    """``POST``: mount a blob (``?mount=&from=``), take a whole one (``?digest=``), or start a session."""
    repository, mount = request.route.repository, request.query("mount")
    if mount is not None:
        wanted = Digest.parse(mount)
        found = await _mount(registry, request, wanted)
        algorithm = wanted.algorithm
    elif (digest := request.query("digest")) is not None:
        wanted = Digest.parse(digest)
        found = await _take_whole(registry, request, wanted)
        algorithm = wanted.algorithm
    else:
        found, algorithm = None, request.query("digest-algorithm") or "sha256"
    if found:
        return _created(repository, found)
    return _standing(202, await registry.begin_upload(request.actor, repository, algorithm=algorithm))


async def get_upload(registry: Registry, request: Request) -> Response:
    """``GET``: how far the session is. A request that still sends to it is stopped."""
    return _standing(204, await registry.upload(request.actor, request.route.repository, request.route.rest))


async def patch_upload(registry: Registry, request: Request) -> Response:
    """``PATCH``: a chunk with its Content-Range, or a stream of unknown length."""
    start, length = _placed(request)
    repository, session = request.route.repository, request.route.rest
    upload = await registry.append(request.actor, repository, session, request.chunks(), start=start, length=length)
    return _standing(202, upload)


async def put_upload(registry: Registry, request: Request) -> Response:
    """``PUT ?digest=``: the last chunk, the whole blob, or nothing more; then the session is a blob."""
    digest = Digest.parse(_needed(request, "digest"))
    start, length = _placed(request)
    repository, session = request.route.repository, request.route.rest
    blob = await registry.finish_upload(
        request.actor, repository, session, digest, request.chunks(), start=start, length=length
    )
    return _created(repository, blob)


async def delete_upload(registry: Registry, request: Request) -> Response:
    """``DELETE``: the session ends, and what it had is dropped."""
    await registry.cancel_upload(request.actor, request.route.repository, request.route.rest)
    return Response(204)


async def _mount(registry: Registry, request: Request, digest: Digest) -> Blob | None:
    origin = None
    if (text := request.query("from")) is not None:
        try:
            origin = parse_repository(text)
        except NameInvalid:
            return None  # nothing is mounted from there: the client uploads
    return await registry.mount(request.actor, request.route.repository, digest, origin)


async def _take_whole(registry: Registry, request: Request, digest: Digest) -> Blob:
    repository = request.route.repository
    upload = await registry.begin_upload(request.actor, repository, algorithm=digest.algorithm)
    try:
        return await registry.finish_upload(
            request.actor, repository, upload.id, digest, request.chunks(), start=0, length=request.length
        )
    except BaseException:
        # The client was never told of the session, so nobody can go on with it.
        # Who may no longer send may not cancel either: what there is of it goes with age.
        with contextlib.suppress(NotFound, Denied):
            await registry.cancel_upload(request.actor, repository, upload.id)
        raise


def _placed(request: Request) -> tuple[int | None, int | None]:
    """Where the body says it belongs, and how long it says it is. BlobUploadInvalid, SizeInvalid."""
    length, text = request.length, request.header(b"content-range")
    if text is None or length == 0:
        return None, length
    start, end = parse_content_range(text)
    if length is not None and length != end - start:
        raise SizeInvalid(f"Content-Range {text[:80]!r} is not of the {length} bytes that Content-Length announces")
    return start, end - start


def _needed(request: Request, name: str) -> str:
    value = request.query(name)
    if value is None:
        raise DigestInvalid(f"the parameter {name!r} is missing: the digest of the whole blob ends an upload")
    return value


def _standing(status: int, upload: Upload) -> Response:
    headers = [
        (b"location", upload_path(upload.repository, upload.id).encode()),
        (b"range", upload_range(upload.offset).encode()),
        (b"docker-upload-uuid", upload.id.encode()),
    ]
    return Response(status, headers)


def _created(repository: RepositoryName, blob: Blob) -> Response:
    headers = [
        (b"location", blob_path(repository, blob.digest).encode()),
        (b"docker-content-digest", str(blob.digest).encode()),
    ]
    return Response(201, headers)
