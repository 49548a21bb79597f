"""Manifests and tags: kept as they came, complete, and deleted only as far as asked."""

import asyncio

import pytest
from registry.pushing import APP, CONFIG, LATEST, OTHER, about, described, image, index, push_blob, push_image, put

from dockyard.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    TooLarge,
    Unsupported,
)
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image, make_index
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import EVERYBODY

V1, V2 = Tag("v1"), Tag("v2")


async def found(registry, target=LATEST, repository=APP):
    return (await registry.manifest(EVERYBODY, repository, target)).manifest


async def tags(registry, **options):
    return (await registry.tags(EVERYBODY, APP, **({"limit": 100} | options))).items


async def delete(registry, target, repository=APP):
    await registry.delete_manifest(EVERYBODY, repository, target)


async def test_a_manifest_comes_back_byte_for_byte_by_tag_and_by_digest(registry):
    await push_blob(registry, APP, CONFIG)
    raw = image().raw.replace(b'":', b'" : ') + b"\n"
    pushed = await registry.put_manifest(EVERYBODY, APP, LATEST, raw, f"{media_types.OCI_MANIFEST}; charset=utf-8")
    manifest = Manifest(raw, media_types.OCI_MANIFEST)

    assert pushed.digest == manifest.digest == Digest.of(raw)
    assert await found(registry) == await found(registry, manifest.digest) == manifest


async def test_a_manifest_may_be_named_by_sha512(registry):
    manifest = await push_image(registry, b"layer")
    named = Digest.of(manifest.raw, "sha512")
    with pytest.raises(ManifestUnknown):
        await found(registry, named)
    pushed = await put(registry, manifest, named, tags=[V1])

    assert pushed.digest == named
    assert await found(registry, named) == await found(registry, V1) == manifest


async def test_an_index_may_name_its_children_and_an_image_its_layers_by_sha512(registry):
    layer = b"layer"
    await push_blob(registry, APP, CONFIG)
    await push_blob(registry, APP, layer, "sha512")
    child = make_image(described(CONFIG, media_types.OCI_CONFIG), [described(layer, algorithm="sha512")])
    name = Digest.of(child.raw, "sha512")
    await put(registry, child, name)
    parent = make_index([Descriptor(child.media_type, name, len(child.raw))])
    await put(registry, parent)

    with pytest.raises(Unsupported, match=str(parent.digest)):
        await delete(registry, child.digest)
    with pytest.raises(Unsupported, match=str(child.digest)):
        await registry.delete_blob(EVERYBODY, APP, Digest.of(layer))


async def test_a_tag_is_known_by_the_digest_that_it_came_under(registry):
    await push_blob(registry, APP, CONFIG)
    manifest = image()
    long = Digest.of(manifest.raw, "sha512")
    await registry.put_manifest(EVERYBODY, APP, long, manifest.raw, manifest.media_type, [V1, V2])
    await put(registry, manifest, V2)  # the same manifest, and now by its sha256 name

    shown = {target: (await registry.manifest(EVERYBODY, APP, target)).digest for target in (V1, V2, long)}
    assert shown == {V1: long, V2: manifest.digest, long: long}


async def test_a_digest_that_is_not_the_bytes_is_refused(registry):
    await push_blob(registry, APP, CONFIG)
    for algorithm in ("sha256", "sha512"):
        with pytest.raises(DigestInvalid):
            await put(registry, image(), Digest.of(b"other", algorithm))

    with pytest.raises(NameUnknown):
        await tags(registry)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", ManifestInvalid),
        (b"[]", ManifestInvalid),
        (b'{"schemaVersion":1}', ManifestInvalid),
        (b'{"schemaVersion":2,"manifests":[],"layers":[]}', ManifestInvalid),
        (b" " * (4 * 1024 * 1024 + 1), TooLarge),
        (b'{"schemaVersion":2,"manifests":[],"annotations":{"a":"\\ud800"}}', ManifestInvalid),
        (b'{"schemaVersion":2,"manifests":[],"artifactType":"a\\u0000b"}', ManifestInvalid),
        (b'{"schemaVersion":2,"manifests":[],"artifactType":"\\ud800"}', ManifestInvalid),
    ],
)
async def test_what_is_no_manifest_is_refused(registry, raw, error):
    with pytest.raises(error):
        await registry.put_manifest(EVERYBODY, APP, LATEST, raw, None)

    with pytest.raises(NameUnknown):
        await found(registry)


