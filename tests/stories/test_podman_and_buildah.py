"""podman and buildah push what they made to the hub and dockyard pulls it; and the other way round."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from images import Layout, busybox, docker_archive, empty_layer, many_layers, multi_platform, small, zstd_layers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, Hub, Machine

pytestmark = pytest.mark.slow


def our_id(dockyard: Machine, name: str) -> str:
    return dockyard.ok("image", "inspect", "--format", "{{.Id}}", name).strip()


def podman_id(containers: Containers, name: str) -> str:
    return "sha256:" + containers.ok("podman", "image", "inspect", "--format", "{{.Id}}", name).strip()


@pytest.mark.parametrize("form", ["oci", "v2s2"])
def test_an_image_that_podman_imported_goes_through_the_hub(
    form: str, hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    archive = docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", "localhost/app:latest")
    name = f"{hub.host}/podman/imported-{form}:v1"
    containers.ok("podman", "load", "-i", archive)
    containers.ok("podman", "push", "--format", form, "localhost/app:latest", name)
    dockyard.ok("pull", name)
    containers.ok("podman", "pull", name)

    assert our_id(dockyard, name) == podman_id(containers, name)


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_an_image_that_buildah_built_goes_through_the_hub(
    compression: str, hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/hello.txt").write_text("hello")
    container = containers.ok("buildah", "from", "scratch").strip()
    containers.ok("buildah", "copy", container, tmp_path / "app", "/app")
    containers.ok("buildah", "config", "--cmd", "/app/hello", "--label", "who=buildah", container)
    image = containers.ok("buildah", "commit", "--quiet", container, "localhost/built").strip()
    name = f"{hub.host}/buildah/built:{compression}"
    containers.ok("buildah", "push", "--compression-format", compression, "localhost/built", f"docker://{name}")
    dockyard.ok("pull", name)
    inspected = json.loads(dockyard.ok("image", "inspect", name))[0]

    assert inspected["Id"] == f"sha256:{image}"
    assert inspected["Config"]["Labels"]["who"] == "buildah"
    again = f"{hub.host}/buildah/again:{compression}"
    dockyard.ok("tag", name, again)
    dockyard.ok("push", again)
    assert containers.ok("buildah", "pull", "--quiet", again).strip() == image


@pytest.mark.parametrize("make", [small, busybox, empty_layer, zstd_layers], ids=lambda make: make.__name__)
def test_what_we_pushed_is_what_podman_pulls(
    make: Callable[[Path], Path], hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    name = f"{hub.host}/to-podman/{make.__name__}:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"engine:{name}")
    dockyard.ok("push", name)
    containers.ok("podman", "pull", name)

    assert podman_id(containers, name) == our_id(dockyard, name) == layout.image_id()


def test_podman_pulls_an_image_of_127_layers(
    hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(many_layers(tmp_path / "made"))
    name = f"{hub.host}/to-podman/layers:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{name}")
    containers.ok("podman", "pull", name)

    assert podman_id(containers, name) == layout.image_id()


def test_podman_picks_its_platform_out_of_an_index(
    hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(multi_platform(tmp_path / "made"))
    name = f"{hub.host}/to-podman/platforms:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{name}")
    containers.ok("podman", "pull", "--arch", "arm64", name)
    dockyard.ok("pull", "--platform", "linux/arm64", name)

    assert podman_id(containers, name) == our_id(dockyard, name)


def test_a_manifest_list_that_podman_made_goes_through_the_hub(
    hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    name = f"{hub.host}/podman/list:v1"
    containers.ok("podman", "manifest", "create", "list", f"oci:{small(tmp_path / 'one', 'one')}:latest")
    containers.ok("podman", "manifest", "push", "--all", "list", f"docker://{name}")
    dockyard.ok("copy", f"docker://{name}", f"oci:{tmp_path / 'pulled'}:latest")

    entries = json.loads(Layout(tmp_path / "pulled").manifest())["manifests"]
    assert [entry["digest"] for entry in entries] == [Layout(tmp_path / "one").find()["digest"]]


def test_podman_logs_in_to_and_searches_an_open_hub(hub: Hub, containers: Containers) -> None:
    answer = containers("podman", "login", "--username", "ada", "--password", "any", hub.host)

    assert answer.returncode == 0, answer.stderr
