"""skopeo at a hub with accounts: every role copies, inspects and deletes what it may, and hears why it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyotp
import pytest
from contract.access_world import PRIVATE, PUBLIC, ROLES
from images import small

from dockyard.registry.access import Right

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Containers, Dockerd
    from stories.people import People

pytestmark = pytest.mark.slow

DENIED = "denied: requested access to the resource is denied"


@pytest.mark.parametrize("role", ROLES)
def test_everybody_pulls_pushes_and_deletes_what_their_right_says(
    role: str, people: People, containers: Containers, tmp_path: Path
) -> None:
    layout, right, host = small(tmp_path / "made", role), ROLES[role], people.hub.host
    creds = ":".join(people.login(role))
    there, mine = f"docker://{host}/{PRIVATE}:there", f"docker://{host}/{PRIVATE}:skopeo-{role}"
    pulled = containers("skopeo", "copy", "--src-creds", creds, there, f"oci:{tmp_path / 'pulled'}:latest")
    public = containers("skopeo", "inspect", "--creds", creds, f"docker://{host}/{PUBLIC}:there")
    pushed = containers("skopeo", "copy", "--dest-creds", creds, f"oci:{layout}:latest", mine)
    stored = f"skopeo-{role}" in (people.tags(PRIVATE) or [])
    deleted = containers("skopeo", "delete", "--creds", creds, mine)
    left = f"skopeo-{role}" in (people.tags(PRIVATE) or [])

    assert (pulled.returncode == 0, public.returncode) == (right >= Right.READ, 0), pulled.stderr
    assert right >= Right.READ or "name unknown: there is no repository acme/private" in pulled.stderr
    assert (pushed.returncode == 0, stored) == (right >= Right.WRITE,) * 2, pushed.stderr
    assert right >= Right.WRITE or DENIED in pushed.stderr
    assert (deleted.returncode == 0, left) == (right >= Right.ADMIN, right is Right.WRITE), deleted.stderr


def test_a_token_s_scope_bounds_what_its_owner_may(people: People, containers: Containers, tmp_path: Path) -> None:
    layout, name = small(tmp_path / "made", "scopes"), f"docker://{people.hub.host}/{PRIVATE}:scopes"
    reads, writes, deletes = (":".join(people.login("owner", scope)) for scope in ("read", "write", "delete"))
    not_written = containers("skopeo", "copy", "--dest-creds", reads, f"oci:{layout}:latest", name)
    containers.ok("skopeo", "copy", "--dest-creds", writes, f"oci:{layout}:latest", name)
    not_deleted = containers("skopeo", "delete", "--creds", writes, name)
    not_pushed = containers("skopeo", "copy", "--dest-creds", deletes, f"oci:{layout}:latest", f"{name}-again")
    containers.ok("skopeo", "inspect", "--creds", deletes, name)
    containers.ok("skopeo", "delete", "--creds", deletes, name)

    assert (not_written.returncode, not_deleted.returncode, not_pushed.returncode) == (1, 1, 1)
    assert DENIED in not_written.stderr
    assert DENIED in not_pushed.stderr
    assert "requested access to the resource is denied" in not_deleted.stderr
    assert not {"scopes", "scopes-again"} & set(people.tags(PRIVATE) or [])


def test_what_is_hidden_and_what_is_absent_look_the_same(people: People, containers: Containers) -> None:
    host, stranger = people.hub.host, ":".join(people.login("stranger"))
    said = []
    for options in ("--no-creds",), ("--creds", stranger):
        for repository in PRIVATE, "acme/never-made":
            answer = containers("skopeo", "inspect", *options, f"docker://{host}/{repository}:there")
            said.append((answer.returncode, answer.stderr.partition("msg=")[2].replace(repository, "REPOSITORY")))

    assert said[0] == said[1]
    assert said[2] == said[3]
    assert (said[0][0], said[2][0]) == (1, 1)
    assert "unauthorized: authentication required" in said[0][1]
    assert "name unknown: there is no repository REPOSITORY" in said[2][1]
    assert containers("skopeo", "list-tags", "--no-creds", f"docker://{host}/{PUBLIC}").returncode == 0
    assert containers("skopeo", "list-tags", "--no-creds", f"docker://{host}/{PRIVATE}").returncode == 1


def test_login_takes_the_password_or_a_token_and_logout_forgets_it(
    people: People, containers: Containers, tmp_path: Path
) -> None:
    ada, host = people.user("skopeo-ada"), people.hub.host
    layout, name = small(tmp_path / "made"), f"docker://{host}/{ada.name}/app:v1"
    wrong = containers("skopeo", "login", "-u", ada.name, "-p", "not this one", host)
    unknown = containers("skopeo", "login", "-u", "skopeo-nobody", "-p", "not this one", host)
    for secret in ada.password, ada.token("write")[1]:
        right = containers("skopeo", "login", "-u", ada.name, "-p", secret, host)
        containers.ok("skopeo", "copy", f"oci:{layout}:latest", name)
        containers.ok("skopeo", "logout", host)

        assert "Login Succeeded!" in right.stdout, right.stderr
    after = containers("skopeo", "copy", f"oci:{layout}:latest", f"{name}-again")

    assert (wrong.returncode, unknown.returncode) == (1, 1)
    assert "invalid username/password" in wrong.stderr
    assert "invalid username/password" in unknown.stderr
    assert after.returncode == 1
    assert "unauthorized: authentication required" in after.stderr
    assert people.tags(f"{ada.name}/app") == ["v1"]


def test_a_robot_copies_into_its_repository_alone(people: People, containers: Containers, tmp_path: Path) -> None:
    ada, layout, host = people.user("skopeo-ada"), small(tmp_path / "made"), people.hub.host
    for repository in "app", "other":
        ada.ok("POST", "/repositories", {"name": f"{ada.name}/{repository}", "private": True})
    grants = [{"repository": f"{ada.name}/app", "right": "write"}]
    robot = ada.ok("POST", "/robots", {"namespace": ada.name, "name": "ci", "grants": grants})
    creds = f"{ada.name}+ci:{robot['secret']}"
    containers.ok("skopeo", "copy", "--dest-creds", creds, f"oci:{layout}:latest", f"docker://{host}/{ada.name}/app:v1")
    containers.ok("skopeo", "inspect", "--creds", creds, f"docker://{host}/{ada.name}/app:v1")

    for repository in "other", "new":
        name = f"docker://{host}/{ada.name}/{repository}:v1"
        answer = containers("skopeo", "copy", "--dest-creds", creds, f"oci:{layout}:latest", name)
        assert answer.returncode == 1
        assert DENIED in answer.stderr
    assert containers("skopeo", "delete", "--creds", creds, f"docker://{host}/{ada.name}/app:v1").returncode == 1
    assert people.tags(f"{ada.name}/app") == ["v1"]
    assert people.tags(f"{ada.name}/new") is None


def test_a_layer_is_mounted_from_what_one_may_read_and_sent_anew_from_what_not(
    people: People, containers: Containers, tmp_path: Path
) -> None:
    ada, grace, host = people.user("skopeo-ada"), people.user("skopeo-grace"), people.hub.host
    layout = small(tmp_path / "made", ada.name)
    ada.ok("PATCH", "/account", {"default_private": True})
    # All three from one machine, whose skopeo remembers where it has seen the layer.
    for user, name in (ada, f"{ada.name}/one"), (ada, f"{ada.name}/two"), (grace, f"{grace.name}/three"):
        creds = f"{user.name}:{user.password}"
        containers.ok("skopeo", "copy", "--dest-creds", creds, f"oci:{layout}:latest", f"docker://{host}/{name}:v1")

    assert people.uploads(f"{ada.name}/one") == [202, 202]
    assert 201 in people.uploads(f"{ada.name}/two")
    # The first try to mount is answered as one of a blob that is not there.
    assert set(people.uploads(f"{grace.name}/three")) == {202}


def test_the_login_that_docker_keeps_serves_skopeo_too(
    people: People, containers: Containers, dockerd: Dockerd, tmp_path: Path
) -> None:
    ada, host = people.user("skopeo-ada"), people.hub.host
    layout, settings = small(tmp_path / "made"), tmp_path / "docker"
    logged_in = dockerd("--config", settings, "login", "-u", ada.name, "--password-stdin", host, input=ada.password)
    authfile = ("--authfile", settings / "config.json")
    copied = containers("skopeo", "copy", *authfile, f"oci:{layout}:latest", f"docker://{host}/{ada.name}/app:v1")
    others = containers("skopeo", "inspect", *authfile, f"docker://{host}/{PRIVATE}:there")

    assert logged_in.returncode == 0, logged_in.stderr
    assert copied.returncode == 0, copied.stderr
    assert "name unknown" in others.stderr


def test_with_two_factors_the_password_is_refused_with_the_remedy_and_a_token_taken(
    people: People, containers: Containers, tmp_path: Path
) -> None:
    ada, layout = people.user("skopeo-ada"), small(tmp_path / "made")
    name = f"docker://{people.hub.host}/{ada.name}/app:v1"
    _, token = ada.token("write")
    begun = ada.ok("POST", "/account/second-factor", {"password": ada.password})
    ada.ok("PUT", "/account/second-factor", {"code": pyotp.TOTP(begun["secret"]).now()})
    refused = containers("skopeo", "copy", "--dest-creds", f"{ada.name}:{ada.password}", f"oci:{layout}:latest", name)
    containers.ok("skopeo", "copy", "--dest-creds", f"{ada.name}:{token}", f"oci:{layout}:latest", name)
    people.administrator.ok("PATCH", f"/users/{ada.name}", {"blocked": True})
    blocked = containers("skopeo", "inspect", "--creds", f"{ada.name}:{token}", name)

    assert (refused.returncode, blocked.returncode) == (1, 1)
    assert "two-factor authentication on: use a personal access token as the password" in refused.stderr
    assert "the token or login is not valid, or no longer: log in again" in blocked.stderr


def test_names_of_one_part_are_pushed_by_administrators_and_pulled_by_all(
    people: People, containers: Containers, tmp_path: Path
) -> None:
    layout, name = small(tmp_path / "made"), f"docker://{people.hub.host}/skopeo-tweet-app:v1"
    source = f"oci:{layout}:latest"
    refused = [
        containers("skopeo", "copy", "--dest-creds", ":".join(people.login(role)), source, name)
        for role in ("stranger", "owner")
    ]
    before = people.tags("skopeo-tweet-app")
    containers.ok("skopeo", "copy", "--dest-creds", ":".join(people.login("administrator")), source, name)
    containers.ok("skopeo", "copy", name, f"oci:{tmp_path / 'pulled'}:latest")

    assert before is None
    assert all(DENIED in answer.stderr for answer in refused)
