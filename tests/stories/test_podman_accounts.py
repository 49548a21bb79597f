"""podman and buildah at a hub with accounts: logins, every role's pushes and pulls, and what search shows to whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyotp
import pytest
from contract.access_world import PRIVATE, PUBLIC, ROLES
from images import docker_archive, small

from dockyard.registry.access import Right

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Containers
    from stories.people import People

pytestmark = pytest.mark.slow

DENIED = "denied: requested access to the resource is denied"
NOBODY = "unauthorized: authentication required"


@pytest.fixture
def image(containers: Containers, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """An image that nobody has pushed yet, with a layer of its own, in podman's store."""
    name = "localhost/made:latest"
    layout = small(tmp_path / "made", request.node.name)
    containers.ok("podman", "load", "-i", docker_archive(layout, tmp_path / "image.tar", name))
    return name


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_login_takes_the_password_or_a_token_and_logout_forgets_it(
    tool: str, people: People, containers: Containers, image: str
) -> None:
    ada, host = people.user(f"{tool}-ada"), people.hub.host
    wrong = containers(tool, "login", "-u", ada.name, "-p", "not this one", host)
    for secret in ada.password, ada.token("write")[1]:
        right = containers(tool, "login", "-u", ada.name, "-p", secret, host)
        containers.ok(tool, "push", image, f"docker://{host}/{ada.name}/app:v1")

        assert "Login Succeeded!" in right.stdout, right.stderr
        assert containers.ok(tool, "login", "--get-login", host).strip() == ada.name
        containers.ok(tool, "logout", host)
    after = containers(tool, "push", image, f"docker://{host}/{ada.name}/app:v2")

    assert (wrong.returncode, after.returncode) == (125, 125)
    assert "invalid username/password" in wrong.stderr
    assert NOBODY in after.stderr
    assert people.tags(f"{ada.name}/app") == ["v1"]


def test_with_two_factors_the_password_is_refused_with_the_remedy_and_a_token_taken(
    people: People, containers: Containers, image: str
) -> None:
    ada, host = people.user("podman-ada"), people.hub.host
    name = f"{host}/{ada.name}/app:v1"
    containers.ok("podman", "login", "-u", ada.name, "-p", ada.password, host)
    _, token = ada.token("write")
    begun = ada.ok("POST", "/account/second-factor", {"password": ada.password})
    ada.ok("PUT", "/account/second-factor", {"code": pyotp.TOTP(begun["secret"]).now()})
    # podman keeps the password itself, and shows at a push what the hub says of it.
    older = containers("podman", "push", image, name)
    refused = containers("podman", "login", "-u", ada.name, "-p", ada.password, host)
    containers.ok("podman", "login", "-u", ada.name, "-p", token, host)
    containers.ok("podman", "push", image, name)

    assert (older.returncode, refused.returncode) == (125, 125)
    assert "two-factor authentication on: use a personal access token as the password" in older.stderr
    assert "invalid username/password" in refused.stderr


@pytest.mark.parametrize("role", ROLES)
def test_everybody_pulls_and_pushes_what_their_right_says(
    role: str, people: People, containers: Containers, image: str
) -> None:
    right, host, tag = ROLES[role], people.hub.host, f"podman-{role}"
    creds = ("--creds", ":".join(people.login(role)))
    public = containers("podman", "pull", *creds, f"{host}/{PUBLIC}:there")
    private = containers("podman", "pull", *creds, f"{host}/{PRIVATE}:there")
    pushes = [containers("podman", "push", *creds, image, f"{host}/{name}:{tag}") for name in (PUBLIC, PRIVATE)]

    assert public.returncode == 0, public.stderr
    assert (private.returncode == 0) == (right >= Right.READ), private.stderr
    assert right >= Right.READ or f"name unknown: there is no repository {PRIVATE}" in private.stderr
    for pushed, repository in zip(pushes, (PUBLIC, PRIVATE), strict=True):
        assert (pushed.returncode == 0) == (right >= Right.WRITE), pushed.stderr
        assert right >= Right.WRITE or DENIED in pushed.stderr
        assert (tag in (people.tags(repository) or [])) == (right >= Right.WRITE)


def test_a_push_to_others_is_denied_and_stores_nothing(people: People, containers: Containers, image: str) -> None:
    ada, grace, host = people.user("podman-ada"), people.user("podman-grace"), people.hub.host
    containers.ok("podman", "login", "-u", ada.name, "-p", ada.password, host)
    containers.ok("podman", "push", image, f"{host}/{ada.name}/app:v1")
    for repository in f"{grace.name}/app", "acme/new", "podman-namespace-of-nobody/app", "podman-one-part-name":
        refused = containers("podman", "push", image, f"{host}/{repository}:v1")

        assert refused.returncode == 125
        assert DENIED in refused.stderr
        assert people.tags(repository) is None
    assert grace.items(f"/repositories?namespace={grace.name}") == []


