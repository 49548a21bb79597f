"""Referrers: whatever is about a manifest, as an OCI index, always."""

import json

import pytest
from registry.pushing import APP, OTHER, about, described, image, push_blob, push_image, put

from dockyard.errors import PageInvalid
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import MAX_MANIFEST, Manifest, parse_manifest
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import EVERYBODY


async def referrers(registry, digest, repository=APP, **options):
    raw = (await registry.referrers(EVERYBODY, repository, digest, **options)).raw
    assert parse_manifest(raw, media_types.OCI_INDEX).is_index
    return json.loads(raw)["manifests"]


async def test_where_nothing_refers_the_index_is_empty(registry):
    manifest = await push_image(registry, b"layer")

    assert await referrers(registry, manifest.digest) == []
    assert await referrers(registry, Digest.of(b"unknown")) == []
    assert await referrers(registry, manifest.digest, RepositoryName("no/such")) == []


async def test_referrers_are_listed_with_their_type_and_annotations_the_oldest_first(registry, clock):
    subject = image(b"pushed later")
    await push_blob(registry, APP, b"{}")
    signature = about(subject, "application/signature", by="me")
    await put(registry, signature, signature.digest)
    clock.passes(1)
    bare = about(subject)
    await put(registry, bare, bare.digest)
    found = await referrers(registry, subject.digest)

    assert found == [
        {
            "mediaType": media_types.OCI_MANIFEST,
            "digest": str(signature.digest),
            "size": len(signature.raw),
            "artifactType": "application/signature",
            "annotations": {"by": "me"},
        },
        {
            "mediaType": media_types.OCI_MANIFEST,
            "digest": str(bare.digest),
            "size": len(bare.raw),
            "artifactType": media_types.OCI_EMPTY,
        },
    ]


async def test_an_index_can_refer_and_its_type_is_its_own(registry):
    subject = await push_image(registry, b"layer")
    fields = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": []}
    fields["subject"] = subject.descriptor.fields()
    referrer = Manifest(json.dumps(fields).encode(), media_types.OCI_INDEX)
    await put(registry, referrer, referrer.digest)

    assert await referrers(registry, subject.digest) == [
        {"mediaType": media_types.OCI_INDEX, "digest": str(referrer.digest), "size": len(referrer.raw)}
    ]


async def test_referrers_can_be_filtered_by_type(registry):
    subject = await push_image(registry, b"layer")
    await push_blob(registry, APP, b"{}")
    for kind in ("application/sbom", "application/signature"):
        await put(registry, about(subject, kind), about(subject, kind).digest)
    sboms = await referrers(registry, subject.digest, artifact_type="application/sbom")

    assert [found["artifactType"] for found in sboms] == ["application/sbom"]
    assert await referrers(registry, subject.digest, artifact_type="application/other") == []


async def test_referrers_stay_in_their_repository_and_go_when_deleted(registry):
    subject = await push_image(registry, b"layer")
    await push_blob(registry, APP, b"{}")
    referrer = about(subject)
    await put(registry, referrer, referrer.digest)
    assert await referrers(registry, subject.digest, OTHER) == []
    await registry.delete_manifest(EVERYBODY, APP, referrer.digest)

    assert await referrers(registry, subject.digest) == []


async def test_a_subject_named_by_sha512_is_found_under_both_names(registry):
    subject = await push_image(registry, b"layer")
    named = Digest.of(subject.raw, "sha512")
    await put(registry, subject, named)
    fields = json.loads(about(subject).raw)
    fields["subject"] = Descriptor(subject.media_type, named, len(subject.raw)).fields()
    fields["layers"] = [described(b"layer").fields()]
    await push_blob(registry, APP, b"{}")
    referrer = Manifest(json.dumps(fields).encode(), media_types.OCI_MANIFEST)
    await put(registry, referrer, referrer.digest)
    by_name, by_sha256 = await referrers(registry, named), await referrers(registry, subject.digest)

    assert by_name == by_sha256
    assert [found["digest"] for found in by_name] == [str(referrer.digest)]


async def test_a_long_list_goes_on_where_it_was_cut(registry, clock):
    subject = await push_image(registry, b"layer")
    await push_blob(registry, APP, b"{}")
    expected = []
    for number in range(10):
        referrer = about(subject, "application/note", text="é" * 400_000, number=str(number))
        await put(registry, referrer, referrer.digest)
        expected.append(str(referrer.digest))
        if number % 3:
            clock.passes(1)
    pages, after = [], None
    while after != "":
        page = await registry.referrers(EVERYBODY, APP, subject.digest, after=after or "")
        after = page.after
        pages.append(page.raw)
    listed = [[entry["digest"] for entry in json.loads(raw)["manifests"]] for raw in pages]

    assert sorted(digest for page in listed for digest in page) == sorted(expected)
    assert len(pages) > 1
    assert all(len(raw) <= MAX_MANIFEST for raw in pages)


@pytest.mark.parametrize("after", ["x", "5", "5-sha256:abc", "-1-sha256:" + "0" * 64, "9" * 30 + "-sha256:" + "0" * 64])
async def test_a_place_that_no_list_named_is_refused(registry, after):
    with pytest.raises(PageInvalid):
        await registry.referrers(EVERYBODY, APP, Digest.of(b"x"), after=after)
