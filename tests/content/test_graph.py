"""What an image consists of, decided without a network."""

from collections.abc import Iterable

import pytest
from content.memory import Memory

from dockyard.content.graph import Graph, choose, load, stays_away
from dockyard.errors import ManifestInvalid, ManifestUnknown
from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image, make_index
from dockyard.oci.platform import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")


async def graph_of(memory: Memory, name: str, wanted: Platform | None = None) -> Graph:
    async def fetch(children: Iterable[Descriptor]) -> list[Manifest]:
        return [await memory.manifest(child.digest) for child in children]

    root = await memory.manifest(name)
    return await load(root, await memory.manifest(choose(root, wanted).digest) if wanted else root, fetch)


@pytest.fixture
def memory() -> Memory:
    """``both`` for two platforms with a shared layer, and ``one`` for one."""
    memory = Memory()
    amd64 = memory.add_image(b"base", b"amd64", platform=AMD64, name="one")
    arm64 = memory.add_image(b"base", b"arm64", platform=ARM64)
    memory.add_index(amd64, arm64, name="both")
    return memory


async def test_an_image_is_its_config_and_layers(memory: Memory) -> None:
    graph = await graph_of(memory, "one")

    assert graph.target == graph.root == await memory.manifest("one")
    assert graph.blobs == graph.target.blobs
    assert graph.children == ()


async def test_what_two_platforms_share_is_there_once(memory: Memory) -> None:
    graph = await graph_of(memory, "both")
    digests = [blob.digest for blob in graph.blobs]

    assert len(digests) == len(set(digests)) == 5
    assert [child.digest for child in graph.children] == [child.digest for child in graph.root.manifests]


async def test_one_platform_leaves_the_others_alone(memory: Memory) -> None:
    graph = await graph_of(memory, "both", ARM64)

    assert graph.root == await memory.manifest("both")
    assert graph.target.digest == graph.root.manifests[1].digest
    assert graph.blobs == graph.target.blobs
    assert graph.children == ()


async def test_a_platform_that_is_not_there_is_said_with_those_that_are(memory: Memory) -> None:
    with pytest.raises(ManifestUnknown) as caught:
        await graph_of(memory, "both", Platform("windows", "amd64"))

    assert caught.value.message == "no matching manifest for windows/amd64 in the manifest list entries"
    assert caught.value.hint == "The image is there for: linux/amd64, linux/arm64"


async def test_attestations_are_no_platform(memory: Memory) -> None:
    attestation = memory.add_image(b"proof", platform=Platform("unknown", "unknown"))
    image = memory.add_image(b"x", platform=AMD64)
    memory.add_index(attestation, image, name="attested")
    index = await memory.manifest("attested")

    assert choose(index, AMD64).digest == image.digest
    with pytest.raises(ManifestUnknown) as caught:
        choose(index, ARM64)
    assert caught.value.hint == "The image is there for: linux/amd64"


async def test_indexes_inside_indexes_are_written_from_the_inside_out(memory: Memory) -> None:
    inner = memory.add_index(memory.add_image(b"deep"))
    memory.add_index(inner, inner, name="outer")
    graph = await graph_of(memory, "outer")

    assert [child.is_index for child in graph.children] == [False, True]
    assert graph.children[1].digest == inner.digest


async def test_what_an_index_names_that_is_no_manifest_is_a_blob(memory: Memory) -> None:
    layer = memory.add(b"cached layer")
    memory.add_manifest(make_index([layer]), "cache")
    graph = await graph_of(memory, "cache")

    assert graph.blobs == (layer,)


async def test_indexes_too_deep_inside_each_other_are_refused(memory: Memory) -> None:
    child = memory.add_image(b"x")
    for _ in range(12):
        child = memory.add_index(child)
    memory.add_index(child, name="deep")

    with pytest.raises(ManifestInvalid, match="inside each other"):
        await graph_of(memory, "deep")


async def test_an_index_that_lies_about_its_children_is_refused(memory: Memory) -> None:
    image = memory.add_image(b"x")
    lie = Descriptor(media_types.OCI_INDEX, image.digest, image.size)
    memory.add_index(lie, name="lie")

    with pytest.raises(ManifestInvalid, match="not what the index says"):
        await graph_of(memory, "lie")


@pytest.mark.parametrize(
    ("media_type", "urls", "expected"),
    [
        (media_types.DOCKER_FOREIGN_LAYER, ("https://x",), True),
        (media_types.DOCKER_FOREIGN_LAYER, (), False),
        (media_types.OCI_LAYER_GZIP, ("https://x",), False),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", ("https://x",), True),
    ],
)
def test_only_foreign_layers_that_say_where_they_are_stay_away_from_registries(
    media_type: str, urls: tuple[str, ...], expected: bool
) -> None:
    assert stays_away(Descriptor(media_type, Digest.of(b""), 0, urls=urls)) is expected


def test_an_image_without_layers_is_one_too() -> None:
    config = Descriptor(media_types.OCI_EMPTY, Digest.of(b"{}"), 2)

    assert make_image(config, []).blobs == (config,)
