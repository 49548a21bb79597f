"""A hub behind nginx, set up as the administrator's guide has it: large layers pass, and clients keep their address."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from certificates import certificate
from images import big_layer, docker_archive
from servers import DOCKYARD, Dockerd, Server, free_port, must, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import Hub, Machine
    from stories.conftest import Network

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs/how-to/administer.md"
AROUND = """{user}
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
daemon off;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
{server}
}}
"""
SIZE = 50 << 20


def configuration(folder: Path, hub: int, listen: str, cert: Path, key: Path) -> Path:
    """The guide's server, with the ports and files of this test in it."""
    shown = re.search(r"^```nginx\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    assert shown
    server = shown[1]
    for there, here in {
        "listen 443 ssl": f"listen {listen} ssl",
        "127.0.0.1:5000": f"127.0.0.1:{hub}",
        "/etc/ssl/hub.crt": str(cert),
        "/etc/ssl/hub.key": str(key),
    }.items():
        assert there in server
        server = server.replace(there, here)
    path = folder / "nginx.conf"
    path.write_text(AROUND.format(folder=folder, user="user root;" if os.geteuid() == 0 else "", server=server))
    return path


class Nginx(Server):
    """nginx with a configuration; it takes connections when this returns."""

    def __init__(self, path: Path, host: str, port: int) -> None:
        super().__init__(["nginx", "-p", path.parent, "-c", path], log=path.with_suffix(".log"))
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((host, port), 1).close()
                return
            except OSError:
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.01)


@pytest.fixture
def proxied(
    network: Network, start_hub: Callable[..., Hub], tmp_path: Path
) -> Iterator[tuple[str, Hub, dict[str, str]]]:
    """The host that nginx answers at, the hub behind it, and what makes Go's programs trust it."""
    tls = certificate(tmp_path / "tls", f"IP:{network.here}")
    port, inner = free_port(), free_port()
    host = f"{network.here}:{port}"
    hub = start_hub("--url", f"https://{host}", "--trusted-proxies", "127.0.0.1", auth="accounts", port=inner)
    folder = tmp_path / "nginx"
    folder.mkdir()
    nginx = Nginx(configuration(folder, inner, host, tls.cert, tls.key), network.here, port)
    yield host, hub, {"SSL_CERT_FILE": str(tls.authority)}
    nginx.stop()


def test_large_layers_go_through_and_the_log_has_the_client_s_address(
    proxied: tuple[str, Hub, dict[str, str]], network: Network, machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    host, hub, trusting = proxied
    password, there = hub.user("ada"), machine("there")
    layout = big_layer(tmp_path / "made", SIZE)
    env = there.env | trusting

    docker = Dockerd(tmp_path / "docker", wrap=network.enter, env=trusting)
    try:
        name = f"{host}/ada/by-docker:v1"
        docker.ok("load", "-i", docker_archive(layout, tmp_path / "image.tar", name))
        login = docker("login", "-u", "ada", "--password-stdin", host, input=password)
        pushed = docker("push", name)
        docker.ok("image", "rm", name)
        pulled = docker("pull", name)
    finally:
        docker.stop()
    assert login.returncode == 0, login.stderr
    assert pushed.returncode == 0, pushed.stderr
    assert pulled.returncode == 0, pulled.stderr

    creds = f"ada:{password}"
    skopeo = network.inside("skopeo", "--insecure-policy", "--tmpdir", tmp_path, "copy")
    must(*skopeo, "--dest-creds", creds, f"oci:{layout}:latest", f"docker://{host}/ada/by-skopeo:v1", env=env)
    must(*skopeo, "--src-creds", creds, f"docker://{host}/ada/by-skopeo:v1", f"oci:{tmp_path}/back:v1", env=env)

    there.ok("config", "set", "ca-file", trusting["SSL_CERT_FILE"])
    ours = network.inside(DOCKYARD)
    login = run(*ours, "login", "-u", "ada", "--password-stdin", host, env=there.env, input=password)
    assert login.returncode == 0, login.stderr
    must(*ours, "copy", f"oci:{layout}:latest", f"docker://{host}/ada/by-dockyard:v1", env=there.env)
    must(*ours, "pull", f"{host}/ada/by-dockyard:v1", env=there.env)

    entries = there.ok("admin", "audit", "--format", "json", "--last", "0", "--data", hub.data).splitlines()
    pushes = [entry for entry in map(json.loads, entries) if entry["Action"] == "manifest.push"]
    hub.stop()
    requests = [json.loads(line) for line in hub.log.read_text().splitlines() if '"event":"request"' in line]

    assert {entry["Target"].partition(":")[0].partition("@")[0] for entry in pushes} == {
        f"ada/by-{client}" for client in ("docker", "skopeo", "dockyard")
    }
    assert {entry["Address"] for entry in pushes} == {network.there}
    assert {request["client"] for request in requests} == {network.there}
    assert max(request["received"] for request in requests) > 0


def test_what_a_client_says_of_its_address_is_not_believed(
    proxied: tuple[str, Hub, dict[str, str]], network: Network
) -> None:
    host, hub, trusting = proxied
    lie = "X-Forwarded-For: 203.0.113.9"
    authority = trusting["SSL_CERT_FILE"]
    must(*network.inside("curl", "--silent", "--cacert", authority, "--header", lie, f"https://{host}/v2/"))
    hub.stop()
    log = hub.log.read_text()

    assert f'"client":"{network.there}"' in log
    assert "203.0.113.9" not in log
