"""Organisations: who makes them, who is in them, and what becomes of them."""

import pytest
from registry.people import make_user
from registry.sharing import make_team, may, push_as, refused

from dockyard.errors import Conflict, Denied, Invalid, NameInvalid, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ALL_SCOPES, ANONYMOUS, Action, Actor, Kind, Right, Scope
from dockyard.registry.profiles import Member

APP = RepositoryName("acme/app")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """An administrator, the owner of acme, a member of it and a stranger."""
    root = await make_user(hub, "root", administrator=True)
    ada, bob, eve = [await make_user(hub, name) for name in ("ada", "bob", "eve")]
    await hub.organisations.create(ada, "acme", full_name="Acme Ltd")
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)
    return root, ada, bob, eve


def with_scopes(actor, *scopes):
    return Actor(actor.id, actor.name, actor.kind, actor.administrator, frozenset(scopes))


async def test_whoever_makes_an_organisation_owns_it(hub, people):
    _, ada, bob, eve = people

    assert [(found.name, found.role) for found in await hub.organisations.mine(ada)] == [("acme", "owner")]
    assert [(found.name, found.role) for found in await hub.organisations.mine(bob)] == [("acme", "member")]
    assert await hub.organisations.mine(eve) == []
    assert (await hub.organisations.get(ada, "acme")).full_name == "Acme Ltd"
    assert await may(hub, ada, Action.PUSH, "acme/new")
    assert not await may(hub, bob, Action.PUSH, "acme/new")


async def test_an_organisation_and_a_user_cannot_have_one_name(hub, people):
    _, ada, _, _ = people

    await refused(hub.organisations.create(ada, "bob"), Conflict, "the name bob is taken")
    await refused(hub.organisations.create(ada, "acme"), Conflict, "taken")
    for name in ("library", "A", "a", "a+b", "a/b", "x" * 31):
        await refused(hub.organisations.create(ada, name), NameInvalid)


async def test_a_namespace_that_is_nobodys_is_given_by_administrators_only(hub, people):
    root, ada, _, _ = people
    await push_as(hub, root, "old/app")

    await refused(hub.organisations.create(ada, "old"), Conflict, "the name old is taken")
    await hub.organisations.create(root, "old")
    assert (await hub.repositories.get(root, RepositoryName("old/app"))).private


async def test_anonymous_and_a_robot_and_a_token_without_admin_make_no_organisation(hub, people):
    _, ada, _, _ = people
    robot = Actor(99, "ada+ci", Kind.ROBOT, scopes=ALL_SCOPES - {Scope.ADMIN})

    await refused(hub.organisations.create(ANONYMOUS, "new"), Unauthenticated)
    await refused(hub.organisations.mine(ANONYMOUS), Unauthenticated)
    await refused(hub.organisations.create(robot, "new"), Denied)
    await refused(hub.organisations.create(with_scopes(ada, Scope.READ, Scope.WRITE), "new"), Denied)


async def test_a_stranger_finds_no_organisation_and_a_member_cannot_change_it(hub, people):
    _, _, bob, eve = people
    for name in ("acme", "absent", "ada"):
        for call in (
            hub.organisations.get(eve, name),
            hub.organisations.members(eve, name),
            hub.organisations.configure(eve, name, full_name="Mine"),
            hub.organisations.set_member(eve, name, "eve", owner=True),
            hub.organisations.remove_member(eve, name, "eve"),
            hub.organisations.remove(eve, name),
        ):
            await refused(call, NameUnknown, f"there is no organisation {name}")
    await refused(hub.organisations.get(ANONYMOUS, "acme"), Unauthenticated)
    await refused(hub.organisations.configure(bob, "acme", full_name="Mine"), Denied)
    await refused(hub.organisations.set_member(bob, "acme", "bob", owner=True), Denied)
    await refused(hub.organisations.remove_member(bob, "acme", "ada"), Denied)
    await refused(hub.organisations.remove(bob, "acme"), Denied)


async def test_members_are_listed_for_members(hub, people):
    root, _, bob, _ = people
    expected = [Member("ada", owner=True), Member("bob", owner=False)]

    assert await hub.organisations.members(bob, "acme") == expected
    assert await hub.organisations.members(root, "acme") == expected
    assert (await hub.organisations.get(root, "acme")).role is None


