"""Where the result of a build goes: folders, archives, standard output, registries, and several of them at once."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images as make
import pytest
from engine.builds import add_image
from engine.stores import blobs, complete
from engine.test_platform_builds import AMD64, ARM64, base, connect
from servers import must

from dockyard.engine.build_events import Output
from dockyard.errors import BuildFailed, Full, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.builds import Builds
    from servers import Containers, Dockerd, Hub

    from dockyard.engine.engine import Engine

pytestmark = pytest.mark.slow

XATTR = "user.kind"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    must("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path)
    yield path
    must("umount", "--lazy", path)


def tree(folder: Path) -> dict[str, str]:
    """What is below a folder: content of files, targets of links, nothing of folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found[name] = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
    return found


async def layered(engine: Engine, folder: Path, name: str) -> None:
    """An image of three layers: files, then whiteouts, then one of each kind of file that a tar can hold."""
    layout = make.Layout(folder)
    layers, diff_ids = [], []
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:

        def add(path: str, data: bytes = b"", **more: Any) -> None:
            member = tarfile.TarInfo(path)
            member.size, member.mtime, member.mode = len(data), 1_600_000_000, 0o644
            for key, value in more.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(data))

        add("etc", type=tarfile.DIRTYPE, mode=0o751, uid=7, gid=8)
        add("etc/first", b"first", uid=1234, gid=4321, mode=0o4755)
        add("etc/second", type=tarfile.LNKTYPE, linkname="etc/first", uid=1234, gid=4321, mode=0o4755)
        add("etc/link", type=tarfile.SYMTYPE, linkname="/outside/x")
        add("etc/marked", b"marked", pax_headers={f"SCHILY.xattr.{XATTR}": "special"})
        add("pipe", type=tarfile.FIFOTYPE)
        add("n" * 150 + "/" + "ü" * 60, b"long")
    below = make.tar([("gone/a", b"a"), ("stays/a", b"a"), ("opaque/a", b"a")])
    above = make.tar([(".wh.gone", b""), ("opaque/.wh..wh..opq", b""), ("opaque/b", b"b")])
    for data in (below, above, buffer.getvalue()):
        layers.append(layout.blob(make.gzipped(data), make.GZIP))
        diff_ids.append(make.sha256(data))
    layout.name(layout.image(layers, diff_ids))
    await add_image(engine, folder, name)


async def test_a_folder_gets_the_files_beside_what_it_has(builds: Builds, tmp_path: Path) -> None:
    await layered(builds.engine, tmp_path / "made", "layered")
    out, outside = tmp_path / "out", tmp_path / "outside"
    (out / "etc/kept").mkdir(parents=True)
    (out / "etc/first").mkdir()
    (out / "etc/marked").write_text("old")
    (out / "own").write_text("own")
    outside.mkdir()
    (out / "stays").symlink_to(outside)
    (out / "pipe").symlink_to(outside / "pipe")
    await builds("FROM layered\n", outputs=[Output("local", str(out))])
    (out / "pipe").unlink()
    found = tree(out)

    assert found.pop("n" * 150 + "/" + "ü" * 60) == "long"
    assert found == {
        "etc": "", "etc/first": "first", "etc/second": "first", "etc/link": "/outside/x", "etc/marked": "marked",
        "etc/kept": "", "own": "own", "stays": "", "stays/a": "a", "opaque": "", "opaque/b": "b", "n" * 150: "",
    }  # fmt: skip
    assert [*outside.iterdir()] == []
    assert (out / "etc/first").samefile(out / "etc/second")
    assert (out / "etc/first").stat().st_mode & 0o7777 == 0o4755
    assert (out / "etc").stat().st_mode & 0o7777 == 0o751
    assert (out / "etc/first").stat().st_mtime == 1_600_000_000
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in out.rglob("*")} == {(os.geteuid(), os.getegid())}
    assert os.getxattr(out / "etc/marked", XATTR) == b"special"


