"""skopeo and dockyard give each other images of every kind through the hub, byte for byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from images import KINDS, Layout, busybox, multi_platform
from wire import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, Hub, Machine

pytestmark = pytest.mark.slow
COPY = ("skopeo", "copy", "--all", "--preserve-digests")

every_kind = pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)


@every_kind
def test_what_skopeo_pushed_is_what_we_pull(
    make: Callable[[Path], Path], hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    repository = f"from-skopeo/{make.__name__}"
    containers.ok(*COPY, f"oci:{layout.folder}:latest", f"docker://{hub.host}/{repository}:v1")
    dockyard.ok("copy", f"docker://{hub.host}/{repository}:v1", f"oci:{tmp_path / 'pulled'}:latest")

    assert held(hub.host, repository, layout, tag="v1") == layout.reachable()
    assert Layout(tmp_path / "pulled").reachable() == layout.reachable()


@every_kind
def test_what_we_pushed_is_what_skopeo_pulls(
    make: Callable[[Path], Path], hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    repository = f"to-skopeo/{make.__name__}"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{hub.host}/{repository}:v1")
    containers.ok(*COPY, f"docker://{hub.host}/{repository}:v1", f"oci:{tmp_path / 'pulled'}:latest")

    assert held(hub.host, repository, layout, tag="v1") == layout.reachable()
    assert Layout(tmp_path / "pulled").reachable() == layout.reachable()


def test_skopeo_reads_our_store(containers: Containers, dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(busybox(tmp_path / "made"))
    dockyard.ok("copy", f"oci:{layout.folder}:latest", "engine:hub.example.com/team/app:v1")
    stores = [path.parent for path in dockyard.root.rglob("oci-layout")]
    containers.ok(*COPY, f"oci:{stores[0]}:hub.example.com/team/app:v1", f"oci:{tmp_path / 'copied'}:latest")

    assert len(stores) == 1
    assert Layout(tmp_path / "copied").reachable() == layout.reachable()


def test_skopeo_inspects_and_lists_what_is_in_the_hub(
    hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(multi_platform(tmp_path / "made"))
    for tag in ("b", "a", "10"):
        dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{hub.host}/skopeo/lists:{tag}")

    raw = containers.ok("skopeo", "inspect", "--raw", f"docker://{hub.host}/skopeo/lists:a")
    assert raw.encode() == layout.manifest()
    listed = containers.ok("skopeo", "list-tags", f"docker://{hub.host}/skopeo/lists")
    assert [line.strip(' ",') for line in listed.splitlines() if line.startswith("        ")] == ["10", "a", "b"]


def test_skopeo_deletes_what_we_pushed(hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path) -> None:
    layout = Layout(busybox(tmp_path / "made"))
    name = f"docker://{hub.host}/skopeo/deletes:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", name)
    containers.ok("skopeo", "delete", name)

    gone = dockyard("copy", name, f"oci:{tmp_path / 'pulled'}:latest")
    assert gone.returncode == 1
    assert "v1" in gone.stderr
