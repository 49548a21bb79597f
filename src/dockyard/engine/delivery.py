"""Bringing what a build made to where it was asked for: the store, registries, archives, folders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.content.copy import copy
from dockyard.content.threads import in_thread
from dockyard.engine import outputs
from dockyard.engine.build_events import Built, Output
from dockyard.oci.media_types import OCI_INDEX
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import BinaryIO

    from dockyard.content.http import RegistryClient
    from dockyard.engine.build_state import State
    from dockyard.engine.images import Images
    from dockyard.engine.works import Works
    from dockyard.oci.descriptor import Descriptor
    from dockyard.oci.digest import Digest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

    Connect = Callable[[str], RegistryClient]


class Delivery:
    """Delivers one build. ``loose`` takes up what that leaves in the store without a name."""

    def __init__(
        self,
        images: Images,
        works: Works,
        connect: Connect,
        names: Sequence[Reference],
        loose: set[Digest],
        stdout: BinaryIO | None,
    ) -> None:
        self._images, self._works, self._connect = images, works, connect
        self._names, self._loose, self._stdout = names, loose, stdout

    async def deliver(self, platforms: Sequence[Platform], states: Sequence[State]) -> Built:
        """Deliver an image, or one for each platform; into the store where nothing was said."""
        threads, request = self._works.threads, self._works.request
        wanted = request.outputs or (Output("image"),)
        target: Descriptor | None = None
        image: Digest | None = None
        if any(output.type not in ("local", "tar") for output in wanted):
            title = "exporting" if request.outputs else "exporting to image"
            with self._works.vertices.vertex(title) as vertex:
                stored, image, parts = await in_thread(threads, outputs.store, self._images, states, platforms)
                target = stored
                if any(output.type == "image" for output in wanted):
                    await in_thread(threads, self._images.name, stored, self._names)
                    vertex.status(f"writing image {image}")
                    for name in self._names:
                        vertex.status(f"naming to {name}")
                else:
                    self._loose |= parts
        for output in wanted:
            names = [*self._names, *self._more_names(output)]
            if output.type != "image":
                with self._works.vertices.vertex(f"exporting to {output.type}"):
                    await in_thread(threads, outputs.write, self._images, output, states, target, names, self._stdout)
            elif output.push and target:
                await self._push(names, target)
        return Built(
            image, target.digest if target else None, tuple(self._names), _metadata(target, image, self._names)
        )

    async def _push(self, names: Sequence[Reference], target: Descriptor) -> None:
        for reference in names:
            with self._works.vertices.vertex(f"pushing {reference}") as vertex:
                async with self._connect(reference.registry) as client:
                    await copy(
                        self._images,
                        client.repository(reference.repository),
                        target.digest,
                        to=str(reference.tag),
                        on_event=lambda event: vertex.status(event.blob.digest.short, event.current, event.blob.size),
                    )

    def _more_names(self, output: Output) -> list[Reference]:
        registry = self._works.request.default_registry
        names = [parse_reference(name, default_registry=registry).tagged() for name in output.names]
        return [name for name in names if name not in self._names]


def _metadata(target: Descriptor | None, image: Digest | None, names: Sequence[Reference]) -> Mapping[str, object]:
    """What ``--metadata-file`` says, with BuildKit's keys."""
    if target is None:
        return {}
    found: dict[str, object] = {
        "containerimage.descriptor": target.fields(),
        "containerimage.digest": str(target.digest),
    }
    if target.media_type != OCI_INDEX:
        found["containerimage.config.digest"] = str(image)
    if names:
        found["image.name"] = ",".join(str(name) for name in names)
    return found