async def test_a_manifest_whose_blobs_are_not_here_is_refused_and_they_are_named(registry):
    await push_blob(registry, APP, CONFIG)
    await push_blob(registry, OTHER, b"elsewhere")
    with pytest.raises(ManifestBlobUnknown) as refused:
        await put(registry, image(b"elsewhere", b"nowhere"))

    assert sorted(refused.value.detail) == sorted(str(Digest.of(layer)) for layer in (b"elsewhere", b"nowhere"))
    with pytest.raises(NameUnknown):
        await found(registry)


async def test_an_index_whose_children_are_not_here_is_refused(registry):
    child = await push_image(registry, b"layer", repository=OTHER)
    with pytest.raises(ManifestBlobUnknown, match=str(child.digest)):
        await put(registry, index(child))


async def test_a_sparse_hub_takes_what_is_not_complete(open_registry):
    registry = await open_registry(sparse=True)
    await put(registry, index(image(b"nowhere")), V1)
    await put(registry, image(b"nowhere"), V2)

    assert await tags(registry) == (V1, V2)


async def test_layers_that_may_stay_away_do(registry):
    await push_blob(registry, APP, CONFIG)
    foreign = Descriptor(media_types.DOCKER_FOREIGN_LAYER, Digest.of(b"windows"), 7, urls=("https://example.com/",))
    await put(registry, make_image(described(CONFIG, media_types.OCI_CONFIG), [foreign]))

    assert await tags(registry) == (LATEST,)


async def test_a_subject_need_not_be_here(registry):
    await push_blob(registry, APP, b"{}")
    pushed = await put(registry, about(image(b"later")))

    assert pushed.subject == image(b"later").digest


async def test_one_push_may_set_many_tags_and_sets_all_or_none(registry):
    await push_blob(registry, APP, CONFIG)
    pushed = await put(registry, image(), image().digest, tags=[V2, V1, V2])
    with pytest.raises(ManifestBlobUnknown):
        await put(registry, image(b"nowhere"), V1, tags=[V2, LATEST])

    assert pushed.tags == (V2, V1)
    assert await tags(registry) == (V1, V2)
    assert await found(registry, V1) == await found(registry, V2) == image()


async def test_what_one_process_acknowledged_every_process_shows(open_registry):
    one, two = await open_registry(), await open_registry()
    first = await push_image(one, b"first")
    for number in range(20):
        writer, reader = (one, two) if number % 2 else (two, one)
        await put(writer, first, V1)
        assert await found(reader, V1) == first
        second = await push_image(writer, b"second", tag=V1)
        assert await found(reader, V1) == second
        await delete(writer, V1)
        with pytest.raises(ManifestUnknown):
            await found(reader, V1)

    assert await tags(one) == await tags(two) == (LATEST,)


async def test_tags_come_in_the_order_of_their_bytes_page_by_page(registry):
    await push_blob(registry, APP, CONFIG)
    names = ["A", "Z", "_", "a", "b", "v1", "v1.0", "v10", "v2", "10", "9"]
    await put(registry, image(), image().digest, tags=[Tag(name) for name in names])
    page = await registry.tags(EVERYBODY, APP, limit=4)
    rest = await registry.tags(EVERYBODY, APP, after=page.items[-1], limit=100)
    none = await registry.tags(EVERYBODY, APP, limit=0)
    exact = await registry.tags(EVERYBODY, APP, limit=len(names))

    assert page.more and not rest.more and not none.more and not exact.more
    assert [*page.items, *rest.items] == sorted(names) == list(exact.items)
    assert none.items == ()
    assert await tags(registry, after="v1") == ("v1.0", "v10", "v2")
    assert await tags(registry, after="zzz") == ()


async def test_repositories_come_in_the_order_of_their_bytes_once_something_was_pushed(registry):
    for name in ("b", "a/x", "a-b/c", "a/x/y"):
        await push_image(registry, b"layer", repository=RepositoryName(name))
    await push_blob(registry, RepositoryName("blobs-only"), b"blob")
    page = await registry.repositories(EVERYBODY, limit=2)
    rest = await registry.repositories(EVERYBODY, after=page.items[-1], limit=2)

    assert [*page.items, *rest.items] == ["a-b/c", "a/x", "a/x/y", "b"]
    assert page.more and not rest.more


