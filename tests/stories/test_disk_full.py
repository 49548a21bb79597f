"""The disk is full, of the hub or of the one who pulls: a clear answer, nothing half, and it goes on with more room."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from images import Layout, big_layer, sha256, small
from wire import PIECE, Wire, finished

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, Hub, Machine

    from .conftest import Disk

MEGABYTE = 1 << 20


def bodies(data: bytes) -> list[object]:
    return [data[start : start + PIECE] for start in range(0, len(data), PIECE)]


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["PUT", "PATCH"])
def test_a_hub_without_room_answers_507_shows_nothing_half_and_recovers(
    start_hub: Callable[..., Hub], small_disk: Callable[[int], Disk], dialect: str
) -> None:
    disk = small_disk(48)
    hub = start_hub(data=disk.path / "hub")
    before, too_much = os.urandom(4 * MEGABYTE), os.urandom(64 * MEGABYTE)
    with Wire(hub.host) as wire:
        assert wire.push_blob("full", before).status == 201
        location = wire.begin("full")
    target = finished(location, sha256(too_much)) if dialect == "PUT" else location
    with Wire(hub.host) as wire:
        refused = wire.ask(dialect, target, bodies(too_much), {"Content-Length": str(len(too_much))})

    assert refused.status == 507
    assert b'"code"' in refused.body
    with Wire(hub.host) as wire:
        assert wire.ask("HEAD", f"/v2/full/blobs/{sha256(too_much)}").status == 404
        assert wire.hash(f"/v2/full/blobs/{sha256(before)}") == (200, sha256(before), len(before))
        assert wire.ask("GET", "/healthz").status == 200
        wire.ask("DELETE", location)
        disk.resize(160)
        assert wire.ask("GET", "/readyz").status == 200
        assert wire.push_blob("full", too_much).status == 201
        assert wire.hash(f"/v2/full/blobs/{sha256(too_much)}") == (200, sha256(too_much), len(too_much))


@pytest.mark.slow
def test_a_cancelled_upload_gives_its_room_back(
    start_hub: Callable[..., Hub], small_disk: Callable[[int], Disk]
) -> None:
    disk = small_disk(48)
    hub = start_hub(data=disk.path / "hub")
    with Wire(hub.host) as wire:
        location = wire.begin("full")
        assert wire.ask("PATCH", location, os.urandom(20 * MEGABYTE)).status == 202
        used = disk.used()

        assert wire.ask("DELETE", location).status == 204
        assert used - disk.used() >= 19 * MEGABYTE


@pytest.mark.slow
def test_a_pull_without_room_says_so_shows_nothing_half_and_goes_on_with_more_room(
    hub: Hub, containers: Containers, dockyard: Machine, small_disk: Callable[[int], Disk], tmp_path: Path
) -> None:
    disk = small_disk(16)
    layout = Layout(big_layer(tmp_path / "made", 32 * MEGABYTE))
    name = f"{hub.host}/full/pulled:latest"
    containers.ok("skopeo", "copy", f"oci:{layout.folder}:latest", f"docker://{name}")
    env = {"DOCKYARD_ROOT": str(disk.path / "root")}
    refused = dockyard("pull", name, env=env)

    assert refused.returncode == 1
    assert "space" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert dockyard.ok("images", "-q", env=env) == ""
    disk.resize(96)
    dockyard.ok("pull", name, env=env)
    assert dockyard.ok("image", "inspect", "--format", "{{.Id}}", name, env=env).strip() == layout.image_id()


@pytest.mark.slow
def test_an_image_in_the_store_survives_a_pull_without_room(
    hub: Hub, containers: Containers, dockyard: Machine, small_disk: Callable[[int], Disk], tmp_path: Path
) -> None:
    disk = small_disk(16)
    env = {"DOCKYARD_ROOT": str(disk.path / "root")}
    for tag, folder in (("small", small(tmp_path / "small")), ("big", big_layer(tmp_path / "big", 32 * MEGABYTE))):
        containers.ok("skopeo", "copy", f"oci:{folder}:latest", f"docker://{hub.host}/full/both:{tag}")
    dockyard.ok("pull", f"{hub.host}/full/both:small", env=env)

    assert dockyard("pull", f"{hub.host}/full/both:big", env=env).returncode == 1
    dockyard.ok("save", "-o", tmp_path / "saved.tar", f"{hub.host}/full/both:small", env=env)


@pytest.mark.slow
def test_an_image_can_be_removed_though_nothing_fits_on_the_disk_any_more(
    dockyard: Machine, small_disk: Callable[[int], Disk], tmp_path: Path
) -> None:
    disk = small_disk(4)
    env = {"DOCKYARD_ROOT": str(disk.path / "root")}
    dockyard.ok("copy", f"oci:{small(tmp_path / 'one')}:latest", "engine:one", env=env)
    dockyard.ok("tag", "one", "two", env=env)
    dockyard.ok("images", env=env)
    with (disk.path / "filling").open("wb", buffering=0) as filling, contextlib.suppress(OSError):
        while True:
            filling.write(bytes(4096))
    full = dockyard("tag", "one", "three", env=env)
    dockyard.ok("rmi", "two", env=env)
    dockyard.ok("rmi", "one", env=env)

    assert (full.returncode, "no space left" in full.stderr) == (1, True)
    assert dockyard.ok("images", "-q", env=env) == ""
