"""Short ways to push to a hub's domain, as a client would through its doors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import Manifest, make_image, make_index
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from dockyard.registry.content import Blob, Pushed, Registry

APP = RepositoryName("team/app")
OTHER = RepositoryName("other/app")
LATEST = Tag("latest")
CONFIG = b'{"architecture":"amd64","os":"linux"}'
PIECE = 56 * 1024


class Clock:
    """Seconds since 1970 that pass when told to."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


async def chunks(content: bytes, size: int = PIECE) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


class CutOff(Exception):
    """The client went away."""


async def cut_off(content: bytes) -> AsyncIterator[bytes]:
    async for piece in chunks(content):
        yield piece
    raise CutOff


async def push_blob(registry: Registry, repository: RepositoryName, content: bytes, algorithm: str = "sha256") -> Blob:
    upload = await registry.begin_upload(EVERYBODY, repository)
    digest = Digest.of(content, algorithm)
    return await registry.finish_upload(EVERYBODY, repository, upload.id, digest, chunks(content))


async def stored(registry: Registry, blob: Blob) -> bytes:
    return b"".join([piece async for piece in registry.read(blob, 0, blob.size)])


def described(content: bytes, media_type: str = media_types.OCI_LAYER, algorithm: str = "sha256") -> Descriptor:
    return Descriptor(media_type, Digest.of(content, algorithm), len(content))


def image(*layers: bytes, config: bytes = CONFIG, annotations: dict[str, str] | None = None) -> Manifest:
    return make_image(
        described(config, media_types.OCI_CONFIG), [described(layer) for layer in layers], annotations=annotations
    )


def index(*children: Manifest) -> Manifest:
    return make_index([child.descriptor for child in children])


def about(subject: Manifest, artifact_type: str | None = None, **annotations: str) -> Manifest:
    fields: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_types.OCI_MANIFEST}
    if artifact_type:
        fields["artifactType"] = artifact_type
    fields["config"] = described(b"{}", media_types.OCI_EMPTY).fields()
    fields |= {
        "layers": [described(b"{}").fields()],
        "subject": subject.descriptor.fields(),
        "annotations": annotations,
    }
    return Manifest(strict_json.dump(fields), media_types.OCI_MANIFEST)


async def put(
    registry: Registry,
    manifest: Manifest,
    target: Tag | Digest = LATEST,
    *,
    repository: RepositoryName = APP,
    tags: Sequence[Tag] = (),
) -> Pushed:
    return await registry.put_manifest(EVERYBODY, repository, target, manifest.raw, manifest.media_type, tags)


async def push_image(
    registry: Registry, *layers: bytes, repository: RepositoryName = APP, tag: Tag = LATEST, **options: Any
) -> Manifest:
    manifest = image(*layers, **options)
    for content in (options.get("config", CONFIG), *layers):
        await push_blob(registry, repository, content)
    await put(registry, manifest, tag, repository=repository)
    return manifest


async def raised(call: Callable[[], Awaitable[Any]]) -> type[BaseException] | None:
    """The type of what awaiting the call raises."""
    try:
        await call()
    except Exception as error:
        return type(error)
    return None
