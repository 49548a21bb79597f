"""Images at the edges of what people have: 20,000 files, a layer of 1 GiB, 127 layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from images import Layout, big_layer, many_files, many_layers
from wire import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, DockerRegistry, Hub, Machine

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[many_files, big_layer, many_layers], ids=lambda make: make.__name__)
def image(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Layout:
    make: Callable[[Path], Path] = request.param
    return Layout(make(tmp_path_factory.mktemp("big") / "made"))


def test_it_goes_up_by_push_and_down_by_pull_on_another_machine(
    image: Layout, start_hub: Callable[..., Hub], dockyard: Machine, machine: Callable[[str], Machine]
) -> None:
    name = f"{(hub := start_hub()).host}/big/ours:v1"
    dockyard.ok("copy", f"oci:{image.folder}:latest", f"engine:{name}")
    dockyard.ok("push", name)
    other = machine("other")
    other.ok("pull", name)

    assert held(hub.host, "big/ours", image, tag="v1") == image.reachable()
    assert other.ok("image", "inspect", "--format", "{{.Id}}", name).strip() == image.image_id()


def test_it_goes_through_the_hub_with_skopeo_at_both_ends(
    image: Layout, start_hub: Callable[..., Hub], containers: Containers, tmp_path: Path
) -> None:
    name = f"docker://{start_hub().host}/big/skopeo:v1"
    containers.ok("skopeo", "copy", "--preserve-digests", f"oci:{image.folder}:latest", name)
    containers.ok("skopeo", "copy", "--preserve-digests", name, f"oci:{tmp_path / 'pulled'}:latest")

    assert Layout(tmp_path / "pulled").reachable() == image.reachable()


def test_it_goes_to_docker_registry_and_back_by_copy(
    image: Layout, docker_registry: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    name = f"docker://{docker_registry.host}/big/ours:{image.find()['digest'][-8:]}"
    dockyard.ok("copy", f"oci:{image.folder}:latest", name)
    dockyard.ok("copy", name, f"oci:{tmp_path / 'pulled'}:latest")

    assert Layout(tmp_path / "pulled").reachable() == image.reachable()
