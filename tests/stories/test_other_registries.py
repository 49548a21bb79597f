"""dockyard against a registry that is not ours: Debian's docker-registry, open and behind a login."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest
from canary import PASSWORD
from images import KINDS, Layout, artifact, busybox, multi_platform, small
from wire import held

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from servers import Containers, DockerRegistry, Hub, Machine

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("make", KINDS, ids=lambda make: make.__name__)
def test_every_kind_of_image_goes_to_docker_registry_and_comes_back(
    make: Callable[[Path], Path], docker_registry: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(make(tmp_path / "made"))
    repository = f"ours/{make.__name__}"
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{docker_registry.host}/{repository}:v1")
    dockyard.ok("copy", f"docker://{docker_registry.host}/{repository}:v1", f"oci:{tmp_path / 'pulled'}:latest")

    assert held(docker_registry.host, repository, layout, tag="v1") == layout.reachable()
    assert Layout(tmp_path / "pulled").reachable() == layout.reachable()


def test_push_tag_pull_and_tags_work_as_with_the_hub(
    docker_registry: DockerRegistry, dockyard: Machine, machine: Callable[[str], Machine], tmp_path: Path
) -> None:
    name = f"{docker_registry.host}/ours/app"
    layout = Layout(busybox(tmp_path / "made"))
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"engine:{name}:v1")
    dockyard.ok("tag", f"{name}:v1", f"{name}:v2")
    dockyard.ok("push", "--all-tags", name)
    other = machine("other")
    other.ok("pull", f"{name}:v2")

    assert dockyard.ok("tags", name).split() == ["v1", "v2"]
    assert other.ok("image", "inspect", "--format", "{{.Id}}", f"{name}:v2").strip() == layout.image_id()


def test_an_index_goes_straight_from_docker_registry_to_the_hub(
    docker_registry: DockerRegistry, hub: Hub, containers: Containers, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(multi_platform(tmp_path / "made"))
    source = f"docker://{docker_registry.host}/mirror/app:v1"
    containers.ok("skopeo", "copy", "--all", f"oci:{layout.folder}:latest", source)
    dockyard.ok("copy", source, f"docker://{hub.host}/mirror/app:v1")

    assert held(hub.host, "mirror/app", layout, tag="v1") == layout.reachable()


def test_an_artifact_goes_to_a_registry_without_referrers(
    docker_registry: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    layout = Layout(artifact(tmp_path / "made"))
    for name in ("latest", "sbom"):
        dockyard.ok("copy", f"oci:{layout.folder}:{name}", f"docker://{docker_registry.host}/ours/sbom:{name}")

    assert held(docker_registry.host, "ours/sbom", layout, "sbom", tag="sbom") == layout.reachable("sbom")


def test_the_right_password_opens_the_registry_and_docker_finds_it_where_it_looks(
    docker_registry_with_login: DockerRegistry, dockyard: Machine, containers: Containers, tmp_path: Path
) -> None:
    host = docker_registry_with_login.host
    layout = Layout(small(tmp_path / "made"))
    told = dockyard("login", "--username", "ada", "--password-stdin", host, input=PASSWORD + "\n")
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"docker://{host}/private/app:v1")
    stored = json.loads((dockyard.folder / "home/.docker/config.json").read_text())
    containers.env["DOCKER_CONFIG"] = dockyard.env["DOCKER_CONFIG"]

    assert told.returncode == 0, told.stderr
    assert "Login Succeeded" in told.stdout
    assert base64.b64decode(stored["auths"][host]["auth"]).decode() == f"ada:{PASSWORD}"
    containers.ok("skopeo", "inspect", f"docker://{host}/private/app:v1")
    dockyard.ok("logout", host)
    assert dockyard("pull", f"{host}/private/app:v1").returncode == 1


def test_a_login_of_docker_is_used(
    docker_registry_with_login: DockerRegistry, dockyard: Machine, containers: Containers, tmp_path: Path
) -> None:
    host = docker_registry_with_login.host
    containers.env["DOCKER_CONFIG"] = dockyard.env["DOCKER_CONFIG"]
    (dockyard.folder / "home/.docker").mkdir()
    auth = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
    (dockyard.folder / "home/.docker/config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    layout = Layout(small(tmp_path / "made"))
    dockyard.ok("copy", f"oci:{layout.folder}:latest", f"engine:{host}/private/docker:v1")

    dockyard.ok("push", f"{host}/private/docker:v1")


def test_a_wrong_password_is_refused_and_not_kept(
    docker_registry_with_login: DockerRegistry, dockyard: Machine
) -> None:
    host = docker_registry_with_login.host
    told = dockyard("login", "--username", "ada", "--password-stdin", host, input="wrong")
    config = dockyard.folder / "home/.docker/config.json"

    assert told.returncode == 1
    assert "unauthorized" in told.stderr.lower()
    assert "Traceback" not in told.stderr
    assert not config.exists() or host not in json.loads(config.read_text()).get("auths", {})


def test_without_a_login_push_and_pull_say_what_is_missing(
    docker_registry_with_login: DockerRegistry, dockyard: Machine, tmp_path: Path
) -> None:
    host = docker_registry_with_login.host
    dockyard.ok("copy", f"oci:{small(tmp_path / 'made')}:latest", f"engine:{host}/private/none:v1")
    for verb in ("push", "pull"):
        told = dockyard(verb, f"{host}/private/none:v1")

        assert told.returncode == 1
        assert "no basic auth credentials" in told.stderr or "denied" in told.stderr or "login" in told.stderr
        assert "Traceback" not in told.stderr
