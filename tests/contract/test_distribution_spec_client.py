"""What the distribution specification asks of clients, of ours: against the hub, Debian's registry, and a fake one."""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from content.fake_registry import FakeRegistry, error, fake_registry
from content.memory import Memory
from repository import THING, Repository, describe, digest_of

from dockyard.content import referrers
from dockyard.content.http import RegistryClient
from dockyard.content.retry import Retry
from dockyard.errors import DigestInvalid, Invalid, ManifestInvalid, SizeInvalid, Unsupported
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, Manifest, make_image, make_index, parse_manifest
from dockyard.oci.reference import RepositoryName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from servers import DockerRegistry, Hub

    from dockyard.content.remote import Remote

CONFIG = Descriptor(media_types.OCI_EMPTY, Digest.of(b"{}"), 2)
IMAGE = make_image(CONFIG, [])


async def _at_once(_: float) -> None:
    """Wait for no time at all."""


@pytest.fixture
async def fake() -> AsyncIterator[FakeRegistry]:
    async with fake_registry() as registry:
        yield registry


@pytest.fixture
async def remote_of() -> AsyncIterator[Callable[..., Any]]:
    """``remote_of(host)``: a repository there that nobody else has."""
    clients: list[RegistryClient] = []

    async def make(host: str) -> Remote:
        client = RegistryClient(host, retry=Retry(sleep=_at_once))
        clients.append(await client.__aenter__())
        return client.repository(RepositoryName(f"spec/client-{os.urandom(6).hex()}"))

    yield make
    for client in clients:
        await client.__aexit__()


def about(subject: Descriptor, *, artifact_type: str | None = THING, **annotations: str) -> Manifest:
    """An artifact about ``subject``."""
    fields = json.loads(make_image(CONFIG, [], annotations=annotations).raw) | {"subject": subject.fields()}
    if artifact_type is not None:
        fields["artifactType"] = artifact_type
    return parse_manifest(json.dumps(fields).encode())


def keep(registry: FakeRegistry, manifest: Manifest, media_type: str = "", tag: str = "v1") -> None:
    registry.manifests[tag] = registry.manifests[str(manifest.digest)] = (
        manifest.raw,
        media_type or manifest.media_type,
    )


async def blob_of(remote: Remote, data: bytes, algorithm: str = "sha256") -> Descriptor:
    """Push a blob with our client."""
    found = Descriptor("application/octet-stream", Digest.of(data, algorithm), len(data))
    source = Memory()
    source.blobs[found.digest] = data
    await remote.write(found, source)
    return found


# ---- Pull


async def test_a_manifest_is_asked_for_with_the_types_that_we_read(fake: FakeRegistry, remote_of: Any) -> None:
    """Pulling manifests: the client SHOULD include an Accept header with the types it supports."""
    keep(fake, IMAGE)
    await (await remote_of(fake.host)).manifest("v1")
    accepted = fake.asked("GET", "/manifests/")[0].headers["Accept"]

    assert {kind.strip() for kind in accepted.split(",")} == media_types.MANIFESTS


async def test_parameters_of_a_type_are_ignored(fake: FakeRegistry, remote_of: Any) -> None:
    """Pulling manifests: the client SHOULD ignore parameters on Content-Type."""
    keep(fake, IMAGE, f"{media_types.OCI_MANIFEST}; charset=utf-8")

    assert await (await remote_of(fake.host)).manifest("v1") == IMAGE


async def test_a_manifest_of_another_type_than_its_header_is_refused(fake: FakeRegistry, remote_of: Any) -> None:
    """Pulling manifests: clients SHOULD reject unless mediaType matches Content-Type."""
    keep(fake, IMAGE, media_types.DOCKER_MANIFEST)

    with pytest.raises(ManifestInvalid):
        await (await remote_of(fake.host)).manifest("v1")


async def test_a_stated_digest_is_checked(fake: FakeRegistry, remote_of: Any) -> None:
    """Pulling manifests: where Docker-Content-Digest is used, the client MUST verify it."""

    async def lie(request: web.Request) -> web.StreamResponse | None:
        headers = {"Docker-Content-Digest": str(Digest.of(b"other")), "Content-Type": media_types.OCI_MANIFEST}
        return web.Response(body=IMAGE.raw, headers=headers) if "/manifests/" in request.path else None

    fake.faults.append(lie)

    with pytest.raises(DigestInvalid):
        await (await remote_of(fake.host)).manifest("v1")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_a_manifest_asked_for_by_digest_is_checked(fake: FakeRegistry, remote_of: Any, algorithm: str) -> None:
    """Pulling manifests: clients SHOULD verify that the manifest matches the digest of the request."""
    asked = Digest.of(b"something else", algorithm)
    fake.manifests[str(asked)] = IMAGE.raw, IMAGE.media_type

    with pytest.raises(DigestInvalid):
        await (await remote_of(fake.host)).manifest(asked)


