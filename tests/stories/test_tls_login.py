"""docker logs in over https, on another machine than the hub's, and pushes and pulls what it may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from canary import WRONG_PASSWORD
from certificates import certificate
from images import busybox, docker_archive
from servers import DOCKYARD, Dockerd, must, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Hub, Machine
    from stories.conftest import Network

pytestmark = pytest.mark.slow


def test_docker_logs_in_over_tls_pushes_and_pulls_and_is_refused_what_is_not_its_own(
    network: Network, start_hub: Callable[..., Hub], dockyard: Machine, tmp_path: Path
) -> None:
    tls = certificate(tmp_path / "tls", f"IP:{network.here}")
    hub = start_hub("--tls-cert", str(tls.cert), "--tls-key", str(tls.key), auth="accounts", host=network.here)
    password = hub.user("ada")
    hub.user("grace")
    docker = Dockerd(tmp_path / "docker", wrap=network.enter, env={"SSL_CERT_FILE": str(tls.authority)})
    try:
        name, others = f"{hub.host}/ada/app:v1", f"{hub.host}/grace/app:v1"
        docker.ok("load", "-i", docker_archive(busybox(tmp_path / "made"), tmp_path / "image.tar", name))
        docker.ok("tag", name, others)
        unknown = docker("push", name)
        wrong = docker("login", "-u", "ada", "--password-stdin", hub.host, input=WRONG_PASSWORD)
        right = docker("login", "-u", "ada", "--password-stdin", hub.host, input=password)
        pushed = docker("push", name)
        refused = docker("push", others)
        docker.ok("image", "rm", name)
        pulled = docker("pull", name)
    finally:
        docker.stop()

    assert unknown.returncode == 1
    assert wrong.returncode == 1
    assert "Login Succeeded" in right.stdout, right.stderr
    assert "digest: sha256:" in pushed.stdout, pushed.stderr
    assert refused.returncode == 1
    assert "denied" in refused.stderr
    assert "Status: Downloaded newer image" in pulled.stdout, pulled.stderr


def test_our_own_command_line_does_too(
    network: Network, start_hub: Callable[..., Hub], machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    tls = certificate(tmp_path / "tls", f"IP:{network.here}")
    hub = start_hub("--tls-cert", str(tls.cert), "--tls-key", str(tls.key), auth="accounts", host=network.here)
    password = hub.user("ada")
    there = machine("there")
    layout = busybox(tmp_path / "made")
    inside = network.inside(DOCKYARD)
    there.ok("config", "set", "ca-file", str(tls.authority))
    login = run(*inside, "login", "-u", "ada", "--password-stdin", hub.host, env=there.env, input=password)
    must(*inside, "copy", f"oci:{layout}:latest", f"docker://{hub.host}/ada/app:v1", env=there.env)
    refused = run(*inside, "copy", f"oci:{layout}:latest", f"docker://{hub.host}/grace/app:v1", env=there.env)
    must(*inside, "pull", f"{hub.host}/ada/app:v1", env=there.env)
    entries = there.ok("admin", "audit", "--format", "json", "--user", "ada", "--data", hub.data).splitlines()

    assert login.stdout == "Login Succeeded\n"
    assert refused.returncode == 1
    assert "denied" in refused.stderr
    assert {json.loads(entry)["Address"] for entry in entries} == {network.there}
