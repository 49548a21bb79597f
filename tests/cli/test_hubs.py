"""What all commands over a hub's JSON API do alike: which hub they ask, and what they say where it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from logged_in import at, new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import DockerRegistry, Hub, Machine

NOWHERE = "127.0.0.1:1"
COMMANDS = [
    ["repo", "ls", "--hub", NOWHERE, "--insecure"],
    ["repo", "create", "ada/app", "--hub", NOWHERE, "--insecure"],
    ["repo", "rm", "-f", "ada/app", "--hub", NOWHERE, "--insecure"],
    ["repo", "set", "ada/app", "--public", "--hub", NOWHERE, "--insecure"],
    ["repo", "inspect", "ada/app", "--hub", NOWHERE, "--insecure"],
    ["repo", "collaborators", "ada/app", "--hub", NOWHERE, "--insecure"],
    ["repo", "grant", "ada/app", "bob", "read", "--hub", NOWHERE, "--insecure"],
    ["repo", "revoke", "ada/app", "bob", "--hub", NOWHERE, "--insecure"],
    ["org", "ls", "--hub", NOWHERE, "--insecure"],
    ["org", "create", "acme", "--hub", NOWHERE, "--insecure"],
    ["org", "rm", "acme", "--hub", NOWHERE, "--insecure"],
    ["org", "set", "acme", "--public", "--hub", NOWHERE, "--insecure"],
    ["org", "members", "acme", "--hub", NOWHERE, "--insecure"],
    ["org", "add", "acme", "bob", "--hub", NOWHERE, "--insecure"],
    ["org", "remove", "acme", "bob", "--hub", NOWHERE, "--insecure"],
    ["team", "ls", "acme", "--hub", NOWHERE, "--insecure"],
    ["team", "create", "acme/devs", "--hub", NOWHERE, "--insecure"],
    ["team", "rm", "acme/devs", "--hub", NOWHERE, "--insecure"],
    ["team", "members", "acme/devs", "--hub", NOWHERE, "--insecure"],
    ["team", "repositories", "acme/devs", "--hub", NOWHERE, "--insecure"],
    ["team", "add", "acme/devs", "bob", "--hub", NOWHERE, "--insecure"],
    ["team", "remove", "acme/devs", "bob", "--hub", NOWHERE, "--insecure"],
    ["team", "grant", "acme/devs", "acme/app", "read", "--hub", NOWHERE, "--insecure"],
    ["team", "revoke", "acme/devs", "acme/app", "--hub", NOWHERE, "--insecure"],
    ["robot", "ls", "acme", "--hub", NOWHERE, "--insecure"],
    ["robot", "create", "acme/ci", "--repo", "acme/app", "--hub", NOWHERE, "--insecure"],
    ["robot", "rm", "acme/ci", "--hub", NOWHERE, "--insecure"],
    ["token", "ls", "--hub", NOWHERE, "--insecure"],
    ["token", "create", "ci", "--hub", NOWHERE, "--insecure"],
    ["token", "rm", "ci", "--hub", NOWHERE, "--insecure"],
    ["invite", "ls", "--hub", NOWHERE, "--insecure"],
    ["invite", "create", "--hub", NOWHERE, "--insecure"],
    ["invite", "rm", "1", "--hub", NOWHERE, "--insecure"],
    ["search", "app", "--hub", NOWHERE, "--insecure"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_the_hub_that_is_named_is_asked(words: list[str], dockyard: Machine) -> None:
    done = dockyard(*words)

    assert (done.returncode, done.stdout) == (1, "")
    assert NOWHERE in done.stderr


def test_docker_hub_is_no_hub_of_ours_and_it_is_said_how_to_name_one(dockyard: Machine) -> None:
    done = dockyard("repo", "ls")

    assert done.returncode == 1
    assert done.stderr == (
        "Error: docker.io is not a dockyard hub\n"
        "Name a hub with --hub URL, or make it the default: dockyard config set default-registry HOST\n"
    )


def test_another_registry_is_said_to_be_none(docker_registry: DockerRegistry, dockyard: Machine) -> None:
    done = dockyard("org", "ls", "--hub", f"http://{docker_registry.host}")

    assert done.returncode == 1
    assert f"Error: {docker_registry.host} is not a dockyard hub, or one without accounts\n" in done.stderr


def test_a_host_in_a_name_says_which_hub_and_has_to_agree_with_the_flag(
    accounts_hub: Hub, machine: Callable[[str], Machine]
) -> None:
    ada = new_user(accounts_hub, machine, "hubs-ada")
    del ada.env["DOCKYARD_DEFAULT_REGISTRY"]
    full = f"{accounts_hub.host}/hubs-ada/app"
    both = ada("repo", "inspect", full, "--hub", NOWHERE)

    assert ada.ok("repo", "create", full) == "hubs-ada/app\n"
    assert ada.ok("repo", "inspect", full, "--format", "{{.Name}}") == "hubs-ada/app\n"
    assert ada.ok("repo", "ls", "-q", "hubs-ada", "--hub", accounts_hub.url) == "hubs-ada/app\n"
    assert both.returncode == 1
    assert f"belongs to {accounts_hub.host}, and --hub says {NOWHERE}" in both.stderr


def test_who_is_not_logged_in_is_told_how(accounts_hub: Hub, dockyard: Machine) -> None:
    done = at(accounts_hub, dockyard)("token", "ls")

    assert done.returncode == 1
    assert done.stderr == (
        f"Error: {accounts_hub.host}: unauthorized: authentication required\n"
        f"Log in: dockyard login {accounts_hub.host}\n"
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("repo", "create", "ada/app", "--public", "--private"), "cannot specify both --public and --private"),
        (("repo", "set", "ada/app"), "nothing to set: give --public, --private or --description"),
        (("repo", "inspect", "ada/app:1"), "'ada/app:1' names an image, not a repository"),
        (("repo", "rm", "ada/app"), "ada/app was not removed: there is no terminal to ask at"),
        (("repo", "grant", "ada/app", "bob"), "'dockyard repo grant' requires 3 arguments"),
        (("org", "add", "a/b", "bob"), "invalid name: 'a/b'"),
        (("team", "create", "devs"), "'devs' is not a team: write it as ORGANISATION/TEAM"),
        (("team", "add", "a/b/c", "bob"), "'a/b/c' is not a team"),
        (("robot", "create", "ci", "--repo", "a/b"), "'ci' is not a robot: write it as NAMESPACE/NAME"),
        (("robot", "create", "a/ci", "--repo", "a/b:own"), "'a/b:own' is not a repository with a right"),
        (("invite", "create", "--owner"), "--owner needs --org"),
        (("token", "create", "ci", "--hub", "not a host"), "'not a host' is not a registry's host"),
    ],
)
def test_what_makes_no_sense_is_refused_before_a_hub_is_asked(
    words: tuple[str, ...], says: str, dockyard: Machine
) -> None:
    done = dockyard(*words, env={"DOCKYARD_DEFAULT_REGISTRY": NOWHERE})

    assert (done.returncode, done.stdout) == (1, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("repo", "grant", "ada/app", "bob", "own"), "invalid argument: 'own' is not one of 'read', 'write', 'admin'"),
        (("robot", "create", "ada/ci"), 'required flag "--repo" not set'),
        (("token", "create", "ci", "--scope", "all"), 'invalid argument for "--scope" flag'),
        (("token", "create", "ci", "--expires", "soon"), 'invalid argument for "--expires" flag'),
        (("token", "create", "ci", "--expires", "0"), "it has to be longer than nothing"),
        (("robot", "create", "a/ci", "--repo", "a/b", "--right", "x"), 'invalid argument for "--right" flag'),
    ],
)
def test_a_value_that_can_not_be_is_named(words: tuple[str, ...], says: str, dockyard: Machine) -> None:
    done = dockyard(*words, env={"DOCKYARD_DEFAULT_REGISTRY": NOWHERE})

    assert done.returncode in (1, 125)
    assert says in done.stderr