async def test_a_registry_that_states_no_digest_is_read(fake: FakeRegistry, remote_of: Any) -> None:
    """Checking if content exists: earlier registries need not send Docker-Content-Digest."""

    async def silent(request: web.Request) -> web.StreamResponse | None:
        if "/manifests/" not in request.path:
            return None
        return web.Response(body=IMAGE.raw, headers={"Content-Type": media_types.OCI_MANIFEST})

    fake.faults.append(silent)
    remote = await remote_of(fake.host)

    assert await remote.resolve("v1") == IMAGE.descriptor


async def test_a_manifest_of_four_megabytes_goes_both_ways(hub: Hub, remote_of: Any) -> None:
    """Pushing Manifests: clients SHOULD expect to support manifests of at least 4 megabytes."""
    remote = await remote_of(hub.host)
    await blob_of(remote, b"{}")
    manifest = make_image(CONFIG, [], annotations={"text": "x" * (MAX_MANIFEST - len(IMAGE.raw) - 30)})
    await remote.put(manifest, "large")

    assert MAX_MANIFEST - 50 < len(manifest.raw) <= MAX_MANIFEST
    assert await remote.manifest("large") == manifest


# ---- Push


async def test_an_upload_follows_the_locations_that_it_is_told(fake: FakeRegistry, remote_of: Any) -> None:
    """Pushing a blob in chunks: each request SHOULD use the last Location; POST then PUT: as it is (main: MUST)."""
    steps = 0

    async def move(request: web.Request) -> web.StreamResponse | None:
        nonlocal steps
        if request.method not in ("POST", "PATCH", "PUT"):
            return None
        stated = request.headers.get("Content-Length", "0")
        await request.read()
        if request.method == "POST":
            assert stated == "0"
        else:
            assert request.query["step"] == str(steps), "another Location than the last one"
            assert request.query["opaque"] == "a/b=&c"
        steps += 1
        if request.method == "PUT":
            return web.Response(status=201)
        headers = {"Location": f"/elsewhere/{steps}?opaque=a%2Fb%3D%26c&step={steps}"}
        if request.method == "PATCH":
            headers["Range"] = f"0-{request.headers['Content-Range'].partition('-')[2]}"
        return web.Response(status=202, headers=headers)

    fake.faults.append(move)
    remote = await remote_of(fake.host)
    remote.client.chunk = 1 << 20
    await blob_of(remote, os.urandom((3 << 20) + 5))

    assert [seen.method for seen in fake.seen if seen.path != "/v2/"][-6:] == ["POST", *["PATCH"] * 4, "PUT"]


async def test_chunks_say_where_they_belong_and_are_as_long_as_the_registry_wants(
    fake: FakeRegistry, remote_of: Any
) -> None:
    """Pushing a blob in chunks: ranges MUST be inclusive and begin with 0; chunks SHOULD have the least size."""
    fake.min_chunk = 2 << 20
    remote = await remote_of(fake.host)
    remote.client.chunk = 1 << 20
    data = os.urandom((5 << 20) + 3)
    pushed = await blob_of(remote, data)
    ranges = [seen.headers["Content-Range"] for seen in fake.asked("PATCH")]

    assert ranges == ["0-2097151", "2097152-4194303", "4194304-5242882"]
    assert fake.blobs[str(pushed.digest)] == data


async def test_another_algorithm_is_announced(hub: Hub, fake: FakeRegistry, remote_of: Any) -> None:
    """Pushing a blob in chunks: for others than sha256 the post SHOULD include digest-algorithm (main)."""
    data = os.urandom(2 << 20)
    remote = await remote_of(hub.host)
    pushed = await blob_of(remote, data, "sha512")
    other = await remote_of(fake.host)
    with pytest.raises(DigestInvalid):  # that one knows sha256 only
        await blob_of(other, data, "sha512")
    await blob_of(other, data)
    posts = fake.asked("POST")

    assert await remote.has(pushed)
    assert [seen.query.get("digest-algorithm") for seen in posts] == ["sha512", None]


