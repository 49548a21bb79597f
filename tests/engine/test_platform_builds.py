"""Builds for several platforms: every image of an index holds its own platform's programs, and says so."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import images as make
import pytest
from engine.builds import add_image, content

from dockyard.content.credentials import FixedLogin
from dockyard.content.http import RegistryClient
from dockyard.engine.build_events import Output, Progress
from dockyard.errors import BuildFailed, DockyardError, Invalid, ManifestUnknown, Unavailable
from dockyard.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.builds import Builds
    from servers import Containers, Hub

    from dockyard.engine.engine import Engine

pytestmark = pytest.mark.slow

MACHINES = {"amd64": 62, "arm64": 183, "386": 3, "arm": 40, "riscv64": 243}
"""``e_machine`` in an ELF header, from elf.h."""
AMD64, ARM64, ARM = Platform("linux", "amd64"), Platform("linux", "arm64"), Platform("linux", "arm", "v7")


def program(architecture: str) -> bytes:
    """The smallest ELF file of a processor: a header alone, of 64 bits but for arm and 386."""
    wide = architecture not in ("arm", "386")
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1, 0]) + bytes(8)
    words = (2, MACHINES[architecture], 1, 0, 0, 0, 0, 64 if wide else 52, 0, 0, 0, 0, 0)
    return ident + struct.pack("<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH", *words)


def machine(data: bytes) -> int:
    """The processor that an ELF file is for."""
    assert data[:4] == b"\x7fELF"
    return int(struct.unpack_from("<H", data, 18)[0])


def base(folder: Path, *platforms: Platform, single: bool = False) -> Path:
    """An index of images whose ``bin/tool`` is a program of each platform; ``single`` is the first one alone."""
    layout = make.Layout(folder)
    children = []
    for platform in platforms:
        tar = make.tar([("bin/tool", program(platform.architecture))])
        layer = layout.blob(make.gzipped(tar), make.GZIP)
        fields: dict[str, Any] = platform.fields()
        children.append(layout.image([layer], [make.sha256(tar)], platform=fields, config={"Cmd": ["/bin/tool"]}))
    layout.name(children[0] if single else layout.index(children))
    return folder


def unreachable(host: str) -> RegistryClient:
    raise Unavailable(f"{host} can't be reached")


def connect(host: str) -> RegistryClient:
    return RegistryClient(host, credentials=FixedLogin())


async def test_each_image_of_an_index_holds_the_programs_of_its_platform(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64, ARM), "tools")
    for name in ("amd64", "arm64", "arm"):
        (builds.folder / name).write_bytes(program(name))
    built = await builds(
        "FROM tools\nARG TARGETARCH TARGETPLATFORM\nCOPY $TARGETARCH /own\nLABEL for=$TARGETPLATFORM\n",
        platforms=[AMD64, ARM64, ARM],
        tags=["many:1"],
    )
    children = builds.children(built)
    configs = {name: json.loads(builds.layout.read(child["config"]["digest"])) for name, child in children.items()}

    assert str(builds.engine.resolve_id("many:1")) == children["linux/amd64"]["config"]["digest"]
    assert builds.engine.resolve_id(str(built.image_id)) == builds.engine.resolve_id("many:1")
    assert [*children] == ["linux/amd64", "linux/arm64", "linux/arm/v7"]
    for name, child in children.items():
        architecture = name.split("/")[1]
        assert machine(content(builds.layout, child["layers"][0], "bin/tool")) == MACHINES[architecture]
        assert machine(content(builds.layout, child["layers"][1], "own")) == MACHINES[architecture]
        assert configs[name]["architecture"] == architecture
        assert configs[name]["config"]["Labels"] == {"for": name}


async def test_the_same_layers_are_shared_by_the_platforms(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    (builds.folder / "data").write_text("the same for all")
    built = await builds("FROM scratch\nCOPY data /\n", platforms=[AMD64, ARM64])
    first, second = builds.children(built).values()

    assert first["layers"] == second["layers"]
    assert first["config"] != second["config"]


@pytest.mark.parametrize("dockerfile", ["FROM tools\n", "FROM scratch\nCOPY --from=tools /bin/tool /\n"])
@pytest.mark.parametrize("wanted", [[ARM64], [AMD64, ARM64]])
async def test_an_image_of_another_platform_in_the_store_is_refused(
    builds: Builds, tmp_path: Path, wanted: Sequence[Platform], dockerfile: str
) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, single=True), "tools")
    builds.connect = unreachable
    with pytest.raises(BuildFailed) as caught:
        await builds(dockerfile, platforms=wanted, tags=["wrong"])

    assert "tools in the store is for linux/amd64, not for linux/arm64" in str(caught.value)
    assert "docker.io can't be reached" in str(caught.value)
    assert "--platform linux/arm64" in str(caught.value.hint)
    assert not [row for row in builds.engine.rows() if row.repository == "wrong"]


async def test_an_index_without_the_platform_says_what_there_is(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM), "tools")
    builds.connect = unreachable
    with pytest.raises(BuildFailed, match="in the store is for linux/amd64, linux/arm/v7, not for linux/riscv64"):
        await builds("FROM tools\n", platforms=[Platform("linux", "riscv64")])


async def test_a_processor_that_runs_anothers_programs_is_not_that_platform(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", ARM, single=True), "tools")
    builds.connect = unreachable
    with pytest.raises(BuildFailed, match="is for linux/arm/v7, not for linux/arm64"):
        await builds("FROM tools\n", platforms=[ARM64, ARM])


async def test_a_copy_before_a_from_of_the_same_image_does_not_let_it_pass(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", ARM64, single=True), "tools")
    builds.connect = unreachable
    with pytest.raises(BuildFailed, match="is for linux/arm64, not for linux/amd64"):
        await builds(
            "FROM scratch AS a\nCOPY --from=tools /bin/tool /\nFROM --platform=linux/amd64 tools\nCOPY --from=a / /\n",
            platforms=[AMD64],
        )


async def test_without_a_platform_an_image_of_another_one_is_taken_with_a_warning(
    builds: Builds, tmp_path: Path
) -> None:
    await add_image(builds.engine, base(tmp_path / "base", ARM64, single=True), "tools")
    (builds.folder / "a").write_text("a")
    built = await builds("FROM tools\nCOPY a /\n")
    warnings = [event.detail for event in builds.events if event.progress is Progress.WARNING]

    assert warnings == ["image tools is for linux/arm64, this build is for linux/amd64"]
    assert builds.config(built)["architecture"] == "arm64"


async def test_a_stage_of_another_platform_can_not_become_the_image_of_an_index(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    (builds.folder / "a").write_text("a")
    text = "FROM --platform=$BUILDPLATFORM tools\nCOPY a /\n"
    with pytest.raises(BuildFailed, match="the image for linux/arm64 would be one of linux/amd64"):
        await builds(text, platforms=[AMD64, ARM64])
    alone = await builds(text, platforms=[ARM64])

    assert builds.config(alone)["architecture"] == "amd64"


async def test_an_oci_layout_of_another_platform_is_refused(builds: Builds, tmp_path: Path) -> None:
    folder = base(tmp_path / "base", AMD64, single=True)
    contexts = {"tools": f"oci-layout://{folder}"}
    with pytest.raises(Invalid, match=r"its platform \(linux/amd64\) does not match linux/arm64"):
        await builds("FROM tools\n", platforms=[ARM64], contexts=contexts)
    many = base(tmp_path / "many", AMD64, ARM64)
    for name in ("", ":latest", "@" + make.Layout(many).find()["digest"]):
        built = await builds("FROM tools\n", platforms=[ARM64], contexts={"tools": f"oci-layout://{many}{name}"})

        assert builds.config(built)["architecture"] == "arm64"


@pytest.mark.usefixtures("busybox")
async def test_a_run_that_can_not_be_executed_here_names_what_to_install(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, Platform("linux", "riscv64")), "tools")
    with pytest.raises(BuildFailed, match="programs of linux/riscv64 don't run on this linux/amd64 machine") as caught:
        await builds("FROM tools\nRUN make\n", platforms=[Platform("linux", "riscv64")])

    assert "qemu-user-static" in str(caught.value.hint)
    assert (caught.value.line, caught.value.file) == (2, "Dockerfile")


@pytest.mark.slow
@pytest.mark.usefixtures("busybox")
async def test_programs_of_other_platforms_are_made_by_a_stage_of_this_one(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    (builds.folder / "amd64").write_bytes(program("amd64"))
    (builds.folder / "arm64").write_bytes(program("arm64"))
    built = await builds(
        "FROM --platform=$BUILDPLATFORM busybox AS compile\nARG TARGETARCH BUILDARCH\nCOPY . /src\n"
        'RUN cat /src/$TARGETARCH > /made; echo "$BUILDARCH makes $TARGETARCH"\n'
        "FROM tools\nCOPY --from=compile /made /bin/made\n",
        platforms=[AMD64, ARM64],
    )

    assert sorted(builds.output().splitlines()) == [b"amd64 makes amd64", b"amd64 makes arm64"]
    for name, child in builds.children(built).items():
        architecture = name.split("/")[1]
        assert machine(content(builds.layout, child["layers"][0], "bin/tool")) == MACHINES[architecture]
        assert machine(content(builds.layout, child["layers"][-1], "bin/made")) == MACHINES[architecture]
    # What does not depend on the platform was done once.
    assert [name for name in builds.names(Progress.CACHED) if "COPY . /src" in name] != []


async def test_images_that_are_copied_from_are_of_the_target_platform(builds: Builds, tmp_path: Path) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    built = await builds(
        "FROM --platform=$BUILDPLATFORM tools AS a\nCOPY --from=tools /bin/tool /copied\n"
        "FROM scratch\nCOPY --from=a /copied /bin/tool /\n",
        platforms=[ARM64],
    )
    manifest = json.loads(builds.layout.read(str(built.digest)))

    assert machine(content(builds.layout, manifest["layers"][0], "copied")) == MACHINES["arm64"]
    assert machine(content(builds.layout, manifest["layers"][0], "tool")) == MACHINES["amd64"]


async def test_a_pushed_index_is_pulled_for_each_platform(
    builds: Builds, tmp_path: Path, hub: Hub, containers: Containers
) -> None:
    await add_image(builds.engine, base(tmp_path / "base", AMD64, ARM64), "tools")
    (builds.folder / "a").write_text("a")
    builds.connect = connect
    name = f"{hub.host}/platforms/pushed"
    built = await builds(
        "FROM tools\nCOPY a /\n", platforms=[AMD64, ARM64], tags=[f"{name}:1"], outputs=[Output("image", push=True)]
    )
    raw = containers.ok("skopeo", "inspect", "--raw", f"docker://{name}:1")

    assert make.sha256(raw.encode()) == str(built.digest)
    for architecture in ("amd64", "arm64"):
        pulled = tmp_path / architecture
        containers.ok(
            "skopeo", "--override-arch", architecture, "copy", f"docker://{name}:1", f"oci:{pulled}:latest"
        )  # fmt: skip
        layout = make.Layout(pulled)
        manifest = json.loads(layout.manifest())
        assert machine(content(layout, manifest["layers"][0], "bin/tool")) == MACHINES[architecture]
        assert json.loads(layout.read(manifest["config"]["digest"]))["architecture"] == architecture


async def test_bases_of_several_platforms_come_from_a_registry(
    builds: Builds, tmp_path: Path, hub: Hub, containers: Containers, open_engine: Callable[..., Engine]
) -> None:
    folder = base(tmp_path / "base", AMD64, ARM64)
    name = f"{hub.host}/platforms/base"
    containers.ok("skopeo", "copy", "--all", f"oci:{folder}:latest", f"docker://{name}:1")
    builds.connect = connect
    built = await builds(f"FROM {name}:1\n", platforms=[AMD64, ARM64])
    for platform, child in builds.children(built).items():
        found = machine(content(builds.layout, child["layers"][0], "bin/tool"))
        assert found == MACHINES[platform.split("/")[1]]
    # The store has the image of its own platform now; the other one is asked of the registry.
    again = await builds(platforms=[ARM64])

    assert builds.config(again)["architecture"] == "arm64"
    with pytest.raises(DockyardError, match="riscv64") as caught:
        await builds(platforms=[Platform("linux", "riscv64")])
    assert isinstance(caught.value, BuildFailed | ManifestUnknown)
