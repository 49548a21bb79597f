"""Which repository may show which blob, and what is remembered of it."""

import pytest
from registry.pushing import APP, CONFIG, LATEST, OTHER, image, push_blob, push_image, put
from sqlalchemy import select

from dockyard.errors import BlobUnknown
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import EVERYBODY
from dockyard.registry.housekeeping import DAY_SECONDS
from dockyard.registry.schema import links, manifests, namespaces, pulls, pushes, repositories, tag_history

LAYER = b"layer"
DIGEST = Digest.of(LAYER)


async def rows(registry, query):
    return await registry.database.read(lambda connection: [tuple(row) for row in connection.execute(query)])


async def test_a_blob_is_unknown_to_every_other_repository(registry):
    await push_blob(registry, APP, LAYER)

    with pytest.raises(BlobUnknown):
        await registry.blob(EVERYBODY, OTHER, DIGEST)
    with pytest.raises(BlobUnknown):
        await registry.delete_blob(EVERYBODY, OTHER, DIGEST)


@pytest.mark.parametrize("origin", [APP, None], ids=["from a repository", "from anywhere"])
async def test_a_mounted_blob_is_shown_and_nothing_is_copied(registry, origin):
    pushed = await push_blob(registry, APP, LAYER)
    mounted = await registry.mount(EVERYBODY, OTHER, DIGEST, origin)

    assert mounted == pushed == await registry.blob(EVERYBODY, OTHER, DIGEST)


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_what_cannot_be_mounted_is_to_be_uploaded(registry, algorithm):
    digest = Digest.of(LAYER, algorithm)
    await push_blob(registry, RepositoryName("third/app"), LAYER, algorithm)

    assert await registry.mount(EVERYBODY, OTHER, digest, APP) is None
    assert await registry.mount(EVERYBODY, OTHER, Digest.of(b"unknown", algorithm), None) is None
    with pytest.raises(BlobUnknown):
        await registry.blob(EVERYBODY, OTHER, digest)
    assert (await registry.mount(EVERYBODY, OTHER, digest, None)).digest == digest


async def test_a_blob_deleted_in_one_repository_stays_in_the_other(registry):
    await push_blob(registry, APP, LAYER)
    await registry.mount(EVERYBODY, OTHER, DIGEST, APP)
    await registry.delete_blob(EVERYBODY, APP, DIGEST)

    assert (await registry.blob(EVERYBODY, OTHER, DIGEST)).path.read_bytes() == LAYER
    assert await registry.mount(EVERYBODY, APP, DIGEST, APP) is None


async def test_whoever_is_told_of_a_blob_renews_its_link_but_not_more_than_once_an_hour(registry, clock):
    query = select(links.c.seen).where(links.c.blob == str(DIGEST))

    async def seen() -> float:
        ((value,),) = await rows(registry, query)
        return value / 1000 - clock.now

    await push_blob(registry, APP, LAYER)
    clock.passes(3599)
    await registry.blob(EVERYBODY, APP, DIGEST)
    kept = await seen()
    clock.passes(2)
    await registry.blob(EVERYBODY, APP, DIGEST)
    asked = await seen()
    clock.passes(3601)
    await registry.mount(EVERYBODY, APP, DIGEST, APP)
    mounted = await seen()
    clock.passes(3601)
    await push_blob(registry, APP, CONFIG)
    await put(registry, image(LAYER))
    named = await seen()
    clock.passes(1)
    await push_blob(registry, APP, LAYER)

    assert (kept, asked, mounted, named, await seen()) == (-3599, 0, 0, 0, 0)


async def test_each_push_is_remembered_with_what_it_sent_mounted_and_found(registry):
    await push_blob(registry, OTHER, b"x" * 1000)
    await push_blob(registry, APP, CONFIG)
    await push_blob(registry, APP, b"y" * 200)
    await registry.mount(EVERYBODY, APP, Digest.of(b"x" * 1000), OTHER)
    manifest = image(b"x" * 1000, b"y" * 200)
    await put(registry, manifest)
    await put(registry, manifest, Tag("again"))
    query = select(pushes.c.digest, pushes.c.received, pushes.c.mounted, pushes.c.known).order_by(pushes.c.revision)

    assert await rows(registry, query) == [
        (str(manifest.digest), len(CONFIG) + 200, 1000, 0),
        (str(manifest.digest), 0, 0, len(CONFIG) + 1200),
    ]


async def test_the_history_of_a_tag_is_kept(registry, clock):
    began = int(clock.now * 1000)
    first = await push_image(registry, b"first")
    clock.passes(1)
    await put(registry, first)
    second = await push_image(registry, b"second")
    clock.passes(1)
    await registry.delete_manifest(EVERYBODY, APP, second.digest)
    await put(registry, first)
    await registry.delete_manifest(EVERYBODY, APP, LATEST)
    columns = (tag_history.c.digest, tag_history.c.at, tag_history.c.actor)
    history = await rows(registry, select(*columns).order_by(tag_history.c.revision))

    assert history == [
        (str(first.digest), began, None),
        (str(second.digest), began + 1000, None),
        (None, began + 2000, None),
        (str(first.digest), began + 2000, None),
        (None, began + 2000, None),
    ]


async def test_a_manifest_remembers_since_when_no_tag_means_it(registry, clock):
    async def untagged(manifest):
        query = select(manifests.c.untagged_since).where(manifests.c.digest == str(manifest.digest))
        ((value,),) = await rows(registry, query)
        return value

    first = await push_image(registry, b"first")
    assert await untagged(first) is None
    clock.passes(10)
    second = await push_image(registry, b"second")
    moved = int(clock.now * 1000)
    clock.passes(10)
    await put(registry, first, first.digest)
    await registry.delete_manifest(EVERYBODY, APP, LATEST)

    assert await untagged(first) == moved
    assert await untagged(second) == int(clock.now * 1000)
    await put(registry, first)
    assert await untagged(first) is None


async def test_pulls_are_counted_by_manifest_and_day(open_registry, clock):
    one, two = await open_registry(), await open_registry()
    manifest = await push_image(one, b"layer")
    for registry in (one, two, two):
        registry.note_pull(APP, manifest.digest)
    clock.passes(DAY_SECONDS)
    one.note_pull(APP, manifest.digest)
    one.note_pull(OTHER, manifest.digest)
    await two.close()
    await one._housekeeping.write()
    query = select(pulls.c.digest, pulls.c.day, pulls.c.count, pulls.c.last).order_by(pulls.c.day)
    today, now = int(clock.now // DAY_SECONDS), int(clock.now * 1000)

    assert await rows(one, query) == [
        (str(manifest.digest), today - 1, 3, now - DAY_SECONDS * 1000),
        (str(manifest.digest), today, 1, now),
    ]


async def test_repositories_and_namespaces_have_ids_and_one_part_names_no_namespace(registry):
    for name in ("team/app", "team/web/front", "tweet-app", "other/app"):
        await push_blob(registry, RepositoryName(name), LAYER)
    query = select(repositories.c.name, namespaces.c.name).outerjoin(namespaces).order_by(repositories.c.id)

    assert await rows(registry, query) == [
        ("team/app", "team"),
        ("team/web/front", "team"),
        ("tweet-app", None),
        ("other/app", "other"),
    ]


async def test_an_id_is_never_used_again(registry):
    def remake(connection):
        made = []
        for _ in range(3):
            connection.execute(repositories.insert(), {"name": "team/gone", "created": 0, "revision": 0})
            made += connection.scalars(select(repositories.c.id))
            connection.execute(repositories.delete())
        return made

    assert await registry.database.write(remake) == [1, 2, 3]
