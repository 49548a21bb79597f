"""umoci reads the layouts that dockyard writes, and dockyard those of umoci."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from images import Layout, busybox, empty_layer, many_layers, small
from servers import must

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Hub, Machine

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("make", [small, busybox, empty_layer, many_layers], ids=lambda make: make.__name__)
def test_umoci_unpacks_what_we_pulled(
    make: Callable[[Path], Path], hub: Hub, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    name = f"docker://{hub.host}/umoci/{make.__name__}:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", name)
    dockyard.ok("copy", name, f"oci:{tmp_path / 'pulled'}:v1")
    must("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'pulled'}:v1", tmp_path / "bundle")
    must("umoci", "unpack", "--rootless", "--image", f"{layout.folder}:latest", tmp_path / "expected")

    ours, theirs = tmp_path / "bundle/rootfs", tmp_path / "expected/rootfs"
    assert sorted(path.relative_to(ours) for path in ours.rglob("*")) == sorted(
        path.relative_to(theirs) for path in theirs.rglob("*")
    )
    assert all(
        path.read_bytes() == (theirs / path.relative_to(ours)).read_bytes()
        for path in ours.rglob("*")
        if path.is_file() and not path.is_symlink()
    )


def test_umoci_lists_and_tags_in_a_layout_of_ours(dockyard: Machine, tmp_path: Path) -> None:
    made = small(tmp_path / "made")
    for tag in ("v1", "v2"):
        dockyard.ok("copy", f"oci:{made}:latest", f"oci:{tmp_path / 'ours'}:{tag}")
    must("umoci", "tag", "--image", f"{tmp_path / 'ours'}:v1", "v3")

    assert must("umoci", "list", "--layout", tmp_path / "ours").split() == ["v1", "v2", "v3"]
    dockyard.ok("copy", f"oci:{tmp_path / 'ours'}:v3", "engine:app:v3")


def test_an_image_that_umoci_changed_goes_through_the_hub(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    folder = busybox(tmp_path / "made")
    (tmp_path / "added.txt").write_text("added")
    must("umoci", "insert", "--rootless", "--image", f"{folder}:latest", tmp_path / "added.txt", "/added.txt")
    must("umoci", "config", "--image", f"{folder}:latest", "--config.label", "who=umoci")
    name = f"{hub.host}/umoci/changed:v1"
    dockyard.ok("copy", f"oci:{folder}:latest", f"docker://{name}")
    dockyard.ok("pull", name)
    inspected = json.loads(dockyard.ok("image", "inspect", name))[0]

    assert inspected["Id"] == Layout(folder).image_id()
    assert inspected["Config"]["Labels"] == {"who": "umoci"}
    assert len(inspected["RootFS"]["Layers"]) == 2
