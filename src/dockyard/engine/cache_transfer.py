"""``--cache-from`` and ``--cache-to``: records of the build cache and their layers, in a registry or a folder.

A cache is an OCI manifest whose config lists records by key and whose layers are what they made, so that every
registry keeps it and every tool can copy it. What comes in is checked: a layer whose plain bytes do not have the diff
ID that its record says is refused.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dockyard.content.compress import Plain
from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.content.streams import read_blob
from dockyard.engine.cache import Record
from dockyard.errors import DigestInvalid, Invalid, NotFound
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest, Hasher
from dockyard.oci.manifest import make_image
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from dockyard.content.http import RegistryClient
    from dockyard.content.protocols import Sink, Source
    from dockyard.engine.build_events import CachePlace
    from dockyard.engine.images import Images

    Connect = Callable[[str], RegistryClient]

CONFIG = "application/vnd.dockyard.build-cache.v1+json"
_LAYERS = (media_types.OCI_LAYER, media_types.OCI_LAYER_GZIP, media_types.OCI_LAYER_ZSTD)
NAME = "cache"
"""What the cache is called in a folder's layout."""


@asynccontextmanager
async def imported(place: CachePlace, connect: Connect, default_registry: str) -> AsyncIterator[ImportedCache]:
    """The records of a place, which is open meanwhile; none where there is no cache yet. Invalid; what it raises."""
    if place.type == "local" and not Path(place.where, "oci-layout").exists():
        yield ImportedCache(Layout(Path(place.where)), {})
        return
    async with _opened(place, connect, default_registry) as (source, name):
        yield ImportedCache(source, await _records(source, name, place.where))


class ImportedCache:
    """Records of a place that is open."""

    def __init__(self, source: Source, records: Mapping[str, Record]) -> None:
        self._source, self._records = source, records

    async def take(self, key: str, images: Images) -> Record | None:
        """The record of a key, its layer fetched into the store and checked; ``None`` where there is none."""
        record = self._records.get(key)
        if record is None or record.layer is None:
            return record
        layer = record.layer
        if not await images.has(layer.descriptor):
            try:
                await images.write(layer.descriptor, self._source)
            except NotFound:
                return None  # removed there meanwhile
        if await asyncio.to_thread(_diff_id, images, layer.descriptor) != layer.diff_id:
            raise DigestInvalid(f"the build cache says what is not so of the layer {layer.descriptor.digest}")
        return record


async def _records(source: Source, name: str, where: str) -> dict[str, Record]:
    try:
        manifest = await source.manifest(name)
    except NotFound:
        return {}
    if manifest.config is None or manifest.config.media_type != CONFIG:
        raise Invalid(f"{where} is not a build cache of dockyard's")
    try:
        fields = strict_json.parse_object(await read_blob(source, manifest.config), "its config")
        return {str(key): _checked(Record.parse(value)) for key, value in dict(fields["records"]).items()}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Invalid(f"the build cache in {where} is damaged") from None
    except (Invalid, NotFound) as error:
        raise Invalid(f"the build cache in {where} is damaged: {error.message}") from None


def _checked(record: Record) -> Record:
    """A record that strangers may have made: it names a plain layer. ValueError."""
    if record.layer and (record.layer.descriptor.media_type not in _LAYERS or record.layer.descriptor.urls):
        raise ValueError
    return record


async def export_records(
    place: CachePlace, records: Mapping[str, Record], images: Images, connect: Connect, default_registry: str
) -> set[Digest]:
    """Write records and their layers to a place, in the place of what it had; what that left in the store."""
    layers: dict[Digest, Descriptor] = {}
    for record in records.values():
        if record.layer:
            layers[record.layer.descriptor.digest] = record.layer.descriptor
    raw = strict_json.dump({"records": {key: records[key].fields() for key in sorted(records)}})
    config = Descriptor(CONFIG, Digest.of(raw), len(raw))
    images.hold(config.digest)
    images.files.put(raw, config.digest)
    manifest = make_image(config, [layers[digest] for digest in sorted(layers)])
    images.keep(manifest)
    async with _opened(place, connect, default_registry) as (sink, name):
        await copy(images, sink, manifest.digest, to=name)
    return {config.digest, manifest.digest}


@asynccontextmanager
async def _opened(place: CachePlace, connect: Connect, default_registry: str) -> AsyncIterator[tuple[Any, str]]:
    """A place as a Source and a Sink, and what the cache is called in it."""
    if place.type == "local":
        layout: Source | Sink = Layout(Path(place.where))
        yield layout, NAME
        return
    reference = parse_reference(place.where, default_registry=default_registry).tagged()
    async with connect(reference.registry) as client:
        yield client.repository(reference.repository), str(reference.tag)


def _diff_id(images: Images, blob: Descriptor) -> Digest:
    hasher = Hasher()
    with images.files.path(blob.digest).open("rb") as file:
        plain = Plain(file)
        while piece := plain.read():
            hasher.update(piece)
    return hasher.digest()
