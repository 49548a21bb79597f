"""Images from file systems and archives, and archives from images, with the programs that make and take them."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images as make
import pytest
from engine.conftest import Clock
from engine.stores import blobs, complete
from servers import must

from dockyard.content.copy import copy
from dockyard.content.layout import Layout
from dockyard.engine.engine import Engine
from dockyard.errors import ArchiveInvalid, DigestInvalid, ImageUnknown, Invalid, ManifestBlobUnknown, ManifestUnknown
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from servers import Containers, Dockerd

Add = Callable[..., str]


def store_of(engine: Engine) -> make.Layout:
    return make.Layout(Path(engine.context.folder))


def saved(engine: Engine, path: Path, *names: str, **more: Any) -> Path:
    with path.open("wb") as out:
        engine.save(names, out, **more)
    return path


def loaded(engine: Engine, path: Path, **more: Any) -> list[str]:
    with path.open("rb") as source:
        return [str(found.name) if found.name else str(found.id) for found in engine.load(source, **more)]


def test_an_imported_file_system_is_one_layer_of_the_same_bytes(engine: Engine, clock: Clock) -> None:
    archive = make.tar([("bin/sh", os.urandom(3_000_000)), ("etc/passwd", b"root")]) + b"after the end"
    image = engine.import_(io.BytesIO(archive), "rootfs", message="by hand", changes=["CMD sh"])
    manifest = json.loads(store_of(engine).manifest("docker.io/library/rootfs:latest"))
    config = json.loads(store_of(engine).read(str(image)))

    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(archive).hexdigest()]
    assert config["history"] == [{"created": "2027-01-15T08:00:00Z", "comment": "by hand"}]
    assert config["config"] == {"Cmd": ["/bin/sh", "-c", "sh"]}
    assert [layer["mediaType"] for layer in manifest["layers"]] == [make.GZIP]
    assert gzip.decompress(store_of(engine).read(manifest["layers"][0]["digest"])) == archive


@pytest.mark.parametrize("program", ["gzip -c", "zstd -c"])
def test_it_does_not_matter_how_the_file_system_was_compressed(engine: Engine, program: str) -> None:
    archive = make.tar([("a", b"a" * 100_000)])
    compressed = subprocess.run(program.split(), input=archive, stdout=subprocess.PIPE, check=True).stdout
    plain, other = engine.import_(io.BytesIO(archive)), engine.import_(io.BytesIO(compressed))

    assert plain == other
    assert len(engine.rows()) == 1


def test_an_import_takes_the_platform_it_is_told(engine: Engine) -> None:
    engine.import_(io.BytesIO(make.tar([])), "arm", platform=Platform.parse("linux/arm/v6"))
    found = engine.inspect("arm")

    assert (found["Architecture"], found["Variant"]) == ("arm", "v6")


@pytest.mark.parametrize(
    "archive",
    [
        b"", b"not a tar", make.tar([("a", b"x" * 5000)])[:3000], make.tar([("../climbs", b"out")]),
        gzip.compress(make.tar([("a", os.urandom(5000))]))[:-20], gzip.compress(b"no tar inside" * 100),
    ],
    ids=["empty", "no tar", "cut short", "climbs out", "broken gzip", "no tar in the gzip"],
)  # fmt: skip
def test_what_is_no_file_system_leaves_nothing(engine: Engine, archive: bytes) -> None:
    with pytest.raises(ArchiveInvalid):
        engine.import_(io.BytesIO(archive), "app")

    assert engine.rows() == []
    assert blobs(engine) == set()
    assert os.listdir(engine.images.files.ingest) == []


def test_a_hard_link_that_climbs_out_is_refused(engine: Engine) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.LNKTYPE, "../../etc/shadow"
        archive.addfile(link)
    with pytest.raises(ArchiveInvalid, match="climbs out"):
        engine.import_(io.BytesIO(out.getvalue()))


@pytest.mark.slow
def test_importing_takes_the_same_memory_however_large_the_file_system_is(engine: Engine) -> None:
    block = os.urandom(1 << 20)

    class Long(io.RawIOBase):
        def __init__(self) -> None:
            member = tarfile.TarInfo("big")
            member.size = 96 << 20
            self.left = [member.tobuf(), *[block] * 96, bytes(1024)]

        def read(self, size: int = -1) -> bytes:
            if not self.left:
                return b""
            piece, rest = self.left[0][:size], self.left[0][size:]
            self.left[:1] = [rest] if rest else []
            return piece

    engine.import_(io.BytesIO(make.tar([])))  # what is imported once
    tracemalloc.start()
    engine.import_(Long(), "big")  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 24 << 20


@pytest.mark.slow
@pytest.mark.parametrize("made", make.KINDS)
@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_a_saved_image_is_loaded_with_the_same_id_and_manifest(
    open_engine: Callable[..., Engine], made: Callable[[Path], Path], form: str, tmp_path: Path
) -> None:
    here, there = open_engine("here"), open_engine("there")
    with here.images.session() as images:
        await copy(Layout(made(tmp_path / "made")), images, "latest", to="localhost:5000/app:v1")
    archive = saved(here, tmp_path / "a.tar", "localhost:5000/app:v1", form=form)
    names = await asyncio.to_thread(loaded, there, archive)

    assert names == ["localhost:5000/app:v1"]
    assert blobs(there) == blobs(here)
    assert [row.id for row in there.rows()] == [row.id for row in here.rows()]
    assert os.listdir(there.images.files.ingest) == os.listdir(there.images.root / "leases") == []
    assert complete(there)


def test_the_same_images_are_saved_as_the_same_bytes(engine: Engine, add: Add, tmp_path: Path) -> None:
    add("one", "one"), add("two", "two")
    archives = [saved(engine, tmp_path / f"{number}.tar", "one", "two").read_bytes() for number in range(2)]

    assert archives[0] == archives[1]


def test_a_repository_without_a_tag_means_all_its_tags(
    open_engine: Callable[..., Engine], engine: Engine, add: Add, tmp_path: Path
) -> None:
    add("app:v1", "one"), add("app:v2", "two"), add("other")
    all_tags = loaded(open_engine("a"), saved(engine, tmp_path / "a.tar", "app"))
    one = loaded(open_engine("b"), saved(engine, tmp_path / "b.tar", "app:v2"))

    assert sorted(all_tags) == ["docker.io/library/app:v1", "docker.io/library/app:v2"]
    assert one == ["docker.io/library/app:v2"]


def test_an_image_saved_by_its_id_has_no_name(
    open_engine: Callable[..., Engine], engine: Engine, add: Add, tmp_path: Path
) -> None:
    image = add("app:v1")
    there = open_engine("there")

    assert loaded(there, saved(engine, tmp_path / "a.tar", image[:19])) == [image]
    assert [row.tag for row in there.rows()] == ["<none>"]


@pytest.mark.parametrize("damage", [b"", b"x" * 1_000_000])
def test_a_damaged_layer_is_not_saved_as_if_it_were_whole(
    damage: bytes, engine: Engine, add: Add, tmp_path: Path
) -> None:
    add("app")
    (layer,) = engine.images.read(engine.images.entries.read()[0].digest).layers
    engine.images.files.path(layer.digest).write_bytes(damage[: layer.size])

    with pytest.raises((ManifestBlobUnknown, DigestInvalid), match=str(layer.digest)):
        saved(engine, tmp_path / "a.tar", "app")


def test_what_is_not_there_is_not_saved(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(ImageUnknown, match="No such image: app:latest"):
        saved(engine, tmp_path / "a.tar", "app")


async def test_one_platform_of_an_index_is_saved_and_loaded(open_engine: Callable[..., Engine], tmp_path: Path) -> None:
    here, there, whole = open_engine("here"), open_engine("there"), open_engine("whole")
    with here.images.session() as images:
        await copy(Layout(make.multi_platform(tmp_path / "made")), images, "latest", to="app")
    arm = Platform.parse("linux/arm64")
    saved(here, tmp_path / "one.tar", "app", platform=arm)
    saved(here, tmp_path / "all.tar", "app", form="oci")
    await asyncio.to_thread(loaded, there, tmp_path / "one.tar")
    await asyncio.to_thread(loaded, whole, tmp_path / "all.tar", platform=arm)

    assert [row.platform for row in there.rows()] == [row.platform for row in whole.rows()] == ["linux/arm64"]
    with pytest.raises(Invalid):
        saved(there, tmp_path / "no.tar", "app", platform=Platform.parse("linux/s390x"))
    with pytest.raises(ManifestUnknown):
        saved(here, tmp_path / "no.tar", "app", platform=Platform.parse("linux/s390x"))


async def test_an_index_with_holes_is_loaded_as_the_platform_that_is_there(engine: Engine, tmp_path: Path) -> None:
    layout = make.Layout(make.multi_platform(tmp_path / "made"))
    keep = engine.context.platform.architecture
    for child in json.loads(layout.manifest())["manifests"]:
        if child["platform"]["architecture"] != keep or child["platform"]["os"] != "linux":
            layout.path(child["digest"]).unlink()
    names = await asyncio.to_thread(loaded, engine, make.oci_archive(layout.folder, tmp_path / "a.tar"))
    (row,) = engine.rows()

    assert names == [str(row.id)]
    assert row.platform == str(engine.context.platform)
    assert complete(engine)


@pytest.mark.slow
async def test_docker_loads_ours_and_we_load_docker_s(
    engine: Engine, open_engine: Callable[..., Engine], dockerd: Dockerd, tmp_path: Path
) -> None:
    with engine.images.session() as images:
        await copy(Layout(make.busybox(tmp_path / "made")), images, "latest", to="ours/busybox:v1")
    image = str(engine.resolve_id("ours/busybox:v1"))
    said = dockerd.ok("load", "-i", saved(engine, tmp_path / "ours.tar", "ours/busybox:v1"))
    theirs = dockerd.ok("image", "inspect", "--format", "{{.Id}}", "ours/busybox:v1").strip()
    dockerd.ok("save", "-o", tmp_path / "docker.tar", "ours/busybox:v1")
    there = open_engine("there")
    names = await asyncio.to_thread(loaded, there, tmp_path / "docker.tar")

    assert "Loaded image: ours/busybox:v1" in said
    assert theirs == image == str(there.resolve_id("ours/busybox:v1"))
    assert names == ["docker.io/ours/busybox:v1"]
    assert {layer["mediaType"] for layer in json.loads(store_of(there).manifest(names[0]))["layers"]} == {make.GZIP}


@pytest.mark.slow
@pytest.mark.parametrize("form", ["docker", "oci"])
async def test_podman_loads_ours_and_we_load_podman_s(
    engine: Engine, open_engine: Callable[..., Engine], containers: Containers, form: str, tmp_path: Path
) -> None:
    with engine.images.session() as images:
        await copy(Layout(make.busybox(tmp_path / "made")), images, "latest", to="ours/busybox:v1")
    image = engine.resolve_id("ours/busybox:v1")
    said = containers.ok("podman", "load", "-i", saved(engine, tmp_path / "a.tar", "ours/busybox:v1", form=form))
    theirs = containers.ok("podman", "image", "inspect", "--format", "{{.Id}}", "docker.io/ours/busybox:v1").strip()
    containers.ok(
        "podman", "save", "--format", f"{form}-archive", "-o", tmp_path / "b.tar", "docker.io/ours/busybox:v1"
    )
    there = open_engine("there")
    names = await asyncio.to_thread(loaded, there, tmp_path / "b.tar")

    assert "docker.io/ours/busybox:v1" in said
    assert theirs == image.hex == there.resolve_id("ours/busybox:v1").hex
    assert names == ["docker.io/ours/busybox:v1"]


@pytest.mark.slow
async def test_skopeo_and_umoci_read_the_store(engine: Engine, tmp_path: Path) -> None:
    with engine.images.session() as images:
        await copy(Layout(make.busybox(tmp_path / "made")), images, "latest", to="localhost:5000/ours/busybox:v1")
    store, name = engine.context.folder, "localhost:5000/ours/busybox:v1"
    must("skopeo", "--insecure-policy", "copy", f"oci:{store}:{name}", f"oci:{tmp_path}/copy:latest")
    listed = must("umoci", "ls", "--layout", store).split()
    must("umoci", "raw", "unpack", "--rootless", "--image", f"{store}:{name}", tmp_path / "rootfs")

    assert make.Layout(tmp_path / "copy").image_id() == str(engine.resolve_id(name))
    assert listed == [name]
    assert (tmp_path / "rootfs/bin/busybox").stat().st_size > 100_000


@pytest.mark.slow
def test_skopeo_writes_into_the_store(engine: Engine, add: Add, tmp_path: Path) -> None:
    add("before")
    made = make.busybox(tmp_path / "made")
    must(
        "skopeo", "--insecure-policy", "copy", f"oci:{made}:latest",
        f"oci:{engine.context.folder}:docker.io/library/from-skopeo:v1",
    )  # fmt: skip

    assert {row.repository for row in engine.rows()} == {"before", "from-skopeo"}
    assert str(engine.resolve_id("from-skopeo:v1")) == make.Layout(made).image_id()
    engine.remove("from-skopeo:v1")
    assert complete(engine)