async def test_an_unknown_repository_and_an_unknown_manifest_are_told_apart(registry):
    await push_image(registry, b"layer")

    with pytest.raises(NameUnknown):
        await found(registry, repository=OTHER)
    with pytest.raises(NameUnknown):
        await registry.tags(EVERYBODY, OTHER, limit=1)
    with pytest.raises(NameUnknown):
        await delete(registry, LATEST, OTHER)
    with pytest.raises(ManifestUnknown):
        await found(registry, V1)
    with pytest.raises(ManifestUnknown):
        await found(registry, image().digest)
    with pytest.raises(ManifestUnknown):
        await delete(registry, V1)
    with pytest.raises(ManifestUnknown):
        await delete(registry, image().digest)


async def test_deleting_a_tag_only_untags(registry):
    manifest = await push_image(registry, b"layer")
    await put(registry, manifest, V1)
    await delete(registry, LATEST)

    assert await tags(registry) == (V1,)
    assert await found(registry, manifest.digest) == await found(registry, V1) == manifest


async def test_deleting_a_manifest_drops_all_its_tags_and_no_other(registry):
    manifest = await push_image(registry, b"layer")
    await put(registry, manifest, V1)
    await push_image(registry, b"other", tag=V2)
    await delete(registry, manifest.digest)

    assert await tags(registry) == (V2,)
    with pytest.raises(ManifestUnknown):
        await found(registry, manifest.digest)
    await put(registry, manifest)
    assert await found(registry) == manifest


async def test_a_manifest_that_an_index_needs_is_not_deleted(registry):
    child = await push_image(registry, b"layer")
    parent = index(child)
    await put(registry, parent, V1)
    with pytest.raises(Unsupported, match=str(parent.digest)):
        await delete(registry, child.digest)
    await delete(registry, parent.digest)
    await delete(registry, child.digest)

    assert await tags(registry) == ()


async def test_a_blob_that_a_manifest_needs_is_not_deleted(registry):
    manifest = await push_image(registry, b"layer")
    for content in (b"layer", CONFIG):
        with pytest.raises(Unsupported, match=str(manifest.digest)):
            await registry.delete_blob(EVERYBODY, APP, Digest.of(content))
    await delete(registry, manifest.digest)
    await registry.delete_blob(EVERYBODY, APP, Digest.of(b"layer"))

    with pytest.raises(BlobUnknown):
        await registry.blob(EVERYBODY, APP, Digest.of(b"layer"))
    with pytest.raises(BlobUnknown):
        await registry.delete_blob(EVERYBODY, APP, Digest.of(b"layer"))
    with pytest.raises(ManifestBlobUnknown):
        await put(registry, manifest)


async def test_a_deleted_blob_can_be_pushed_again(registry):
    await push_blob(registry, APP, b"layer")
    await registry.delete_blob(EVERYBODY, APP, Digest.of(b"layer"))
    again = await push_blob(registry, APP, b"layer")

    assert await registry.blob(EVERYBODY, APP, Digest.of(b"layer")) == again
    assert again.path.read_bytes() == b"layer"


async def test_pushes_that_name_a_child_being_deleted_leave_no_hole(open_registry):
    one, two = await open_registry(), await open_registry()
    for number in range(20):
        child = await push_image(one, b"layer %d" % number, tag=V1)
        outcomes = await asyncio.gather(put(two, index(child), V2), delete(one, child.digest), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]

        assert [type(error) for error in refused] in ([Unsupported], [ManifestBlobUnknown])


async def test_a_manifest_of_ten_thousand_children_is_taken(open_registry):
    registry = await open_registry(sparse=True)
    children = [Descriptor(media_types.OCI_MANIFEST, Digest.of(b"%d" % number), 100) for number in range(10_000)]
    parent = make_index(children)
    await put(registry, parent)

    assert await found(registry) == parent
    assert strict_json.parse_object(parent.raw, "it")["manifests"][-1]["digest"] == str(children[-1].digest)