async def test_each_platform_gets_a_folder_of_its_own(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (out / "linux_amd64").symlink_to(outside)
    (out / "linux_arm64").mkdir()
    (out / "linux_arm64/kept").write_text("kept")
    outputs = [Output("local", str(out)), Output("tar", str(tmp_path / "out.tar"))]
    await builds("FROM tools\n", platforms=[AMD64, ARM64], outputs=outputs)
    with tarfile.open(tmp_path / "out.tar") as archive:
        names = archive.getnames()

    assert [*outside.iterdir()] == []
    assert (out / "linux_arm64/kept").read_text() == "kept"
    assert (out / "linux_amd64/bin/tool").read_bytes() != (out / "linux_arm64/bin/tool").read_bytes()
    assert names == [
        "linux_amd64", "linux_amd64/bin", "linux_amd64/bin/tool",
        "linux_arm64", "linux_arm64/bin", "linux_arm64/bin/tool",
    ]  # fmt: skip


async def test_gnu_tar_unpacks_a_tar_with_all_that_files_have(builds: Builds, tmp_path: Path) -> None:
    await layered(builds.engine, tmp_path / "made", "layered")
    await builds("FROM layered\n", outputs=[Output("tar", str(tmp_path / "out.tar"))])
    out = tmp_path / "out"
    out.mkdir()
    keep = ("--xattrs", "--xattrs-include=*", "--numeric-owner", "--same-owner", "--preserve-permissions")
    must("tar", "--extract", *keep, "--file", tmp_path / "out.tar", "--directory", out)
    first = (out / "etc/first").stat()

    assert (out / "etc/first").samefile(out / "etc/second")
    assert (first.st_uid, first.st_gid, first.st_mode & 0o7777, first.st_mtime) == (1234, 4321, 0o4755, 1_600_000_000)
    assert os.getxattr(out / "etc/marked", XATTR) == b"special"
    assert (out / "pipe").is_fifo()
    assert os.readlink(out / "etc/link") == "/outside/x"
    assert not (out / "gone").exists()
    assert [path.name for path in (out / "opaque").iterdir()] == ["b"]


async def test_a_tar_of_the_same_image_has_the_same_bytes(builds: Builds, tmp_path: Path) -> None:
    await layered(builds.engine, tmp_path / "made", "layered")
    for name in ("one", "two"):
        await builds("FROM layered\n", outputs=[Output("tar", str(tmp_path / name))])

    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


async def test_skopeo_reads_the_archives(builds: Builds, tmp_path: Path, containers: Containers) -> None:
    (builds.folder / "a").write_text("a")
    outputs = [Output("oci", str(tmp_path / "oci.tar")), Output("docker", str(tmp_path / "docker.tar"))]
    built = await builds("FROM scratch\nCOPY a /\nENV A=b\n", tags=["team/name:1"], outputs=outputs)
    name = "docker.io/team/name:1"
    for source in (f"oci-archive:{tmp_path}/oci.tar:{name}", f"docker-archive:{tmp_path}/docker.tar:{name}"):
        fields = json.loads(containers.ok("skopeo", "inspect", "--config", source))

        assert fields["config"]["Env"][-1] == "A=b"
    assert make.sha256(containers.ok("skopeo", "inspect", "--raw", f"oci-archive:{tmp_path}/oci.tar").encode()) == str(
        built.digest
    )


async def test_an_archive_of_several_platforms_has_them_all(
    builds: Builds, tmp_path: Path, containers: Containers
) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    archive = tmp_path / "oci.tar"
    built = await builds("FROM tools\n", platforms=[AMD64, ARM64], outputs=[Output("oci", str(archive))])
    for architecture in ("amd64", "arm64"):
        found = containers.ok(
            "skopeo", "--override-arch", architecture, "inspect", "--config", f"oci-archive:{archive}"
        )  # fmt: skip
        assert json.loads(found)["architecture"] == architecture
    assert "containerimage.config.digest" not in built.metadata
    with pytest.raises(Invalid, match="the docker format holds one platform"):
        await builds(platforms=[AMD64, ARM64], outputs=[Output("docker", str(tmp_path / "docker.tar"))])
    assert not (tmp_path / "docker.tar").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_docker_loads_and_lists_what_was_written_for_it(builds: Builds, tmp_path: Path, dockerd: Dockerd) -> None:
    outputs = [Output("docker", str(tmp_path / "docker.tar"))]
    built = await builds("FROM busybox\nWORKDIR /w\n", tags=["loaded/by-docker:1"], outputs=outputs)
    dockerd.ok("load", "--input", tmp_path / "docker.tar")
    found = json.loads(dockerd.ok("image", "inspect", "loaded/by-docker:1"))

    assert found[0]["Id"] == str(built.image_id)
    assert found[0]["Config"]["WorkingDir"] == "/w"


async def test_standard_output_gets_the_archive(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")
    for kind, name in (("tar", "a"), ("oci", "index.json"), ("docker", "manifest.json")):
        out = io.BytesIO()
        await builds("FROM scratch\nCOPY a /\n", outputs=[Output(kind, "-")], stdout=out)
        with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
            assert name in archive.getnames()


async def test_several_outputs_of_one_build(builds: Builds, tmp_path: Path, hub: Hub, containers: Containers) -> None:
    (builds.folder / "a").write_text("a")
    builds.connect = connect
    name = f"{hub.host}/outputs/several"
    out = io.BytesIO()
    built = await builds(
        "FROM scratch\nCOPY a /\n",
        tags=[f"{name}:1", f"{name}:2"],
        outputs=[
            Output("image", push=True, names=(f"{name}:3",)), Output("local", str(tmp_path / "files")),
            Output("oci", str(tmp_path / "deep/er/oci.tar")), Output("tar", "-"),
        ],
        stdout=out,
    )  # fmt: skip

    assert [row.tag for row in builds.engine.rows() if row.repository == name] == ["1", "2"]
    assert (tmp_path / "files/a").read_text() == "a"
    assert tarfile.is_tarfile(tmp_path / "deep/er/oci.tar")
    assert out.getvalue()
    for tag in ("1", "2", "3"):
        raw = containers.ok("skopeo", "inspect", "--raw", f"docker://{name}:{tag}")
        assert make.sha256(raw.encode()) == str(built.digest)


async def test_a_push_needs_a_name_before_anything_is_built(builds: Builds) -> None:
    with pytest.raises(BuildFailed, match="tag is needed when pushing to registry"):
        await builds("FROM scratch\nCOPY missing /\n", outputs=[Output("image", push=True)])

    assert builds.events == []


async def test_a_push_that_fails_leaves_the_image_in_the_store(builds: Builds) -> None:
    (builds.folder / "a").write_text("a")

    def closed(host: str) -> Any:
        raise Unavailable(f"{host} is closed")

    builds.connect = closed
    with pytest.raises(Unavailable, match="closed"):
        await builds("FROM scratch\nCOPY a /\n", tags=["127.0.0.1:9/x:1"], outputs=[Output("image", push=True)])

    assert [row.repository for row in builds.engine.rows()] == ["127.0.0.1:9/x"]
    assert complete(builds.engine)


async def test_what_is_only_written_elsewhere_leaves_no_image_in_the_store(builds: Builds, tmp_path: Path) -> None:
    (builds.folder / "a").write_text("a")
    for output in (Output("oci", str(tmp_path / "oci.tar")), Output("local", str(tmp_path / "out"))):
        await builds("FROM scratch\nCOPY a /\n", outputs=[output], tags=["named"])
    (record,) = [row for row in builds.engine.build_cache() if row.size]

    assert builds.engine.rows() == []
    assert len(blobs(builds.engine)) == 1 and record.size > 0


@pytest.mark.parametrize("kind", ["local", "tar", "oci", "docker"])
async def test_a_full_disk_gets_nothing(builds: Builds, small_disk: Path, kind: str) -> None:
    (builds.folder / "big").write_bytes(os.urandom(4 << 20))
    out = small_disk / "out"
    with pytest.raises(Full):
        await builds("FROM scratch\nCOPY big /\n", outputs=[Output(kind, str(out))], tags=["big"])

    assert [*small_disk.iterdir()] == []
    assert builds.engine.rows() == []
    await builds(outputs=[Output(kind, str(small_disk.parent / "elsewhere"))])


async def test_a_full_disk_leaves_a_folder_as_it_was(builds: Builds, small_disk: Path) -> None:
    (builds.folder / "big").write_bytes(os.urandom(4 << 20))
    (builds.folder / "a").write_text("new")
    (small_disk / "a").write_text("old")
    with pytest.raises(Full):
        await builds("FROM scratch\nCOPY . /\n", outputs=[Output("local", str(small_disk))])

    assert tree(small_disk) == {"a": "old"}


async def test_places_that_can_not_be_written_to_are_told(builds: Builds, tmp_path: Path) -> None:
    (builds.folder / "a").write_text("a")
    text = "FROM scratch\nCOPY a /\n"
    with pytest.raises(Invalid, match="is a folder; this output is a file"):
        await builds(text, outputs=[Output("tar", str(tmp_path))])
    with pytest.raises(Invalid, match="dest file is required"):
        await builds(text, outputs=[Output("oci", "")])
    (tmp_path / "file").write_text("mine")
    with pytest.raises((Invalid, NotFound, Unavailable), match="file"):
        await builds(text, outputs=[Output("local", str(tmp_path / "file"))])

    assert (tmp_path / "file").read_text() == "mine"


def test_the_command_pushes_and_writes_to_a_pipe(hub: Hub, tmp_path: Path, containers: Containers) -> None:
    from servers import DOCKYARD, Machine

    machine = Machine(tmp_path / "machine")
    (tmp_path / "context").mkdir()
    (tmp_path / "context/Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    name = f"{hub.host}/outputs/command:1"
    machine.ok("build", "--push", "-t", name, tmp_path / "context")
    piped = subprocess.run(
        [DOCKYARD, "build", "-o", "-", tmp_path / "context"], env=machine.env, capture_output=True, check=True
    )
    refused = machine("build", "--push", tmp_path / "context")

    assert "sha256" in containers.ok("skopeo", "inspect", f"docker://{name}")
    with tarfile.open(fileobj=io.BytesIO(piped.stdout)) as archive:
        assert archive.getnames() == ["Dockerfile"]
    assert refused.returncode != 0 and "tag is needed when pushing to registry" in refused.stderr
