"""An image on its way through a build: its layers, history and config after each step. Pure.

Times are what the content says: ``SOURCE_DATE_EPOCH`` where it is given, else the newest time of a file in the layers
so far. So the same input makes the same config, and the same image ID, on any machine at any moment.

Source: OCI image specification, ``config.md``; https://reproducible-builds.org/specs/source-date-epoch/.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dockyard.engine.times import moment, text
from dockyard.errors import BuildFailed
from dockyard.oci import media_types, strict_json
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.image import chain_id
from dockyard.oci.manifest import make_image

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dockyard.dockerfile.steps import Step
    from dockyard.oci.image import ImageConfig
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform

MOST_LAYERS = 127
"""Layers that docker's storage takes."""
_LAST_MOMENT = 253_402_300_799.0  # the end of the year 9999, after which RFC 3339 has no text
_OCI_TYPES = {
    media_types.DOCKER_LAYER: media_types.OCI_LAYER,
    media_types.DOCKER_LAYER_GZIP: media_types.OCI_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD: media_types.OCI_LAYER_ZSTD,
    media_types.DOCKER_FOREIGN_LAYER: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: where its bytes are, and the digest of its plain tar."""

    descriptor: Descriptor
    diff_id: Digest


@dataclass(frozen=True, slots=True)
class State:
    """An image between two steps. ``created`` is in seconds since 1970."""

    platform: Platform
    layers: tuple[Layer, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    author: str = ""
    created: float = 0.0

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The digests of the plain layers, the lowest first."""
        return tuple(layer.diff_id for layer in self.layers)

    @property
    def is_windows(self) -> bool:
        """Whether its layers have the layout of Windows layers."""
        return self.platform.os == "windows"

    @property
    def chain(self) -> Digest | None:
        """The identity of the layers as a stack; ``None`` of none."""
        return chain_id(self.diff_ids) if self.layers else None

    def after(self, step: Step, layer: Layer | None, newest: float, epoch: int | None) -> State:
        """The state after a step that made ``layer``, whose newest file is from ``newest``. BuildFailed."""
        if layer and len(self.layers) == MOST_LAYERS:
            raise BuildFailed(
                f"max depth exceeded: an image has at most {MOST_LAYERS} layers",
                hint="Join RUN instructions with && or a here-document.",
            )
        created = float(epoch) if epoch is not None else max(self.created, min(newest, _LAST_MOMENT))
        entry: dict[str, Any] = {"created": text(created), "created_by": step.created_by}
        if step.author:
            entry["author"] = step.author
        if layer is None:
            entry["empty_layer"] = True
        # What came with the command line, or waits for other builds, is no part of how the image was made.
        told = step.created_by or layer
        return replace(
            self,
            layers=(*self.layers, layer) if layer else self.layers,
            history=(*self.history, entry) if told else self.history,
            config=step.config,
            author=step.author or self.author,
            created=created,
        )

    def image(self) -> tuple[bytes, Manifest]:
        """The image's config and its manifest."""
        fields: dict[str, Any] = {"created": text(self.created)}
        if self.author:
            fields["author"] = self.author
        fields |= self.platform.fields()
        fields["config"] = {key: value for key, value in self.config.items() if value not in (None, "", [], {})}
        fields["rootfs"] = {"type": "layers", "diff_ids": [str(digest) for digest in self.diff_ids]}
        fields["history"] = list(self.history)
        raw = strict_json.dump(fields)
        config = Descriptor(media_types.OCI_CONFIG, Digest.of(raw), len(raw))
        return raw, make_image(config, [layer.descriptor for layer in self.layers])


def state_of(manifest: Manifest, config: ImageConfig, platform: Platform) -> State:
    """The state that a base image is; what its config leaves open is as ``platform`` says. BuildFailed."""
    if len(manifest.layers) != len(config.diff_ids):
        raise BuildFailed(
            f"image {manifest.digest} has {len(manifest.layers)} layers and {len(config.diff_ids)} diff IDs"
        )
    layers = [
        Layer(replace(layer, media_type=_OCI_TYPES.get(layer.media_type, layer.media_type), annotations={}), diff_id)
        for layer, diff_id in zip(manifest.layers, config.diff_ids, strict=True)
    ]
    found = config.platform
    created = max(moment(config.created), 0.0)
    return State(
        found if found.os and found.architecture else platform,
        tuple(layers),
        _whole_history(config, created),
        config.defaults,
        str(config.fields.get("author") or ""),
        created,
    )


def _whole_history(config: ImageConfig, created: float) -> tuple[Mapping[str, Any], ...]:
    """The base's history, with an entry for each layer: buildah wants all or none, and a base may have none."""
    told = sum(not entry.get("empty_layer") for entry in config.history)
    missing = {"created": text(created), "comment": "layer of the base image"}
    return (*config.history, *[missing] * (len(config.diff_ids) - told))
