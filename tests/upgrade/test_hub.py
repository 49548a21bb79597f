"""Folders of hubs as older versions left them: today's code opens each, and nothing in it is lost.

``hub-0001.tar.gz`` is of the version before accounts: two tags of one image were pushed to ``team/app``, one of them
deleted, the image pushed to ``tweet-app`` too, and ten bytes sent to an upload.
"""

from __future__ import annotations

import base64
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from servers import Hub
from web.wire import Wire

from dockyard.oci.digest import Digest

OLD = Path(__file__).with_name("hub-0001.tar.gz")
MANIFEST = "sha256:460e1f7a4cfc5e8381bf5f42bca72a4053f54c02aeb0d4f4aa07e116569eabf3"
LAYER = b"a layer of then"
UPLOAD = "/v2/team/app/blobs/uploads/5bf4c50e831a4c3aa53be85f4e96b551"
SENT = b"half of it"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(OLD) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "hub"


def test_an_open_hub_goes_on_as_it_was(folder: Path, start_hub: Callable[..., Hub]) -> None:
    hub = start_hub(data=folder)
    with Wire(hub) as wire:
        tags = wire("GET", "/v2/team/app/tags/list").json["tags"]
        manifests = [wire("GET", f"/v2/{name}/manifests/v1").body for name in ("team/app", "tweet-app")]
        layer = wire("GET", f"/v2/team/app/blobs/{Digest.of(LAYER)}").body
        standing = wire("GET", UPLOAD)["range"]
        done = wire("PUT", f"{UPLOAD}?digest={Digest.of(SENT + SENT)}", SENT).status

    assert tags == ["v1"]
    assert {str(Digest.of(manifest)) for manifest in manifests} == {MANIFEST}
    assert layer == LAYER
    assert (standing, done) == ("0-9", 201)


def test_with_accounts_what_was_there_is_the_administrators_until_it_is_given(
    folder: Path, start_hub: Callable[..., Hub]
) -> None:
    hub = start_hub(data=folder, auth="accounts")
    bob = hub.user("bob")

    def status(name: str, password: str, path: str) -> int:
        basic = base64.b64encode(f"{name}:{password}".encode()).decode()
        with Wire(hub) as wire:
            return wire("GET", path, headers={"Authorization": f"Basic {basic}"}).status

    private, public = "/v2/team/app/manifests/v1", "/v2/tweet-app/manifests/v1"
    before = [status(hub.admin, hub.password, private), status("bob", bob, private), status("bob", bob, public)]
    team = hub.user("team")

    assert before == [200, 404, 200]
    assert status("team", team, private) == 200
    assert status("bob", bob, private) == 404
