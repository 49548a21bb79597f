"""One image in detail: docker's ``image inspect`` JSON and ``image history``.

Source: docker's Engine API reference, "Inspect an image" and "Get the history of an image", for the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dockyard.content import graph
from dockyard.engine.facts import facts_of, image_config, image_of
from dockyard.engine.lookup import find
from dockyard.engine.naming import reference_of
from dockyard.engine.reports import HistoryRow
from dockyard.engine.times import moment

if TYPE_CHECKING:
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.image import ImageConfig
    from dockyard.oci.manifest import Manifest

MISSING = "<missing>"
"""What docker prints for the ID of a step that is no image of its own."""


def inspect(images: Images, names: Names, text: str) -> dict[str, Any]:
    """One element of the JSON; fields that this engine has no value for have docker's empty one."""
    entries = images.entries.read()
    found = find(images, names, text, entries)
    target = images.read(found.newest.digest, found.newest.media_type)
    image = image_of(images, target)
    config = image_config(images, image)
    facts = facts_of(images, entries)
    names_of = [
        reference for entry in entries if facts[entry.digest].id == found.id and (reference := reference_of(entry))
    ]
    fields = config.fields if config else {}
    platform = config.platform if config else None
    out: dict[str, Any] = {
        "Id": str(found.id),
        "RepoTags": sorted(names.shorten(name) for name in names_of if not name.digest),
        "RepoDigests": sorted(names.shorten(name) for name in names_of if name.digest),
        "Parent": "",
        "Comment": _comment(config),
        "Created": config.created if config else "",
        "DockerVersion": _text(fields, "docker_version"),
        "Author": _text(fields, "author"),
        "Config": config.defaults if config else None,
        "Architecture": platform.architecture if platform else "",
    }
    if platform and platform.variant:
        out["Variant"] = platform.variant
    out["Os"] = platform.os if platform else ""
    if platform and platform.os_version:
        out["OsVersion"] = platform.os_version
    out["Size"] = facts[found.newest.digest].size
    out["RootFS"] = {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids] if config else []}
    out["Metadata"] = {"LastTagTime": "0001-01-01T00:00:00Z"}
    out["Descriptor"] = _descriptor(target)
    if target.is_index:
        out["Manifests"] = [_child(images, child) for child in graph.manifests_of(target)]
    return out


def history(images: Images, names: Names, text: str) -> list[HistoryRow]:
    """The steps, the newest first; each layer's size is what it takes in the store."""
    entries = images.entries.read()
    found = find(images, names, text, entries)
    image = image_of(images, images.read(found.newest.digest, found.newest.media_type))
    config = image_config(images, image)
    layers = list(image.layers) if image else []
    steps = config.history if config else []
    if not steps:
        steps = [{} for _ in layers]
    rows: list[HistoryRow] = []
    for step in steps:
        size = layers.pop(0).size if layers and step.get("empty_layer") is not True else 0
        created = moment(_text(step, "created"))
        rows.append(HistoryRow(MISSING, created, _text(step, "created_by"), size, _text(step, "comment")))
    if not rows:
        return []
    facts = facts_of(images, entries)
    tags = sorted(
        names.shorten(reference)
        for entry in entries
        if facts[entry.digest].id == found.id and (reference := reference_of(entry)) and not reference.digest
    )
    last = rows[-1]
    rows[-1] = HistoryRow(str(found.id), last.created, last.created_by, last.size, last.comment, tuple(tags))
    return rows[::-1]


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    return manifest.descriptor.fields()


def _child(images: Images, child: Descriptor) -> dict[str, Any]:
    return {
        "ID": str(child.digest),
        "Descriptor": child.fields(),
        "Available": images.files.has(child),
        "Platform": child.platform.fields() if child.platform else None,
    }


def _comment(config: ImageConfig | None) -> str:
    if config is None:
        return ""
    last = config.history[-1] if config.history else {}
    return _text(config.fields, "comment") or _text(last, "comment")


def _text(fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    return value if isinstance(value, str) else ""
