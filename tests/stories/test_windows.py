"""Windows images: contexts that pick them, versions that differ, base layers that stay where they are."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from images import FOREIGN, Layout, multi_platform, sha256, windows, windows_base
from servers import get
from wire import held

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Containers, Hub, Machine

pytestmark = pytest.mark.slow


class Mirror:
    """Where the base layer is. ``asked`` has the headers of each request."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Length", str(len(windows_base())))
                self.end_headers()
                self.wfile.write(windows_base())

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    server = Mirror()
    yield server
    server.close()


def test_skopeo_pushes_and_pulls_it_without_its_base(hub: Hub, containers: Containers, tmp_path: Path) -> None:
    layout, name = Layout(windows(tmp_path / "made")), f"docker://{hub.host}/windows/skopeo:v1"
    containers.ok("skopeo", "copy", "--preserve-digests", f"oci:{layout.folder}:latest", name)
    containers.ok("skopeo", "copy", "--preserve-digests", name, f"oci:{tmp_path / 'pulled'}:latest")

    assert held(hub.host, "windows/skopeo", layout, tag="v1") == layout.reachable()
    assert Layout(tmp_path / "pulled").reachable() == layout.reachable()


def test_we_pull_its_base_from_its_url_without_credentials_and_push_all_but_that(
    hub: Hub, dockyard: Machine, mirror: Mirror, tmp_path: Path
) -> None:
    layout = Layout(windows(tmp_path / "made", mirror.url))
    name, again = f"{hub.host}/windows/ours:v1", f"{hub.host}/windows/again:v1"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{name}")
    dockyard.ok("context", "create", "win", "--platform", "windows/amd64")
    dockyard.ok("--context", "win", "pull", name)
    dockyard.ok("--context", "win", "tag", name, again)
    pushed = dockyard.ok("--context", "win", "push", again)
    inspected = json.loads(dockyard.ok("--context", "win", "image", "inspect", name))[0]

    assert [headers.get("Authorization") for headers in mirror.asked] == [None]
    assert (inspected["Id"], inspected["OsVersion"]) == (layout.image_id(), "10.0.17763.1397")
    assert "Skipped foreign layer" in pushed
    assert held(hub.host, "windows/again", layout, tag="v1") == layout.reachable()
    foreign = next(layer for layer in json.loads(layout.manifest())["layers"] if layer["mediaType"] == FOREIGN)
    assert foreign["digest"] == sha256(windows_base())
    assert get(f"{hub.url}/v2/windows/again/blobs/{foreign['digest']}")[0] == 404


def test_windows_and_linux_images_live_in_contexts_of_their_own(hub: Hub, dockyard: Machine, tmp_path: Path) -> None:
    name = f"{hub.host}/windows/both:v1"
    dockyard.ok("copy", f"oci:{multi_platform(tmp_path / 'made')}:latest", f"docker://{name}")
    dockyard.ok("pull", name)
    dockyard.ok("context", "create", "win", "--platform", "windows/amd64")
    dockyard.ok("context", "use", "win")

    assert dockyard.ok("image", "ls", "-q") == ""
    dockyard.ok("pull", name)
    inspected = json.loads(dockyard.ok("image", "inspect", name))[0]
    assert (inspected["Os"], inspected["OsVersion"]) == ("windows", "10.0.20348.887")
    dockyard.ok("context", "use", "default")
    assert dockyard.ok("image", "inspect", "--format", "{{.Os}}", name).strip() == "linux"
