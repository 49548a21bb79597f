"""Descriptors: what one piece of content says about another.

Source: OCI image specification, ``descriptor.md``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dockyard.errors import DigestInvalid, ManifestInvalid
from dockyard.oci.digest import Digest
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SIZE = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Descriptor:
    """Media type, digest and size in bytes of some content, with what the specification lets it add."""

    media_type: str
    digest: Digest
    size: int
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str | None = None

    @classmethod
    def parse(cls, fields: object, where: str = "descriptor") -> Descriptor:
        """Read a descriptor object; raise :class:`ManifestInvalid` that names ``where`` it stands."""
        if not isinstance(fields, dict):
            raise ManifestInvalid(f"{where} is not an object")
        media_type, size, urls = fields.get("mediaType"), fields.get("size"), fields.get("urls")
        if not isinstance(media_type, str) or not media_type:
            raise ManifestInvalid(f"{where} has no mediaType")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_SIZE:
            raise ManifestInvalid(f"{where} has no valid size")
        try:
            digest = Digest.parse(_string(fields.get("digest"), f"{where}.digest"))
        except DigestInvalid as error:
            raise ManifestInvalid(f"{where}: {error.message}") from None
        if urls is not None and not (isinstance(urls, list) and all(isinstance(url, str) for url in urls)):
            raise ManifestInvalid(f"{where}.urls is not a list of strings")
        platform, artifact_type = fields.get("platform"), fields.get("artifactType")
        if platform is not None and not isinstance(platform, dict):
            raise ManifestInvalid(f"{where}.platform is not an object")
        return cls(
            media_type,
            digest,
            size,
            parse_annotations(fields.get("annotations"), f"{where}.annotations"),
            Platform.of(platform) if platform else None,
            tuple(urls or ()),
            artifact_type if isinstance(artifact_type, str) and artifact_type else None,
        )

    def fields(self) -> dict[str, Any]:
        """The descriptor as a JSON object."""
        out: dict[str, Any] = {"mediaType": self.media_type, "digest": str(self.digest), "size": self.size}
        if self.urls:
            out["urls"] = list(self.urls)
        if self.annotations:
            out["annotations"] = dict(self.annotations)
        if self.platform:
            out["platform"] = self.platform.fields()
        if self.artifact_type:
            out["artifactType"] = self.artifact_type
        return out


def parse_annotations(value: object, where: str) -> dict[str, str]:
    """Read an annotations object; raise :class:`ManifestInvalid` unless it maps strings to strings."""
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise ManifestInvalid(f"{where} does not map strings to strings")
    return value


def _string(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ManifestInvalid(f"{where} is not a string")
    return value
