"""Who may do what with ``dockyard``: each role of an organisation's private repository, and of a public one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from images import GZIP, Layout, gzipped, sha256, tar
from logged_in import administrator, at, logged_in, new_user
from servers import Hub, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

SEES, PULLS, PUSHES, UNTAGS, SETS = "sees it", "pulls", "pushes", "removes a tag", "configures it"
ALL = {SEES, PULLS, PUSHES, UNTAGS, SETS}
ROLES = {
    "administrator": ALL,
    "owner": ALL,
    "team-admin": ALL,
    "team-writer": {SEES, PULLS, PUSHES},
    "team-reader": {SEES, PULLS},
    "member": set(),
    "collaborator": {SEES, PULLS, PUSHES},
    "robot": {SEES, PULLS, PUSHES},
    "stranger": set(),
    "anonymous": set(),
}


@dataclass
class World:
    """A hub with an organisation whose app is private, and a machine for each role."""

    hub: Hub
    layout: Layout
    people: dict[str, Machine]

    def push(self, role: str, name: str) -> str:
        """Push the image under a name; return what was said on stderr, ``""`` where it went."""
        here = self.people[role]
        here.ok("copy", "-q", f"oci:{self.layout.folder}:latest", f"engine:{name}")
        done = here("push", "-q", name)
        assert (done.returncode == 0) == (done.stderr == "")
        return done.stderr

    def says(self, role: str, *words: str) -> str:
        """Run a command; return what was said on stderr, ``""`` where it went well."""
        done = self.people[role](*words)
        assert (done.returncode == 0) == (done.stderr == ""), done
        return done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("roles")
    hub = Hub(folder / "data", auth="accounts")

    def machine(name: str) -> Machine:
        return Machine(folder / name)

    layout = Layout(folder / "made")
    raw = tar([("file", b"content")])
    layout.name(layout.image([layout.blob(gzipped(raw), GZIP)], [sha256(raw)]))
    people = {"administrator": administrator(hub, machine), "anonymous": at(hub, machine("anonymous"))}
    people |= {role: new_user(hub, machine, role) for role in ROLES if role not in (*people, "robot")}
    owner = people["owner"]
    owner.ok("org", "create", "acme")
    owner.ok("repo", "create", "acme/app", "--private")
    for right in ("admin", "write", "read"):
        name = {"admin": "team-admin", "write": "team-writer", "read": "team-reader"}[right]
        owner.ok("org", "add", "acme", name)
        owner.ok("team", "create", f"acme/{right}s")
        owner.ok("team", "add", f"acme/{right}s", name)
        owner.ok("team", "grant", f"acme/{right}s", "acme/app", right)
    owner.ok("org", "add", "acme", "member")
    owner.ok("repo", "grant", "acme/app", "collaborator", "write")
    secret = owner.ok("robot", "create", "acme/ci", "--repo", "acme/app", "--right", "write")
    people["robot"] = logged_in(hub, machine("robot"), "acme+ci", secret)
    world = World(hub, layout, people)
    for name in ("acme/app:kept", "acme/open:kept"):
        assert world.push("owner", name) == ""
    owner.ok("repo", "set", "acme/open", "--public")
    yield world
    assert hub.stop() == 0


@pytest.mark.parametrize("role", ROLES)
def test_each_role_does_what_it_may_and_nothing_else(role: str, world: World) -> None:
    tag = f"acme/app:{role}"
    assert world.push("owner", tag) == ""
    tried = {
        SEES: world.says(role, "repo", "inspect", "acme/app"),
        PULLS: world.says(role, "pull", "-q", tag),
        PUSHES: world.push(role, tag),
        UNTAGS: world.says(role, "tags", "rm", tag),
        SETS: world.says(role, "repo", "set", "acme/app", "--description", f"by {role}"),
    }

    assert {what for what, said in tried.items() if not said} == ROLES[role]
    said = "".join(tried.values())
    assert ("unauthorized" in said) == (role == "anonymous")
    left = world.people["owner"].ok("tags", "acme/app").split()
    assert (tag.partition(":")[2] in left) == (UNTAGS not in ROLES[role])


def test_a_stranger_can_not_tell_a_private_repository_from_none(world: World) -> None:
    said = {
        name: [
            world.says("stranger", "repo", "inspect", name),
            world.says("stranger", "pull", f"{name}:kept"),
            world.push("stranger", f"{name}:kept"),
            world.says("stranger", "tags", name),
            world.says("stranger", "tags", "rm", f"{name}:kept"),
            world.says("stranger", "repo", "rm", "-f", name),
        ]
        for name in ("acme/app", "acme/not")
    }

    assert [text.replace("acme/app", "acme/not") for text in said["acme/app"]] == said["acme/not"]
    assert "denied: requested access to the resource is denied" in said["acme/not"][2]


@pytest.mark.parametrize("role", ["member", "stranger", "anonymous", "robot"])
def test_what_is_public_is_pulled_by_all_and_pushed_by_few(role: str, world: World) -> None:
    refused = world.push(role, f"acme/open:{role}")

    assert world.says(role, "pull", "-q", "acme/open:kept") == ""
    assert ("unauthorized" if role == "anonymous" else "denied: requested access") in refused
    assert world.says(role, "tags", "rm", "acme/open:kept") != ""


def test_a_first_push_makes_a_repository_in_ones_own_namespace_alone(world: World) -> None:
    assert world.push("stranger", "stranger/new/app:1") == ""
    assert world.people["stranger"].ok("repo", "ls", "-q", "stranger") == "stranger/new/app\n"
    for name in ("member/app", "acme/else", "nobodys/app", "app"):
        assert "denied" in world.push("stranger", f"{name}:1")
    assert world.push("administrator", "official:1") == ""
    assert world.says("anonymous", "pull", "-q", "official:1") == ""


def test_only_owners_manage_an_organisation(world: World) -> None:
    for role in ("team-admin", "member", "stranger", "robot", "anonymous"):
        for words in (
            ("org", "add", "acme", "stranger"),
            ("team", "add", "acme/admins", "member"),
            ("robot", "create", "acme/more", "--repo", "acme/app"),
            ("org", "rm", "acme"),
        ):
            assert world.says(role, *words) != "", (role, words)


def test_what_is_taken_away_is_gone_within_seconds(world: World) -> None:
    owner, name = world.people["owner"], "acme/shared:1"
    assert world.push("owner", name) == ""
    owner.ok("repo", "set", "acme/shared", "--private")
    owner.ok("repo", "grant", "acme/shared", "stranger", "read")
    assert world.says("stranger", "pull", "-q", name) == ""
    owner.ok("repo", "revoke", "acme/shared", "stranger")
    revoked = time.monotonic()
    while not world.says("stranger", "pull", "-q", name):
        assert time.monotonic() - revoked < 30

    assert world.says("stranger", "pull", "-q", name)