async def test_an_upload_that_nothing_can_come_of_is_cancelled(hub: Hub, fake: FakeRegistry, remote_of: Any) -> None:
    """Cancel a blob upload: clients SHOULD send this when they abort, and SHOULD ignore failures (main)."""
    for host in (fake.host, hub.host):
        remote = await remote_of(host)
        source = Memory()
        stated = Descriptor("application/octet-stream", Digest.of(b"x"), 3_000_000)
        source.blobs[stated.digest] = os.urandom(2_000_000)
        with pytest.raises((DigestInvalid, SizeInvalid)):
            await remote.write(stated, source)

    assert [seen.headers["Content-Length"] for seen in fake.asked("DELETE")] == ["0"]
    assert [path.name for path in (hub.data / "uploads").iterdir() if path.stat().st_size == 2_000_000] == []


@pytest.mark.parametrize("media_type", sorted(media_types.MANIFESTS))
async def test_a_manifest_is_sent_as_what_it_says_it_is(fake: FakeRegistry, remote_of: Any, media_type: str) -> None:
    """Pushing Manifests: Content-Type SHOULD be set, without parameters, and MUST be the manifest's mediaType."""
    make = make_index if media_type in media_types.INDEXES else make_image
    manifest = make(*([CONFIG, []] if make is make_image else [[]]), media_type=media_type)  # type: ignore[operator]
    await (await remote_of(fake.host)).put(manifest, "v1")

    assert fake.asked("PUT", "/manifests/")[0].headers["Content-Type"] == media_type
    assert fake.manifests["v1"][0] == manifest.raw


# ---- Content Discovery


async def test_tags_are_listed_by_link(hub: Hub, fake: FakeRegistry, remote_of: Any) -> None:
    """Listing Tags: clients should prefer Link over last, and not count what comes."""
    pages = {"": (["a"], "x"), "x": ([], "y"), "y": (["b", "c"], "")}

    async def paged(request: web.Request) -> web.StreamResponse | None:
        if not request.path.endswith("/tags/list"):
            return None
        tags, following = pages[request.query.get("cursor", "")]
        link = {"Link": f'<{request.path}?cursor={following}>; rel="next"'} if following else {}
        return web.json_response({"name": "x", "tags": tags}, headers=link)

    fake.faults.append(paged)
    remote = await remote_of(hub.host)
    empty = Repository(hub.host, remote.repository)
    for number in range(30):
        empty.push(make_index([]).raw, f"t{number:02}")

    assert [tag async for tag in (await remote_of(fake.host)).tags()] == ["a", "b", "c"]
    assert [tag async for tag in remote.tags()] == [f"t{number:02}" for number in range(30)]


async def test_referrers_come_from_the_list_of_the_registry(hub: Hub, remote_of: Any) -> None:
    """Listing Referrers: with the filter, which a registry need not apply."""
    remote = await remote_of(hub.host)
    await blob_of(remote, b"{}")
    await remote.put(IMAGE, "v1")
    wanted = about(IMAGE.descriptor, artifact_type="application/spdx+json", note="é")
    for manifest in (wanted, about(IMAGE.descriptor)):
        await remote.put(manifest, None)
    found = await remote.referrers(IMAGE.digest, artifact_type="application/spdx+json")

    assert [(one.digest, one.artifact_type, dict(one.annotations)) for one in found] == [
        (wanted.digest, "application/spdx+json", {"note": "é"})
    ]
    assert len(await remote.referrers(IMAGE.digest)) == 2
    assert [tag async for tag in remote.tags()] == ["v1"], "a list under a tag, where the registry keeps one"


async def test_referrers_come_from_the_tag_where_there_is_no_list(
    docker_registry: DockerRegistry, remote_of: Any
) -> None:
    """Unavailable Referrers API: a client that receives 404 MUST fall back to the tag."""
    remote = await remote_of(docker_registry.host)
    listed = about(IMAGE.descriptor).descriptor
    tag = str(IMAGE.digest).replace(":", "-")
    await remote.put(make_index([]), "v1")
    assert await remote.referrers(IMAGE.digest) == []
    kept = Repository(docker_registry.host, remote.repository)
    await blob_of(remote, b"{}")
    kept.push(about(IMAGE.descriptor).raw)
    kept.push(make_index([listed]).raw, tag)

    assert [one.digest for one in await remote.referrers(IMAGE.digest)] == [listed.digest]


async def test_a_tag_that_is_no_list_lists_nothing(docker_registry: DockerRegistry, remote_of: Any) -> None:
    """Listing Referrers: 404, and a tag that is no valid index: the client SHOULD assume that there are none."""
    remote = await remote_of(docker_registry.host)
    await blob_of(remote, b"{}")
    await remote.put(IMAGE, referrers.tag_of(IMAGE.digest))

    assert await remote.referrers(IMAGE.digest) == []


