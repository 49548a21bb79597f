"""The images that stages start from and copy from: found in the store, else pulled, for the stage's platform."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from dockyard.content.copy import copy
from dockyard.content.fit import refuse_misfit
from dockyard.content.layout import Layout, refuse_incomplete
from dockyard.engine.build_state import State, state_of
from dockyard.engine.facts import image_config, image_of
from dockyard.engine.lookup import find
from dockyard.engine.reach import Reach
from dockyard.engine.shipping import pull
from dockyard.errors import BuildFailed, Denied, ImageUnknown, Invalid, NotFound, Unauthenticated, Unavailable
from dockyard.oci.digest import Digest
from dockyard.oci.platform import runs_on
from dockyard.oci.reference import parse_reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from dockyard.content.http import RegistryClient
    from dockyard.content.protocols import Event
    from dockyard.engine.build_events import BuildRequest
    from dockyard.engine.images import Images
    from dockyard.engine.lookup import Names
    from dockyard.engine.vertices import Vertices
    from dockyard.oci.manifest import Manifest
    from dockyard.oci.platform import Platform
    from dockyard.oci.reference import Reference

    Connect = Callable[[str], RegistryClient]

DOCKER_IMAGE, OCI_LAYOUT = "docker-image://", "oci-layout://"


class BaseImages:
    """Finds each image once for a build, and holds it in the store until the build's session ends."""

    def __init__(
        self, images: Images, names: Names, connect: Connect, request: BuildRequest, vertices: Vertices
    ) -> None:
        self._images, self._names, self._connect = images, names, connect
        self._request, self._vertices = request, vertices
        self._found: dict[tuple[str, Platform, bool], asyncio.Task[State]] = {}

    async def state(self, name: str, platform: Platform, *, exact: bool = False) -> State:
        """The image called ``name`` for a platform; ``exact`` refuses one of another. BuildFailed, Invalid."""
        key = name, platform, exact
        if key not in self._found:
            self._found[key] = asyncio.ensure_future(self._state(name, platform, exact=exact))
        # One who is cancelled leaves the others their answer.
        return await asyncio.shield(self._found[key])

    async def end(self) -> None:
        """Wait for what is still on its way, wherever the build itself ended."""
        for task in self._found.values():
            task.cancel()
        await asyncio.gather(*self._found.values(), return_exceptions=True)

    async def _state(self, name: str, platform: Platform, *, exact: bool) -> State:
        if name.startswith(OCI_LAYOUT):
            return await self._from_layout(name.removeprefix(OCI_LAYOUT), platform, exact)
        name = name.removeprefix(DOCKER_IMAGE)
        shown = self._remote_name(name)
        with self._vertices.vertex(f"[internal] load metadata for {shown}") as vertex:
            local, there = None, ""
            if not self._request.pull:
                local, there = await asyncio.to_thread(self._local, name, platform)
            if local and (not exact or fits(local.platform, platform)):
                if not runs_on(local.platform, platform):
                    vertex.warning(f"image {name} is for {local.platform}, this build is for {platform}")
                return local
            try:
                return await self._pull(shown, platform, vertex.status)
            except (NotFound, Invalid, Unauthenticated, Denied, Unavailable) as error:
                if there:
                    raise BuildFailed(
                        f"{name} in the store is for {there}, not for {platform}, and can't be pulled: {error.message}",
                        hint=f"Pull it with --platform {platform}, or build for {there}.",
                    ) from None
                if isinstance(error, ImageUnknown):
                    raise BuildFailed(f"{name}: {error.message}", hint=error.hint) from None
                raise

    def _remote_name(self, name: str) -> Reference:
        return parse_reference(name, default_registry=self._request.default_registry).tagged()

    def _local(self, name: str, platform: Platform) -> tuple[State | None, str]:
        """What the store has of this name for a platform, if anything, and the platforms that there are."""
        try:
            entry = find(self._images, self._names, name).newest
        except ImageUnknown:
            return None, ""
        self._images.hold(*Reach(self._images).of([entry]))
        root = self._images.read(entry.digest, entry.media_type)
        image = image_of(self._images, root, platform)
        if image is None:
            here = [child for child in root.manifests if self._images.files.has(child)]
            return None, ", ".join(str(child.platform) for child in here if child.platform)
        state = self._read(image, platform)
        return state, str(state.platform)

    async def _pull(self, reference: Reference, platform: Platform, status: Callable[[str, int, int], None]) -> State:
        def on_event(event: Event) -> None:
            status(event.blob.digest.short, event.current, event.blob.size)

        if platform == self._images.platform:
            # Named, as docker's builder leaves it: the next build finds it here.
            pulled = await pull(
                self._images, reference, self._connect,
                platform=platform, all_platforms=False, on_event=on_event, concurrency=3,
            )  # fmt: skip
            state, _ = await asyncio.to_thread(self._local, str(pulled.reference), platform)
            if state is None:
                raise BuildFailed(f"{reference} was removed while the build began")
            return state
        async with self._connect(reference.registry) as client:
            remote = client.repository(reference.repository)
            root = await remote.manifest(reference.target)
            await refuse_misfit(remote, root, platform, reference)
            digest = reference.digest or root.digest
            copied = await copy(remote, self._images, digest, platform=platform, on_event=on_event)
        return await asyncio.to_thread(self._read, copied.manifest, platform)

    async def _from_layout(self, place: str, platform: Platform, exact: bool) -> State:
        folder, at, digest = place.rpartition("@")
        name: str | Digest = Digest.parse(digest) if at else ""
        if not at:
            folder, _, name = place.rpartition(":")
            if not folder or "/" in name:
                folder, name = place, ""
        layout = Layout(Path(folder))
        copied = await copy(layout, self._images, name, platform=platform)
        if exact:
            await refuse_misfit(layout, copied.manifest, platform, place)
        return await asyncio.to_thread(self._read, copied.manifest, platform)

    def _read(self, manifest: Manifest, platform: Platform) -> State:
        self._images.hold(manifest.digest, *(blob.digest for blob in manifest.layers))
        config = image_config(self._images, manifest)
        if config is None:
            raise BuildFailed(f"{manifest.digest} is not an image that can be built on")
        refuse_incomplete(self._images.files, manifest)
        return state_of(manifest, config, platform)


def fits(image: Platform, wanted: Platform) -> bool:
    """Whether an image is of the platform that was named: a processor that runs another's programs is not that."""
    return image.architecture == wanted.architecture and runs_on(image, wanted)
