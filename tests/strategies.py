"""Hypothesis strategies shared by the tests: values that are valid by construction."""

from __future__ import annotations

from content.memory import Memory
from hypothesis import strategies as st

from dockyard.oci import media_types
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import HEX_LENGTH, Digest
from dockyard.oci.platform import Platform
from dockyard.oci.reference import Reference, RepositoryName, Tag

HEX = "0123456789abcdef"

algorithms = st.sampled_from(sorted(HEX_LENGTH))


@st.composite
def digests(draw: st.DrawFn) -> Digest:
    algorithm = draw(algorithms)
    length = HEX_LENGTH[algorithm]
    return Digest(algorithm, draw(st.text(HEX, min_size=length, max_size=length)))


_words = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
_separators = st.sampled_from([".", "_", "__", "-", "--", "---"])


@st.composite
def _components(draw: st.DrawFn) -> str:
    text = draw(_words)
    for _ in range(draw(st.integers(0, 3))):
        text += draw(_separators) + draw(_words)
    return text


repositories = st.lists(_components(), min_size=1, max_size=4).map(lambda parts: RepositoryName("/".join(parts)))

tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True).map(Tag)

registries = st.sampled_from(
    ["docker.io", "localhost", "localhost:5000", "127.0.0.1:5000", "hub.example.com", "[::1]:5000", "a.b:1", "ghcr.io"]
)


@st.composite
def references(draw: st.DrawFn) -> Reference:
    registry = draw(registries)
    repository = draw(repositories)
    if registry == "docker.io" and "/" not in repository:
        repository = RepositoryName(f"library/{repository}")
    return Reference(registry, repository, draw(st.none() | tags), draw(st.none() | digests()))


platforms = st.builds(
    Platform,
    st.sampled_from(["linux", "windows", "darwin", "freebsd"]),
    st.sampled_from(["amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64"]),
    st.sampled_from(["", "v5", "v6", "v7", "v8", "v2", "v3"]),
    st.sampled_from(["", "10.0.17763.1", "10.0.20348.2", "10.0.17763.99"]),
).map(Platform.normal)

annotations = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=3)


def descriptors(*types: str) -> st.SearchStrategy[Descriptor]:
    return st.builds(
        Descriptor,
        st.sampled_from(types or (media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER, media_types.OCI_LAYER_ZSTD)),
        digests(),
        st.integers(0, 2**40),
        annotations,
        st.none() | platforms,
    )


@st.composite
def image_graphs(draw: st.DrawFn) -> Memory:
    """A memory with an image ``x``: one manifest, or indexes up to three deep that share layers and children."""
    memory = Memory()
    contents = draw(st.lists(st.binary(max_size=60), min_size=1, max_size=6, unique=True))
    layers = st.lists(st.sampled_from(contents), max_size=5)
    children = [memory.add_image(*draw(layers), platform=draw(platforms)) for _ in range(draw(st.integers(1, 4)))]
    for _ in range(draw(st.integers(0, 3))):
        named = draw(st.lists(st.sampled_from(children), min_size=1, max_size=4))
        children.append(memory.add_index(*named))
    memory.names["x"] = draw(st.sampled_from(children)).digest
    return memory
