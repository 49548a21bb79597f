"""A repository as a place of images, against the fake registry where it lies and Debian's where it does not."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, error, once
from content.memory import Memory

from dockyard.content.copy import copy
from dockyard.errors import DigestInvalid, ManifestInvalid, ManifestUnknown, TooLarge
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, make_index

Make = Callable[..., Any]
CONFIG = Descriptor(media_types.OCI_CONFIG, Digest.of(b"{}"), 2)


@pytest.fixture
async def remote(registry: FakeRegistry, client_of: Make) -> Any:
    return (await client_of(registry.host)).repository("team/app")


def keep(registry: FakeRegistry, raw: bytes, media_type: str = media_types.OCI_MANIFEST) -> Digest:
    digest = Digest.of(raw)
    registry.manifests["v1"] = registry.manifests[str(digest)] = raw, media_type
    return digest


def image(**more: object) -> bytes:
    fields = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST, "config": CONFIG.fields(), "layers": []}
    return json.dumps(fields | more, indent=3).encode()


async def test_a_manifest_is_what_the_registry_has_byte_for_byte(registry: FakeRegistry, remote: Any) -> None:
    raw = image()
    digest = keep(registry, raw)

    assert (await remote.manifest("v1")).raw == raw
    assert (await remote.manifest(digest)).raw == raw
    assert media_types.OCI_INDEX in registry.asked("GET", "/manifests/")[0].headers["Accept"]


async def test_other_bytes_than_the_digest_asked_for_are_refused(registry: FakeRegistry, remote: Any) -> None:
    digest = keep(registry, image())
    registry.manifests[str(digest)] = image(annotations={"x": "y"}), media_types.OCI_MANIFEST

    with pytest.raises(DigestInvalid, match=str(digest)):
        await remote.manifest(digest)


async def test_other_bytes_than_the_registry_says_it_sends_are_refused(registry: FakeRegistry, remote: Any) -> None:
    async def lie(request: web.Request) -> web.StreamResponse | None:
        headers = {"Docker-Content-Digest": str(Digest.of(b"other")), "Content-Type": media_types.OCI_MANIFEST}
        return web.Response(body=image(), headers=headers) if "/manifests/" in request.path else None

    registry.faults.append(lie)

    with pytest.raises(DigestInvalid):
        await remote.manifest("v1")


@pytest.mark.parametrize("said", ["", "application/json", f"{media_types.OCI_MANIFEST}; charset=utf-8", "text/plain"])
async def test_a_registry_that_does_not_know_the_type_is_forgiven(
    registry: FakeRegistry, remote: Any, said: str
) -> None:
    keep(registry, image(), said)

    assert (await remote.manifest("v1")).media_type == media_types.OCI_MANIFEST


async def test_a_type_that_contradicts_the_manifest_is_refused(registry: FakeRegistry, remote: Any) -> None:
    keep(registry, image(), media_types.OCI_INDEX)

    with pytest.raises(ManifestInvalid):
        await remote.manifest("v1")


async def test_a_manifest_over_the_limit_is_not_read_to_its_end(registry: FakeRegistry, remote: Any) -> None:
    keep(registry, bytes(MAX_MANIFEST + 1))

    with pytest.raises(TooLarge):
        await remote.manifest("v1")


async def test_a_tag_that_does_not_exist_is_said_as_docker_says_it(registry: FakeRegistry, remote: Any) -> None:
    with pytest.raises(ManifestUnknown) as caught:
        await remote.manifest("v9")

    assert (
        caught.value.message
        == f"manifest for {registry.host}/team/app:v9 not found: manifest unknown: manifest unknown"
    )


async def test_resolving_asks_for_headers_only(registry: FakeRegistry, remote: Any) -> None:
    raw = image()
    digest = keep(registry, raw)
    resolved = await remote.resolve("v1")

    assert resolved == Descriptor(media_types.OCI_MANIFEST, digest, len(raw))
    assert not registry.asked("GET", "/manifests/")


async def test_resolving_fetches_where_the_headers_do_not_say(registry: FakeRegistry, remote: Any) -> None:
    digest = keep(registry, image())

    async def terse(request: web.Request) -> web.StreamResponse | None:
        return web.Response() if request.method == "HEAD" else None

    registry.faults.append(terse)

    assert (await remote.resolve("v1")).digest == digest


async def test_manifests_are_looked_up_among_manifests(registry: FakeRegistry, remote: Any) -> None:
    digest = keep(registry, image())

    assert await remote.has(Descriptor(media_types.OCI_MANIFEST, digest, 1))
    assert not await remote.has(Descriptor(media_types.OCI_LAYER, digest, 1))


async def test_a_registry_that_keeps_another_manifest_is_caught(registry: FakeRegistry, remote: Any) -> None:
    async def lie(request: web.Request) -> web.StreamResponse | None:
        headers = {"Docker-Content-Digest": str(Digest.of(b"other"))}
        return web.Response(status=201, headers=headers) if request.method == "PUT" else None

    registry.faults.append(lie)

    with pytest.raises(DigestInvalid, match="kept another manifest"):
        await remote.put(make_index([]), "v1")


async def test_a_registry_that_trips_over_two_writers_of_one_manifest_is_asked_again(
    registry: FakeRegistry, remote: Any
) -> None:
    async def trip(request: web.Request) -> web.StreamResponse | None:
        return error(400, "DIGEST_INVALID", "no match") if request.method == "PUT" else None

    registry.faults.append(once(trip))
    await remote.put(make_index([]), "v1")

    assert registry.manifests["v1"][0] == make_index([]).raw


async def test_referrers_are_listed_and_filtered_where_the_registry_does_not(
    registry: FakeRegistry, remote: Any
) -> None:
    found = [
        Descriptor(media_types.OCI_MANIFEST, Digest.of(kind.encode()), 1, artifact_type=kind)
        for kind in ("sbom", "sig")
    ]

    async def referrers(request: web.Request) -> web.StreamResponse | None:
        return web.Response(body=make_index(found).raw) if "/referrers/" in request.path else None

    registry.faults.append(referrers)

    assert await remote.referrers(CONFIG.digest) == found
    assert await remote.referrers(CONFIG.digest, artifact_type="sig") == found[1:]


async def test_referrers_come_from_the_fallback_tag_where_there_is_no_list(registry: FakeRegistry, remote: Any) -> None:
    found = Descriptor(media_types.OCI_MANIFEST, Digest.of(b"sbom"), 1, artifact_type="sbom")
    index = make_index([found])
    registry.manifests[f"sha256-{CONFIG.digest.hex}"] = index.raw, index.media_type

    assert await remote.referrers(CONFIG.digest) == [found]
    assert await remote.referrers(Digest.of(b"nothing refers to this")) == []


async def test_what_could_be_mounted_is_found_out_by_looking(registry: FakeRegistry, remote: Any) -> None:
    digest = Digest.parse(registry.put_blob(b"content"))

    async def private(request: web.Request) -> web.StreamResponse | None:
        return error(403, "DENIED", "no") if request.path.startswith("/v2/private/") else None

    registry.faults.append(private)

    assert await remote.mountable(Descriptor("x", digest, 7), "public/app")
    assert not await remote.mountable(Descriptor("x", digest, 7), "private/app")
    assert not registry.asked("POST")


async def test_debians_registry_is_pushed_to_listed_and_deleted_from(docker_registry: Any, client_of: Make) -> None:
    client = await client_of(docker_registry.host)
    remote = client.repository("net/delete")
    source = Memory()
    image = source.add_image(b"layer", name="x")
    for tag in ("v1", "v2"):
        await copy(source, remote, "x", to=tag)
    tags = [tag async for tag in remote.tags()]
    names = [name async for name in client.catalog()]
    await remote.delete(image.digest)

    assert tags == ["v1", "v2"]
    assert "net/delete" in names
    with pytest.raises(ManifestUnknown):
        await remote.resolve("v1")


async def test_debians_registry_with_a_login_takes_ada_and_nobody_else(
    docker_registry_with_login: Any, client_of: Make
) -> None:
    from canary import PASSWORD

    from dockyard.content.credentials import FixedLogin, Login
    from dockyard.errors import Unauthenticated

    host = docker_registry_with_login.host
    client = await client_of(host, credentials=FixedLogin(Login("ada", PASSWORD)))
    source = Memory()
    source.add_image(bytes(3_000_000), name="x")
    traded = await client.login()
    await copy(source, client.repository("ada/app"), "x", to="v1")

    assert traded is None
    with pytest.raises(Unauthenticated, match="incorrect username or password"):
        await (await client_of(host, credentials=FixedLogin(Login("ada", "wrong")))).login()
    with pytest.raises(Unauthenticated, match="authentication required"):
        await (await client_of(host)).repository("ada/app").manifest("v1")
