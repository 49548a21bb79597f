"""What refers to a manifest, where a registry keeps no list of it: an index under a tag, which clients keep.

Source: OCI distribution specification, sections "Pushing Manifests with Subject", "Deleting Manifests", "Unavailable
Referrers API" and "Referrers Tag Schema".
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dockyard.errors import ManifestUnknown, Unsupported
from dockyard.oci import strict_json
from dockyard.oci.manifest import Manifest, make_index

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.content.remote import Remote
    from dockyard.oci.digest import Digest


def tag_of(subject: Digest) -> str:
    """The tag that lists what refers to ``subject``."""
    return f"{subject.algorithm[:32]}-{subject.hex[:64]}"


async def add(remote: Remote, manifest: Manifest, subject: Digest) -> None:
    """List a manifest that was pushed. Unsupported where something else than a list is under the tag."""
    entry = replace(
        manifest.descriptor, artifact_type=manifest.artifact_type, annotations=dict(manifest.annotations)
    ).fields()
    known = str(manifest.digest)
    await _change(
        remote, subject, lambda listed: listed if known in {one.get("digest") for one in listed} else [*listed, entry]
    )


async def remove(remote: Remote, manifest: Manifest, subject: Digest) -> None:
    """List a manifest that was deleted no longer. Unsupported where something else than a list is under the tag."""
    gone = str(manifest.digest)
    await _change(remote, subject, lambda listed: [entry for entry in listed if entry.get("digest") != gone])


async def _change(
    remote: Remote, subject: Digest, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> None:
    tag = tag_of(subject)
    async with remote.listing:  # two of ours at once would lose what one of them wrote
        try:
            index = await remote.manifest(tag)
        except ManifestUnknown:
            index = make_index([])
        if not index.is_index:
            raise Unsupported(f"{remote.name}:{tag} is an image, so what refers to {subject} can't be listed there")
        before = index.fields["manifests"]
        after = change(before)
        if after != before:
            # Whatever else the list says stays; but it is about nothing itself, which would be listed in turn.
            fields = {name: value for name, value in index.fields.items() if name != "subject"}
            raw = strict_json.dump(fields | {"manifests": after})
            await remote.put(Manifest(raw, index.media_type), tag)