def test_a_robot_logs_in_and_pushes_to_its_repository_alone(people: People, containers: Containers, image: str) -> None:
    ada, host = people.user("podman-ada"), people.hub.host
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/app", "private": True})
    grants = [{"repository": f"{ada.name}/app", "right": "write"}]
    robot = ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": grants})
    containers.ok("podman", "login", "-u", f"{ada.name}+ci", "-p", robot["secret"], host)
    containers.ok("podman", "push", image, f"{host}/{ada.name}/app:v1")
    containers.ok("podman", "pull", f"{host}/{ada.name}/app:v1")
    other = containers("podman", "push", image, f"{host}/{ada.name}/other:v1")
    ada.ok("DELETE", f"/robots/{ada.name}+ci")
    removed = containers("podman", "push", image, f"{host}/{ada.name}/app:v2")

    assert DENIED in other.stderr
    assert removed.returncode == 125
    assert "the token or login is not valid, or no longer" in removed.stderr
    assert people.tags(f"{ada.name}/app") == ["v1"]


def test_administrators_push_names_of_one_part_and_anybody_pulls_what_is_public(
    people: People, containers: Containers, image: str
) -> None:
    host = people.hub.host
    creds = ("--creds", ":".join(people.login("administrator")))
    containers.ok("podman", "push", *creds, image, f"{host}/podman-tweet-app:v1")
    containers.ok("podman", "pull", f"{host}/podman-tweet-app:v1")
    containers.ok("podman", "pull", f"{host}/{PUBLIC}:there")
    hidden = containers("podman", "pull", f"{host}/{PRIVATE}:there")
    absent = containers("podman", "pull", f"{host}/acme/never-made:there")

    assert hidden.returncode == 125
    assert NOBODY in hidden.stderr
    assert absent.stderr.replace("acme/never-made", PRIVATE) == hidden.stderr


def test_search_shows_what_one_may_see(people: People, containers: Containers, image: str) -> None:
    ada, grace, host = people.user("podman-ada"), people.user("podman-grace"), people.hub.host
    ada.ok("POST", "/repositories", {"name": f"{ada.name}/found-secret", "private": True})
    found = {}
    for name in "found-secret", "found-public":
        creds = ("--creds", f"{ada.name}:{ada.password}")
        containers.ok("podman", "push", *creds, image, f"{host}/{ada.name}/{name}:v1")
    for user in ada, grace:
        containers.ok("podman", "login", "-u", user.name, "-p", user.password, host)
        table = containers.ok("podman", "search", "--format", "{{.Name}}", "--limit", "100", f"{host}/{ada.name}/found")
        found[user.name] = table.split()
    tags = containers.ok("podman", "search", "--list-tags", f"{host}/{ada.name}/found-public")
    hidden = containers("podman", "search", "--list-tags", f"{host}/{ada.name}/found-secret")
    containers.ok("podman", "logout", host)
    anonymous = containers("podman", "search", f"{host}/found")

    assert sorted(found[ada.name]) == [f"{host}/{ada.name}/found-public", f"{host}/{ada.name}/found-secret"]
    assert found[grace.name] == [f"{host}/{ada.name}/found-public"]
    assert tags.split()[-1] == "v1"
    assert (hidden.returncode, anonymous.returncode) == (125, 125)
    assert NOBODY in anonymous.stderr


def test_a_revoked_token_and_a_blocked_user_push_no_more(people: People, containers: Containers, image: str) -> None:
    ada, host = people.user("podman-ada"), people.hub.host
    number, secret = ada.token("write")
    name = f"{host}/{ada.name}/app:v1"
    containers.ok("podman", "login", "-u", ada.name, "-p", secret, host)
    containers.ok("podman", "push", image, name)
    ada.ok("DELETE", f"/account/tokens/{number}")
    revoked = containers("podman", "push", image, name)
    containers.ok("podman", "login", "-u", ada.name, "-p", ada.password, host)
    containers.ok("podman", "push", image, name)
    people.administrator.ok("PATCH", f"/users/{ada.name}", {"blocked": True})
    blocked = containers("podman", "push", image, name)

    assert (revoked.returncode, blocked.returncode) == (125, 125)
    assert "the token or login is not valid, or no longer: log in again" in revoked.stderr
    assert "unauthorized: incorrect user name or password" in blocked.stderr