async def test_a_member_is_a_user_who_is_there(hub, people):
    _, ada, _, _ = people
    await hub.organisations.create(ada, "corp")
    await hub.robots.create(ada, "ada", "ci", {})

    for name in ("nobody", "corp", "ada+ci", ""):
        await refused(hub.organisations.set_member(ada, "acme", name, owner=False), NameUnknown, "there is no user")


async def test_the_last_owner_stays_one(hub, people):
    root, ada, bob, _ = people
    for call in (
        hub.organisations.set_member(ada, "acme", "ada", owner=False),
        hub.organisations.remove_member(ada, "acme", "ada"),
        hub.organisations.remove_member(root, "acme", "ada"),
    ):
        await refused(call, Conflict, "ada is the last owner of acme")
    await hub.organisations.set_member(ada, "acme", "bob", owner=True)
    await hub.organisations.remove_member(ada, "acme", "ada")

    assert await hub.organisations.members(bob, "acme") == [Member("bob", owner=True)]
    assert not await may(hub, ada, Action.PULL, "acme/app")


async def test_an_owner_has_every_right_at_once_and_loses_it_at_once(hub, people):
    _, ada, bob, _ = people
    await hub.repositories.create(ada, APP, private=True)
    assert not await may(hub, bob, Action.PULL, APP)
    await hub.organisations.set_member(ada, "acme", "bob", owner=True)
    assert await may(hub, bob, Action.REMOVE, APP)
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)

    assert not await may(hub, bob, Action.PULL, APP)


async def test_who_leaves_is_in_no_team_any_more_and_keeps_what_was_given_by_name(hub, people):
    _, ada, bob, _ = people
    for name in ("acme/app", "acme/other"):
        await hub.repositories.create(ada, RepositoryName(name), private=True)
    await make_team(hub, ada, "acme/dev", "bob")
    await hub.teams.grant(ada, "acme", "dev", APP, Right.WRITE)
    await hub.repositories.grant(ada, RepositoryName("acme/other"), "bob", Right.READ)
    assert await may(hub, bob, Action.PUSH, "acme/app")
    await hub.organisations.remove_member(bob, "acme", "bob")

    assert not await may(hub, bob, Action.PULL, "acme/app")
    assert await may(hub, bob, Action.PULL, "acme/other")
    assert await hub.teams.members(ada, "acme", "dev") == []
    await refused(hub.organisations.remove_member(ada, "acme", "bob"), NameUnknown, "bob is not a member of acme")
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)
    assert not await may(hub, bob, Action.PULL, "acme/app")


async def test_a_token_without_admin_leaves_no_organisation(hub, people):
    _, _, bob, _ = people

    await refused(hub.organisations.remove_member(with_scopes(bob, Scope.READ), "acme", "bob"), Denied)


async def test_an_organisation_says_whether_what_is_pushed_is_private_at_first(hub, people):
    _, ada, _, _ = people
    for private in (True, False):
        await hub.organisations.configure(ada, "acme", default_private=private)
        await push_as(hub, ada, f"acme/{str(private).lower()}")

        assert (await hub.organisations.get(ada, "acme")).default_private is private
        assert (await hub.repositories.get(ada, RepositoryName(f"acme/{str(private).lower()}"))).private is private


async def test_a_full_name_is_one_line(hub, people):
    _, ada, _, _ = people

    for name in ("a\nb", "a\0", "x" * 101):
        await refused(hub.organisations.configure(ada, "acme", full_name=name), Invalid, "full name")


async def test_an_organisation_is_removed_when_it_is_empty(hub, people):
    root, ada, bob, eve = people
    await hub.repositories.create(ada, APP)
    await make_team(hub, ada, "acme/dev", "bob")
    await hub.robots.create(ada, "acme", "ci", {APP: Right.READ})
    await refused(hub.organisations.remove(ada, "acme"), Conflict, "acme has a repository")
    await hub.repositories.remove(ada, APP)
    await hub.organisations.remove(ada, "acme")

    await refused(hub.organisations.get(ada, "acme"), NameUnknown, "there is no organisation acme")
    assert await hub.organisations.mine(bob) == []
    assert not await may(hub, ada, Action.PUSH, "acme/app")
    await refused(hub.organisations.create(eve, "acme"), Conflict, "taken")
    await hub.organisations.create(root, "acme")
    assert await hub.organisations.members(root, "acme") == [Member("root", owner=True)]
    assert await hub.teams.all(root, "acme") == []
    assert await hub.robots.list(root, "acme") == ()
