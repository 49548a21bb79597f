"""Manifests and indexes: raw bytes, and what can be read from them.

Source: OCI image specification, ``manifest.md`` and ``image-index.md``; docker's Image Manifest Version 2, Schema 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dockyard.errors import ManifestInvalid, TooLarge
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor, parse_annotations
from dockyard.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes that a manifest may have; the specification asks registries for at least this."""


@dataclass(frozen=True)
class Manifest:
    """A manifest exactly as it was made; everything else is read from ``raw``. Built by :func:`parse_manifest`."""

    raw: bytes
    media_type: str

    @cached_property
    def digest(self) -> Digest:
        """The sha256 digest of ``raw``."""
        return Digest.of(self.raw)

    @property
    def is_index(self) -> bool:
        """Whether this names other manifests rather than layers."""
        return self.media_type in media_types.INDEXES

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The JSON object."""
        return strict_json.parse_object(self.raw, "the manifest", ManifestInvalid)

    @cached_property
    def config(self) -> Descriptor | None:
        """The config of an image; ``None`` for an index."""
        return None if self.is_index else Descriptor.parse(self.fields.get("config"), "config")

    @cached_property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers of an image, the lowest first; empty for an index."""
        return () if self.is_index else _descriptors(self.fields, "layers")

    @cached_property
    def manifests(self) -> tuple[Descriptor, ...]:
        """What an index names; empty for an image."""
        return _descriptors(self.fields, "manifests") if self.is_index else ()

    @cached_property
    def subject(self) -> Descriptor | None:
        """The manifest that this one is about, for referrers."""
        subject = self.fields.get("subject")
        return None if subject is None else Descriptor.parse(subject, "subject")

    @cached_property
    def artifact_type(self) -> str | None:
        """``artifactType``, or an image's config media type where that is missing (referrers list that)."""
        stated = self.fields.get("artifactType")
        if isinstance(stated, str) and stated:
            return stated
        return self.config.media_type if self.config else None

    @cached_property
    def annotations(self) -> Mapping[str, str]:
        """The annotations of the manifest itself."""
        return parse_annotations(self.fields.get("annotations"), "annotations")

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Every blob that an image needs, config first; empty for an index."""
        return (self.config, *self.layers) if self.config else ()

    @property
    def descriptor(self) -> Descriptor:
        """A descriptor of this manifest."""
        return Descriptor(self.media_type, self.digest, len(self.raw))


def parse_manifest(raw: bytes, media_type: str | None = None) -> Manifest:
    """Check a manifest that came from outside and return it.

    ``media_type`` is what its carrier says (a Content-Type, a descriptor); parameters after ``;`` are dropped.
    Raise :class:`TooLarge` over 4 MiB, else :class:`ManifestInvalid`: bad JSON, keys twice, both layers and
    manifests, a ``mediaType`` that is not the carrier's, schema 1, broken descriptors.
    """
    if len(raw) > MAX_MANIFEST:
        raise TooLarge(f"the manifest has {len(raw)} bytes; the limit is {MAX_MANIFEST}")
    fields = strict_json.parse_object(raw, "the manifest", ManifestInvalid)
    carried = media_type.partition(";")[0].strip().lower() if media_type else ""
    manifest = Manifest(raw, _media_type(fields, carried))
    if fields.get("schemaVersion") != 2:
        raise ManifestInvalid("the manifest's schemaVersion is not 2")
    has_layers, has_manifests = "layers" in fields, "manifests" in fields
    if has_manifests and (has_layers or "config" in fields):
        raise ManifestInvalid("the manifest has both layers or config, and manifests: it could be read in two ways")
    if manifest.is_index != has_manifests:
        raise ManifestInvalid(f"the manifest's content does not fit its media type {manifest.media_type}")
    manifest.__dict__["fields"] = fields  # parsed once
    # Reading each part now makes every later read safe.
    _ = manifest.config, manifest.layers, manifest.manifests, manifest.subject, manifest.annotations
    return manifest


def make_image(
    config: Descriptor,
    layers: Sequence[Descriptor],
    *,
    media_type: str = media_types.OCI_MANIFEST,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Build the manifest of an image."""
    fields: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.fields(),
        "layers": [layer.fields() for layer in layers],
    }
    if annotations:
        fields["annotations"] = dict(annotations)
    return Manifest(strict_json.dump(fields), media_type)


def make_index(
    manifests: Sequence[Descriptor],
    *,
    media_type: str = media_types.OCI_INDEX,
    annotations: Mapping[str, str] | None = None,
) -> Manifest:
    """Build an index (docker's manifest list with that ``media_type``)."""
    fields: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [descriptor.fields() for descriptor in manifests],
    }
    if annotations:
        fields["annotations"] = dict(annotations)
    return Manifest(strict_json.dump(fields), media_type)


def _media_type(fields: dict[str, Any], carried: str) -> str:
    stated = fields.get("mediaType", "")
    if not isinstance(stated, str):
        raise ManifestInvalid("the manifest's mediaType is not a string")
    if fields.get("schemaVersion") == 1 or {stated, carried} & media_types.SCHEMA_1:
        raise ManifestInvalid("schema 1 manifests are not supported: push the image again with docker 1.10 or newer")
    if stated and carried and stated != carried:
        raise ManifestInvalid(f"the manifest says it is {stated!r}, and was sent as {carried!r}")
    found = stated or carried or (media_types.OCI_INDEX if "manifests" in fields else media_types.OCI_MANIFEST)
    if found not in media_types.MANIFESTS:
        raise ManifestInvalid(f"{found!r} is not a manifest's media type")
    return found


def _descriptors(fields: dict[str, Any], key: str) -> tuple[Descriptor, ...]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise ManifestInvalid(f"the manifest's {key} is not a list")
    return tuple(Descriptor.parse(item, f"{key}[{index}]") for index, item in enumerate(value))
