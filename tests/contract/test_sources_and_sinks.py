"""What every Source and every Sink promises: layouts, archives, an engine's images, registries."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import images as make
import pytest
from servers import must

from dockyard.content.archive import Archive
from dockyard.content.copy import copy
from dockyard.content.http import RegistryClient
from dockyard.content.layout import Layout
from dockyard.content.packing import NewArchive
from dockyard.content.protocols import Outcome
from dockyard.content.streams import read_blob
from dockyard.engine.images import Images
from dockyard.errors import (
    BlobUnknown,
    DigestInvalid,
    DockyardError,
    ManifestUnknown,
    SizeInvalid,
    Unavailable,
)
from dockyard.oci.descriptor import Descriptor
from dockyard.oci.digest import Digest
from dockyard.oci.manifest import make_image
from dockyard.oci.media_types import OCI_CONFIG, OCI_LAYER_GZIP
from dockyard.oci.platform import Platform
from dockyard.oci.reference import RepositoryName

AMD64 = Platform("linux", "amd64")
SINKS = ["layout", "docker archive", "oci archive", "engine", "hub", "docker-registry"]
SOURCES = [*SINKS, "docker archive of old"]
_count = itertools.count()

Opened = Callable[[], AbstractAsyncContextManager[Any]]


class Place:
    """Somewhere that images are: ``sink()`` to write there, ``source()`` to read what was written."""

    def __init__(self, kind: str, folder: Path, host: str) -> None:
        self.kind, self.folder, self.host = kind, folder, host
        self.repository = RepositoryName(f"contract/places{os.getpid()}-{next(_count)}")

    @asynccontextmanager
    async def sink(self) -> AsyncIterator[Any]:
        if self.kind.endswith("archive"):
            async with NewArchive(self.folder / "archive.tar", "docker" if "docker" in self.kind else "oci") as sink:
                yield sink
        else:
            async with self.source() as sink:
                yield sink

    @asynccontextmanager
    async def source(self) -> AsyncIterator[Any]:
        if "archive" in self.kind:
            with (self.folder / "archive.tar").open("rb") as file, Archive(file, scratch=self.folder) as archive:
                yield archive
        elif self.kind == "layout":
            yield Layout(self.folder / "layout")
        elif self.kind == "engine":
            with Images(self.folder / "store", AMD64) as images:
                yield images
        else:
            async with RegistryClient(self.host) as client:
                yield client.repository(self.repository)

    async def fill(self, layout: Path) -> None:
        """Put the image ``latest`` of a layout here and call it v1."""
        if self.kind == "docker archive of old":
            make.docker_archive(layout, self.folder / "archive.tar", "v1:latest")
            return
        async with self.sink() as sink:
            await copy(Layout(layout), sink, "latest", to="v1")


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    kind = request.param
    fixture = {"hub": "hub", "docker-registry": "docker_registry"}.get(kind)
    host = request.getfixturevalue(fixture).host if fixture else ""
    return Place(kind, tmp_path, host)


sinks = pytest.mark.parametrize("place", SINKS, indirect=True)
sources = pytest.mark.parametrize("place", SOURCES, indirect=True)


class Giver:
    """A source of one blob that stops, lies or goes on as it is told."""

    def __init__(self, content: bytes, *, break_at: int | None = None) -> None:
        self.content, self.break_at = content, break_at
        self.starts: list[int] = []

    async def manifest(self, name: object) -> Any:
        raise ManifestUnknown(str(name))

    async def open(self, blob: Descriptor, start: int = 0) -> AsyncIterator[bytes]:
        self.starts.append(start)
        end = len(self.content) if self.break_at is None else self.break_at
        for at in range(start, end, 1 << 20):
            yield self.content[at : min(at + (1 << 20), end)]
        if self.break_at is not None:
            raise Unavailable("the line is cut")


def described(content: bytes, media_type: str = OCI_LAYER_GZIP) -> Descriptor:
    return Descriptor(media_type, Digest.of(content), len(content))


@sources
async def test_what_was_put_comes_back_to_the_byte(place: Place, tmp_path: Path) -> None:
    layout = make.small(tmp_path / "made", "one", "two")
    await place.fill(layout)
    async with place.source() as source:
        manifest = await source.manifest("v1")
        again = await source.manifest(manifest.digest)
        config = await read_blob(source, manifest.config)
        layers = [await read_blob(source, layer) for layer in manifest.layers]

    assert manifest == again
    assert str(Digest.of(config)) == make.Layout(layout).image_id()
    assert all(Digest.of(layer) == found.digest for layer, found in zip(layers, manifest.layers, strict=True))
    if place.kind != "docker archive of old":  # which holds no manifest, and no compressed layers
        assert manifest.raw == make.Layout(layout).manifest()


@sources
async def test_a_blob_is_read_from_any_offset(place: Place, tmp_path: Path) -> None:
    await place.fill(make.small(tmp_path / "made", "word" * 50))
    async with place.source() as source:
        layer = (await source.manifest("v1")).layers[0]
        whole = await read_blob(source, layer)
        parts = {
            start: b"".join([chunk async for chunk in source.open(layer, start)]) for start in (1, 100, layer.size - 1)
        }

    assert parts == {start: whole[start:] for start in parts}


@sources
async def test_what_is_not_there_is_said_to_be_unknown(place: Place, tmp_path: Path) -> None:
    await place.fill(make.small(tmp_path / "made"))
    lost = described(b"lost")
    async with place.source() as source:
        with pytest.raises(ManifestUnknown):
            await source.manifest("v2")
        with pytest.raises(ManifestUnknown):
            await source.manifest(lost.digest)
        with pytest.raises(BlobUnknown):
            [chunk async for chunk in source.open(lost)]


SHAPES = [make.many_layers, make.empty_layer, make.no_layers, make.zstd_layers]


@pytest.mark.parametrize(
    ("place", "made"),
    # skopeo knows no zstd in docker archives
    [(kind, made) for kind in SOURCES for made in SHAPES if not (kind.endswith("old") and made is make.zstd_layers)],
    indirect=["place"],
)
async def test_images_of_every_shape_keep_their_id(place: Place, made: Callable[[Path], Path], tmp_path: Path) -> None:
    layout = made(tmp_path / "made")
    await place.fill(layout)
    async with place.source() as source:
        await copy(source, back := Layout(tmp_path / "back"), "v1", to="latest")

    assert make.Layout(back.root).image_id() == make.Layout(layout).image_id()
    if place.kind != "docker archive of old":
        assert make.Layout(back.root).reachable() == make.Layout(layout).reachable()


@sinks
async def test_an_index_comes_with_all_its_platforms(place: Place, tmp_path: Path) -> None:
    layout = make.multi_platform(tmp_path / "made")
    await place.fill(layout)
    async with place.source() as source:
        await copy(source, back := Layout(tmp_path / "back"), "v1", to="latest")

    assert make.Layout(back.root).reachable() == make.Layout(layout).reachable()


@sinks
async def test_a_sink_has_a_blob_once_it_was_written(place: Place) -> None:
    content = os.urandom(3_000_000)
    blob = described(content)
    async with place.sink() as sink:
        before = await sink.has(blob)
        first, second = await sink.write(blob, Giver(content)), await sink.has(blob)

    assert (before, first, second) == (False, Outcome.WRITTEN, True)


@sinks
async def test_an_empty_blob_is_a_blob(place: Place) -> None:
    blob = described(b"")
    async with place.sink() as sink:
        await sink.write(blob, Giver(b""))

        assert await sink.has(blob)


@sinks
@pytest.mark.parametrize("lie", ["other bytes", "too few", "too many"])
async def test_wrong_bytes_leave_nothing(place: Place, lie: str) -> None:
    content = os.urandom(2_500_000)
    blob = described(content)
    sent = {"other bytes": content[:-1] + b"\0", "too few": content[:-7], "too many": content + b"more"}[lie]
    async with place.sink() as sink:
        with pytest.raises((DigestInvalid, SizeInvalid)):
            await sink.write(blob, Giver(sent))
        absent = not await sink.has(blob)
        after = await sink.write(blob, Giver(content))

        assert absent
        assert (after, await sink.has(blob)) == (Outcome.WRITTEN, True)


@sinks
async def test_a_write_that_was_cut_goes_on_where_it_stopped(place: Place) -> None:
    content = os.urandom(4 << 20)
    blob, cut, rest = described(content), Giver(content, break_at=3 << 20), Giver(content)
    async with place.sink() as sink:
        with pytest.raises(Unavailable, match="the line is cut"):
            await sink.write(blob, cut)
        absent = not await sink.has(blob)
        await sink.write(blob, rest)

        assert absent and await sink.has(blob)
        assert cut.starts == [0]
        if not place.host:  # a registry keeps what it has confirmed, which of a chunk on its way is nothing
            assert rest.starts == [3 << 20]


@sinks
async def test_two_who_bring_the_same_blob_both_succeed(place: Place) -> None:
    content = os.urandom(3 << 20)
    blob = described(content)
    async with place.sink() as one:
        # Two grips on one place where it allows that; an archive has one writer.
        outcomes = await asyncio.gather(one.write(blob, Giver(content)), one.write(blob, Giver(content)))

        assert Outcome.WRITTEN in outcomes
        assert await one.has(blob)


@sinks
async def test_a_manifest_is_refused_while_its_content_is_not_there(place: Place) -> None:
    config = b'{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]}}'
    manifest = make_image(described(config, OCI_CONFIG), [described(b"never sent")])
    async with place.sink() as sink:
        await sink.write(manifest.config, Giver(config))
        with pytest.raises(DockyardError):
            await sink.put(manifest, "v1")
        with pytest.raises(ManifestUnknown):
            await sink.manifest("v1")


@sinks
async def test_a_name_moves_and_the_old_manifest_stays_known_by_its_digest(place: Place, tmp_path: Path) -> None:
    old, new = make.small(tmp_path / "old", "old"), make.small(tmp_path / "new", "new")
    async with place.sink() as sink:
        first = await copy(Layout(old), sink, "latest", to="v1")
        second = await copy(Layout(new), sink, "latest", to="v1")

        assert (await sink.manifest(first.manifest.digest)).digest == first.manifest.digest
        assert (await sink.manifest(second.manifest.digest)).digest == second.manifest.digest
    async with place.source() as source:
        assert (await source.manifest("v1")).digest == second.manifest.digest


async def test_skopeo_reads_what_a_layout_and_an_engine_were_given(tmp_path: Path) -> None:
    made = make.busybox(tmp_path / "made")
    for kind, folder, name in (
        ("layout", "layout", "v1"),
        ("engine", "store", "docker.io/library/v1:latest"),
    ):
        (tmp_path / kind).mkdir()
        await Place(kind, tmp_path / kind, "").fill(made)
        source = f"oci:{tmp_path / kind / folder}:{name}"
        must("skopeo", "--insecure-policy", "copy", "--quiet", source, f"oci:{tmp_path}/{kind}-copy:latest")

        copied = make.Layout(tmp_path / f"{kind}-copy")
        assert copied.image_id() == make.Layout(made).image_id()


@sinks
async def test_a_windows_image_goes_over_without_the_base_that_stays_at_its_url(place: Place, tmp_path: Path) -> None:
    layout = make.windows(tmp_path / "made")
    await place.fill(layout)
    async with place.source() as source:
        manifest = await source.manifest("v1")

    assert manifest.raw == make.Layout(layout).manifest()
