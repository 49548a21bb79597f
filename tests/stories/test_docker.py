"""docker pushes to and pulls from the hub what dockyard pulls and pushes, and has the same image IDs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from images import Layout, busybox, docker_archive, docker_save, empty_layer, multi_platform, small

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Dockerd, Hub, Machine

pytestmark = pytest.mark.slow


def our_id(dockyard: Machine, name: str) -> str:
    return dockyard.ok("image", "inspect", "--format", "{{.Id}}", name).strip()


def docker_id(dockerd: Dockerd, name: str) -> str:
    return dockerd.ok("image", "inspect", "--format", "{{.Id}}", name).strip()


def test_what_docker_pushed_is_what_we_pull(hub: Hub, dockerd: Dockerd, dockyard: Machine, tmp_path: Path) -> None:
    name = f"{hub.host}/docker/pushed:v1"
    dockerd.ok("load", "-i", docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", name))
    pushed = dockerd.ok("push", name)
    pulled = dockyard.ok("pull", name)

    digest = pushed.split("digest: ")[1].split()[0]
    assert f"Digest: {digest}" in pulled
    assert our_id(dockyard, name) == docker_id(dockerd, name)


@pytest.mark.parametrize("make", [small, busybox, empty_layer], ids=lambda make: make.__name__)
def test_what_we_pushed_is_what_docker_pulls(
    make: Callable[[Path], Path], hub: Hub, dockerd: Dockerd, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    name = f"{hub.host}/to-docker/{make.__name__}:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"engine:{name}")
    dockyard.ok("push", name)
    pulled = dockerd.ok("pull", name)

    assert f"Digest: {layout.find()['digest']}" in pulled
    assert docker_id(dockerd, name) == our_id(dockyard, name) == layout.image_id()


def test_docker_pulls_its_platform_of_an_index(hub: Hub, dockerd: Dockerd, dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(multi_platform(tmp_path / "made"))
    name = f"{hub.host}/to-docker/platforms:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{name}")
    dockerd.ok("pull", name)
    dockyard.ok("pull", name)

    assert docker_id(dockerd, name) == our_id(dockyard, name)


def test_what_docker_saved_we_load_and_what_we_saved_docker_loads(
    dockerd: Dockerd, dockyard: Machine, tmp_path: Path
) -> None:
    made = docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", "team/app:v1")
    dockerd.ok("load", "-i", made)
    dockerd.ok("save", "-o", tmp_path / "from-docker.tar", "team/app:v1")
    loaded = dockyard.ok("load", "-i", tmp_path / "from-docker.tar")
    dockyard.ok("tag", "team/app:v1", "team/app:v2")
    dockyard.ok("save", "-o", tmp_path / "from-us.tar", "team/app:v2")
    dockerd.ok("load", "-i", tmp_path / "from-us.tar")

    assert "Loaded image: team/app:v1" in loaded
    assert docker_id(dockerd, "team/app:v2") == docker_id(dockerd, "team/app:v1") == our_id(dockyard, "team/app:v1")


def test_what_a_new_docker_saves_we_load(dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(busybox(tmp_path / "made"))
    dockyard.ok("load", "-i", docker_save(layout.folder, tmp_path / "image.tar", "docker.io/team/app:v1"))

    assert our_id(dockyard, "team/app:v1") == layout.image_id()


def test_an_image_that_docker_imported_and_committed_goes_through_the_hub(
    hub: Hub, dockerd: Dockerd, dockyard: Machine, tmp_path: Path
) -> None:
    name = f"{hub.host}/docker/committed:v1"
    dockerd.ok("load", "-i", docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", "base:1"))
    container = dockerd.ok("create", "base:1").strip()
    (tmp_path / "added.txt").write_text("added")
    dockerd.ok("cp", tmp_path / "added.txt", f"{container}:/added.txt")
    dockerd.ok("commit", "--change", "LABEL who=docker", container, name)
    dockerd.ok("push", name)
    dockyard.ok("pull", name)
    inspected = json.loads(dockyard.ok("image", "inspect", name))[0]

    assert inspected["Id"] == docker_id(dockerd, name)
    assert inspected["RootFS"] == json.loads(dockerd.ok("image", "inspect", name))[0]["RootFS"]
    assert inspected["Config"]["Labels"] == {"who": "docker"}


def test_docker_lists_sends_nothing_again_and_logs_in(
    hub: Hub, dockerd: Dockerd, dockyard: Machine, tmp_path: Path
) -> None:
    name = f"{hub.host}/docker/twice"
    dockerd.ok("load", "-i", docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", f"{name}:v1"))
    dockerd.ok("tag", f"{name}:v1", f"{name}:v2")
    dockerd.ok("push", f"{name}:v1")

    assert "Layer already exists" in dockerd.ok("push", f"{name}:v2")
    assert dockyard.ok("tags", name).split() == ["v1", "v2"]
