"""What dockyard built goes through hubs and registries, is started by podman and docker, and read by others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from building import make_base
from cases import TIME
from images import Layout
from servers import Containers, Machine, must
from trees import docker_archive, oci_layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Dockerd, DockerRegistry, Hub

pytestmark = pytest.mark.slow

COMPRESSIONS = ("gzip", "zstd")
DOCKERFILE = """\
FROM corpus.test/base
COPY app /app
RUN ln /app/hello.txt /app/again && chmod 4755 /app/run && chown app /app/again && rm /opt/tool/b
WORKDIR /app
USER app
CMD ["./run", "hello"]
"""
SAYS = "uid=1000(app) hello from a file, and again\n"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine with ``built:gzip`` and ``built:zstd``, of many frames each."""
    folder = tmp_path_factory.mktemp("built")
    context = folder / "context"
    (context / "app").mkdir(parents=True)
    (context / "Dockerfile").write_text(DOCKERFILE)
    (context / "app/hello.txt").write_text("hello from a file")
    (context / "app/run").write_text('#!/bin/sh\necho "$(id | cut -d" " -f1) $(cat $1.txt), and ${2:-again}"\n')
    (context / "app/run").chmod(0o755)
    for number in range(200):
        (context / f"app/data{number}").write_bytes(hashlib.sha256(b"%d" % number).digest() * 400)
    machine = Machine(folder / "machine")
    machine.ok("copy", f"oci:{make_base(folder / 'base', 'base')}:latest", "engine:corpus.test/base:latest")
    for compression in COMPRESSIONS:
        flags = ["--network", "none", "--compression", compression, "-t", f"built:{compression}"]
        machine.ok("build", *flags, context, env={"SOURCE_DATE_EPOCH": str(TIME)})
    return machine


@pytest.fixture(params=["hub", "docker_registry"])
def registry(request: pytest.FixtureRequest) -> Hub | DockerRegistry:
    """Our hub, and docker's registry."""
    found: Hub | DockerRegistry = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=COMPRESSIONS)
def name(request: pytest.FixtureRequest, built: Machine, registry: Hub | DockerRegistry) -> str:
    """The name of the image, pushed."""
    pushed = f"{registry.host}/travel/built:{request.param}"
    built.ok("tag", f"built:{request.param}", pushed)
    built.ok("push", pushed)
    return pushed


@pytest.fixture
def layout(built: Machine, tmp_path: Path) -> Iterator[dict[str, Layout]]:
    """The image in an OCI layout, by compression."""
    made = {}
    for compression in COMPRESSIONS:
        built.ok("copy", f"engine:built:{compression}", f"oci:{tmp_path / compression}:latest")
        made[compression] = Layout(tmp_path / compression)
    yield made


def image_id(machine: Machine, name: str) -> str:
    return machine.ok("image", "inspect", "--format", "{{.Id}}", name).strip()


def test_podman_pulls_and_starts_it(name: str, built: Machine, containers: Containers) -> None:
    containers.ok("podman", "pull", "--quiet", name)
    # podman asks for more open files than some machines let even root have.
    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
    ran = containers.ok("podman", "run", "--rm", "--network", "none", *limits, name)

    assert ran == SAYS
    assert "sha256:" + containers.ok("podman", "image", "inspect", "--format", "{{.Id}}", name).strip() == image_id(
        built, name
    )


def test_docker_pulls_and_starts_it(name: str, built: Machine, dockerd: Dockerd) -> None:
    dockerd.ok("pull", name)

    assert dockerd.ok("run", "--rm", "--network", "none", name) == SAYS
    assert dockerd.ok("run", "--rm", "--network", "none", name, "./run", "hello", "more") == SAYS.replace(
        "again", "more"
    )
    assert dockerd.ok("image", "inspect", "--format", "{{.Id}}", name).strip() == image_id(built, name)


def test_skopeo_and_buildah_read_it(name: str, built: Machine, containers: Containers, tmp_path: Path) -> None:
    containers.ok("skopeo", "copy", "--quiet", f"docker://{name}", f"oci:{tmp_path / 'copied'}:latest")
    container = containers.ok("buildah", "from", name).strip()
    containers.ok("buildah", "run", "--isolation", "chroot", container, "touch", "/tmp/by-buildah")
    containers.ok("buildah", "commit", "--quiet", container, f"docker-archive:{tmp_path}/committed.tar")
    ours = oci_layout(tmp_path / "copied")
    committed = docker_archive(tmp_path / "committed.tar")

    assert Layout(tmp_path / "copied").image_id() == image_id(built, name)
    assert {path: entry.line for path, entry in ours.tree.items()} == {
        path: entry.line for path, entry in committed.tree.items() if path != "tmp/by-buildah"
    }


def test_umoci_unpacks_it(layout: dict[str, Layout], tmp_path: Path) -> None:
    folder = layout["gzip"].folder
    rootless = [] if os.geteuid() == 0 else ["--rootless"]
    must("umoci", "unpack", "--image", f"{folder}:latest", *rootless, tmp_path / "bundle")
    root = tmp_path / "bundle/rootfs"
    tree = oci_layout(folder).tree

    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert found == {path for path in tree if path}
    assert (root / "app/hello.txt").read_text() == "hello from a file"
    assert (root / "app/again").stat().st_ino == (root / "app/hello.txt").stat().st_ino


def test_gnu_gzip_and_zstd_read_its_layers(layout: dict[str, Layout]) -> None:
    for compression, program in (("gzip", ["gzip", "-dc"]), ("zstd", ["zstd", "-dcq"])):
        image = layout[compression]
        manifest = json.loads(image.manifest())
        config = json.loads(image.read(manifest["config"]["digest"]))
        for layer, diff_id in zip(manifest["layers"][1:], config["rootfs"]["diff_ids"][1:], strict=True):
            plain = subprocess.run(program, input=image.read(layer["digest"]), capture_output=True, check=True)
            assert layer["mediaType"].endswith(f"+{compression}")
            assert plain.stderr == b""
            assert "sha256:" + hashlib.sha256(plain.stdout).hexdigest() == diff_id


def test_gnu_tar_lists_its_layers(layout: dict[str, Layout]) -> None:
    image = layout["gzip"]
    for layer in json.loads(image.manifest())["layers"][1:]:
        path = image.path(layer["digest"])
        with tarfile.open(path) as archive:
            names = [member.name.rstrip("/") for member in archive]
        listed = must("tar", "--list", "--gzip", "--file", path).splitlines()

        assert [name.rstrip("/") for name in listed] == names


def test_both_compressions_are_the_same_image(layout: dict[str, Layout]) -> None:
    assert layout["gzip"].image_id() == layout["zstd"].image_id()