async def test_a_push_with_a_subject_updates_the_tag_where_the_registry_does_not(
    docker_registry: DockerRegistry, remote_of: Any
) -> None:
    """Pushing Manifests with Subject: without OCI-Subject the client MUST append to the list: artifactType, else the
    config's type, and all annotations; no entry twice.
    """
    remote = await remote_of(docker_registry.host)
    await blob_of(remote, b"{}")
    await remote.put(IMAGE, "v1")
    pushed = [about(IMAGE.descriptor, note="a", more="é"), about(IMAGE.descriptor, artifact_type=None, note="b")]
    pushed.append(about(IMAGE.descriptor, artifact_type="", note="c"))
    for manifest in (*pushed, pushed[0]):
        await remote.put(manifest, None)
    answer = Repository(docker_registry.host, remote.repository).ask(
        "GET", f"manifests/{referrers.tag_of(IMAGE.digest)}", headers={"Accept": media_types.OCI_INDEX}
    )
    assert answer.headers["Content-Type"] == media_types.OCI_INDEX
    listed = json.loads(answer.body)["manifests"]
    types, notes = [THING, media_types.OCI_EMPTY, media_types.OCI_EMPTY], [{"note": "a", "more": "é"}, {"note": "b"}]

    assert listed == [
        describe(manifest.raw, media_types.OCI_MANIFEST, artifactType=kind, annotations=note)
        for manifest, kind, note in zip(pushed, types, [*notes, {"note": "c"}], strict=True)
    ]
    assert len(await remote.referrers(IMAGE.digest)) == 3


async def test_pushes_at_once_lose_nothing_from_the_tag(docker_registry: DockerRegistry, remote_of: Any) -> None:
    """Referrers Tag Schema: protection against races is the responsibility of clients: ours of its own pushes."""
    remote = await remote_of(docker_registry.host)
    await blob_of(remote, b"{}")
    manifests = [about(IMAGE.descriptor, number=str(number)) for number in range(8)]
    await asyncio.gather(*(remote.put(manifest, None) for manifest in manifests))

    assert {one.digest for one in await remote.referrers(IMAGE.digest)} == {manifest.digest for manifest in manifests}


async def test_what_is_no_list_under_the_tag_is_reported(docker_registry: DockerRegistry, remote_of: Any) -> None:
    """Pushing Manifests with Subject: a manifest other than the expected index SHOULD be reported, and kept."""
    remote = await remote_of(docker_registry.host)
    await blob_of(remote, b"{}")
    tag = referrers.tag_of(IMAGE.digest)
    await remote.put(IMAGE, tag)

    with pytest.raises(Unsupported, match=tag):
        await remote.put(about(IMAGE.descriptor), None)
    assert await remote.manifest(tag) == IMAGE


async def test_a_deleted_manifest_is_taken_from_the_tag(docker_registry: DockerRegistry, remote_of: Any) -> None:
    """Deleting Manifests: where the list is a tag, clients SHOULD remove the entry."""
    remote = await remote_of(docker_registry.host)
    await blob_of(remote, b"{}")
    gone, kept = about(IMAGE.descriptor, note="gone"), about(IMAGE.descriptor, note="kept")
    for manifest in (gone, kept):
        await remote.put(manifest, None)
    await remote.delete(gone.digest)

    assert [one.digest for one in await remote.referrers(IMAGE.digest)] == [kept.digest]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_the_tag_is_the_digest_cut_to_what_a_tag_may_be(algorithm: str) -> None:
    """Referrers Tag Schema: algorithm up to 32 characters, a hyphen, the hash up to 64."""
    digest = Digest.parse(digest_of(b"x", algorithm))

    assert referrers.tag_of(digest) == f"{algorithm}-{digest.hex[:64]}"


async def test_nobody_is_asked_for_another_registrys_content(fake: FakeRegistry, remote_of: Any) -> None:
    """Registry Proxying: a client SHOULD avoid sending ns to registries that are no proxies (main)."""
    keep(fake, IMAGE)
    remote = await remote_of(fake.host)
    await remote.manifest("v1")
    await blob_of(remote, b"data")

    assert [seen for seen in fake.seen if "ns" in seen.query] == []


async def test_an_unknown_code_is_an_error_with_its_message(fake: FakeRegistry, remote_of: Any) -> None:
    """Error Codes: what registries add is no reason to fail otherwise than with what they say."""

    async def refuse(request: web.Request) -> web.StreamResponse | None:
        return error(400, "SOMETHING_NEW", "the moon is full") if "/manifests/" in request.path else None

    fake.faults.append(refuse)

    with pytest.raises(Invalid, match="the moon is full"):
        await (await remote_of(fake.host)).manifest("v1")
