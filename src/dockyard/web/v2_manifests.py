"""Manifests, by tag and by digest.

Source: OCI distribution specification, sections "Pulling manifests", "Pushing Manifests", "Deleting Manifests".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import ManifestUnknown, TagInvalid
from dockyard.oci.manifest import MAX_MANIFEST
from dockyard.oci.reference import parse_tag, parse_target
from dockyard.web.messages import Response
from dockyard.web.ranges import etag_known
from dockyard.web.refusals import error_response
from dockyard.web.routing import manifest_path

if TYPE_CHECKING:
    from dockyard.registry.content import Registry
    from dockyard.web.messages import Request


MAX_TAGS = 64
"""Tags in one push: each is a header of the answer, and clients read only so many headers."""


async def get_manifest(registry: Registry, request: Request) -> Response:
    """``GET`` and ``HEAD``: the bytes and the type as they were pushed, whatever Accept says."""
    repository = request.route.repository
    try:
        target = parse_target(request.route.rest)
    except TagInvalid as error:
        # No such tag can exist, and clients stop a push at a HEAD that is neither 200 nor 404.
        raise ManifestUnknown(error.message) from None
    found = await registry.manifest(request.actor, repository, target)
    manifest, digest = found.manifest, str(found.digest).encode()
    headers = [(b"docker-content-digest", digest), (b"etag", b'"%b"' % digest)]
    known = request.header(b"if-none-match")
    if known and etag_known(known, f'"{digest.decode()}"'):
        return Response(304, headers)
    if request.method == "GET":
        registry.note_pull(repository, manifest.digest)
    headers.append((b"content-type", manifest.media_type.encode()))
    return Response(200, headers, manifest.raw)


async def put_manifest(registry: Registry, request: Request) -> Response:
    """``PUT`` under a tag or its digest, and under every ``?tag=``."""
    repository, target = request.route.repository, parse_target(request.route.rest)
    tags = [parse_tag(text) for text in dict.fromkeys(request.queries("tag"))]
    if len(tags) > MAX_TAGS:
        return error_response(414, "TAG_INVALID", f"{len(tags)} tags in one push; {MAX_TAGS} are the most")
    raw = await request.body(MAX_MANIFEST)
    media_type = request.header(b"content-type")
    pushed = await registry.put_manifest(request.actor, repository, target, raw, media_type, tags)
    headers = [
        (b"location", manifest_path(repository, pushed.digest).encode()),
        (b"docker-content-digest", str(pushed.digest).encode()),
    ]
    if pushed.subject:
        headers.append((b"oci-subject", str(pushed.subject).encode()))
    headers += [(b"oci-tag", tag.encode()) for tag in tags]
    return Response(201, headers)


async def delete_manifest(registry: Registry, request: Request) -> Response:
    """``DELETE``: a tag is only untagged; by digest the manifest goes, and all its tags."""
    await registry.delete_manifest(request.actor, request.route.repository, parse_target(request.route.rest))
    return Response(202)
