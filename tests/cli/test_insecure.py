"""Plain HTTP beyond loopback: refused, until a flag or a setting allows it.

The registry is reached by another name through a proxy, which is the registry itself: Go's servers take such requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from images import small

if TYPE_CHECKING:
    from pathlib import Path

    from servers import DockerRegistry, Machine

HOST = "registry.test"


@pytest.fixture
def away(docker_registry: DockerRegistry) -> dict[str, str]:
    """The environment in which ``registry.test`` is Debian's registry over plain HTTP."""
    return {"http_proxy": f"http://{docker_registry.host}", "https_proxy": f"http://{docker_registry.host}"}


def test_without_being_told_nothing_goes_over_plain_http(
    away: dict[str, str], dockyard: Machine, tmp_path: Path
) -> None:
    image = f"oci:{small(tmp_path / 'made', 'hello')}:latest"
    for words in (["tags", f"{HOST}/a"], ["copy", image, f"docker://{HOST}/a"], ["login", "-u", "a", "-p", "b", HOST]):
        done = dockyard(*words, env=away)
        assert done.returncode == 1
        assert HOST in done.stderr


def test_a_flag_allows_it_for_one_command(away: dict[str, str], dockyard: Machine, tmp_path: Path) -> None:
    image, name = f"oci:{small(tmp_path / 'made', 'hello')}:latest", f"{HOST}/insecure/one"
    dockyard.ok("copy", "--insecure", image, f"docker://{name}:1", env=away)
    dockyard.ok("login", "--insecure", "-u", "a", "-p", "b", HOST, env=away)
    dockyard.ok("manifest", "create", "--insecure", f"{name}:list", f"{name}:1", env=away)
    dockyard.ok("manifest", "push", "--insecure", f"{name}:list", env=away)
    dockyard.ok("manifest", "rm", f"{name}:list", env=away)

    assert sorted(dockyard.ok("tags", "--insecure", name, env=away).split()) == ["1", "list"]
    assert "manifests" in dockyard.ok("manifest", "inspect", "--insecure", f"{name}:list", env=away)
    assert dockyard("manifest", "inspect", f"{name}:list", env=away).returncode == 1


def test_a_setting_allows_it_for_a_host(away: dict[str, str], dockyard: Machine, tmp_path: Path) -> None:
    dockyard.ok("config", "set", "insecure-registries", HOST)
    dockyard.ok("copy", f"oci:{small(tmp_path / 'made', 'hello')}:latest", f"engine:{HOST}/insecure/set", env=away)
    dockyard.ok("push", f"{HOST}/insecure/set", env=away)

    assert dockyard.ok("tags", f"{HOST}/insecure/set", env=away) == "latest\n"
    assert f"  {HOST}\n" in dockyard.ok("info")
