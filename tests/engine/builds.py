"""Builds of one context folder through the engine, and what came out of them, read with nothing of dockyard."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images as make

from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.engine.build_events import BuildEvent, BuildRequest, Progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from dockyard.engine.build_events import Built
    from dockyard.engine.engine import Engine


def nowhere(host: str) -> Any:
    raise AssertionError(f"nothing should be asked of {host}")


class Builds:
    """Builds of one context folder, and what each told."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder
        folder.mkdir()
        self.events: list[BuildEvent] = []
        self.connect: Callable[[str], Any] = nowhere

    async def __call__(self, dockerfile: str = "", *, stdout: BinaryIO | None = None, **wanted: Any) -> Built:
        if dockerfile:
            (self.folder / "Dockerfile").write_text(dockerfile)
        self.events = []
        request = BuildRequest(str(self.folder), **wanted)
        return await self.engine.build(request, self.connect, self.events.append, stdout=stdout)

    def names(self, progress: Progress) -> list[str]:
        """What steps did so, without those of the build itself."""
        return [event.name for event in self.events if event.progress is progress and "internal" not in event.name]

    def output(self) -> bytes:
        """What RUNs wrote."""
        return b"".join(event.data for event in self.events if event.progress is Progress.OUTPUT)

    @property
    def layout(self) -> make.Layout:
        """The store."""
        return make.Layout(Path(self.engine.context.folder))

    def children(self, built: Built) -> dict[str, dict[str, Any]]:
        """The manifests of an index by platform: ``linux/arm64``."""
        index = json.loads(self.layout.read(str(built.digest)))
        found = {}
        for child in index["manifests"]:
            platform = child["platform"]
            name = "/".join(platform[key] for key in ("os", "architecture", "variant") if key in platform)
            found[name] = dict(json.loads(self.layout.read(child["digest"])))
        return found

    def config(self, built: Built) -> dict[str, Any]:
        return dict(json.loads(self.layout.read(str(built.image_id))))

    def files(self, built: Built, layer: int = -1) -> dict[str, tarfile.TarInfo]:
        """The members of one layer."""
        manifest = json.loads(self.layout.read(str(built.digest)))
        with tarfile.open(self.layout.path(manifest["layers"][layer]["digest"])) as archive:
            return {member.name: member for member in archive}


def content(layout: make.Layout, layer: dict[str, Any], name: str) -> bytes:
    """A file's content in a layer."""
    with tarfile.open(layout.path(layer["digest"])) as archive:
        file = archive.extractfile(name)
        assert file
        return file.read()


async def add_image(engine: Engine, layout: Path, name: str) -> None:
    """Take the image ``latest`` of a layout into the store, an index with all that it names."""
    with engine.images.session() as images:
        await copy(Layout(layout), images, "latest", to=f"docker.io/library/{name}:latest")


def add_busybox(engine: Engine) -> None:
    """An image called ``busybox`` in the store."""
    found = shutil.which("busybox")
    assert found
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("usr", "usr/bin", "tmp", "etc"):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        program = archive.gettarinfo(found, "usr/bin/busybox")
        with open(found, "rb") as file:
            archive.addfile(program, file)
        for name, target in (("bin", "usr/bin"), ("usr/bin/sh", "busybox"), ("usr/bin/cat", "busybox")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
        passwd = b"root:x:0:0:root:/:/bin/sh\napp:x:1234:1234::/:/bin/sh\n"
        member = tarfile.TarInfo("etc/passwd")
        member.size = len(passwd)
        archive.addfile(member, io.BytesIO(passwd))
    buffer.seek(0)
    engine.import_(buffer, "busybox", changes=["ENV PATH=/bin", 'CMD ["sh"]'])
