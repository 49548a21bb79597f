"""Robots: accounts of machines that work in one namespace."""

import pytest
from registry.people import make_user
from registry.sharing import may, push_as, refused

from dockyard.errors import Conflict, Denied, Invalid, NameInvalid, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ANONYMOUS, Action, Actor, Kind, Right, Scope
from dockyard.registry.profiles import Grant

APP, OTHER, THEIRS = RepositoryName("acme/app"), RepositoryName("acme/other"), RepositoryName("eve/app")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """The owner of acme, a member of it, and a stranger; each has something private."""
    ada, bob, eve = [await make_user(hub, name) for name in ("ada", "bob", "eve")]
    await hub.organisations.create(ada, "acme")
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)
    for actor, name in ((ada, APP), (ada, OTHER), (eve, THEIRS)):
        await hub.repositories.create(actor, name, private=True)
    return ada, bob, eve


async def acting(hub, made):
    """The robot as who comes with its secret."""
    known = await hub.tokens.find(made.secret)
    return None if known is None else await hub.rights.actor(known.account, known.token)


async def test_a_robot_does_what_it_was_given_and_no_more(hub, people):
    ada, _, _ = people
    made = await hub.robots.create(ada, "acme", "ci", {APP: Right.WRITE, OTHER: Right.READ})
    robot = await acting(hub, made)

    assert (robot.kind, robot.name, robot.administrator) == (Kind.ROBOT, "acme+ci", False)
    assert made.robot.grants == [Grant("acme/app", "write"), Grant("acme/other", "read")]
    await push_as(hub, robot, APP)
    assert await may(hub, robot, Action.PULL, OTHER)
    assert not await may(hub, robot, Action.PUSH, OTHER)
    assert not await may(hub, robot, Action.DELETE, APP)
    assert not await may(hub, robot, Action.PUSH, "acme/new")
    assert not await may(hub, robot, Action.PULL, THEIRS)
    page = await hub.repositories.list(robot, limit=10)
    assert [item.name for item in page.items] == ["acme/app", "acme/other"]


async def test_a_robot_manages_nothing_even_with_admin(hub, people):
    ada, _, _ = people
    robot = await acting(hub, await hub.robots.create(ada, "acme", "ci", {APP: Right.ADMIN}))

    assert await may(hub, robot, Action.DELETE, APP)
    await refused(hub.repositories.grant(robot, APP, "bob", Right.READ), Denied)
    await refused(hub.repositories.configure(robot, APP, private=False), Denied)
    await refused(hub.organisations.create(robot, "robots"), Denied)
    await refused(hub.robots.create(robot, "acme", "more", {}), NameUnknown)
    assert await hub.organisations.mine(robot) == []


async def test_a_secret_is_shown_once_and_not_kept(hub, people):
    ada, _, _ = people
    made = await hub.robots.create(ada, "acme", "ci", {})

    assert made.secret.startswith("dyr_")
    assert made.secret not in repr(made)
    assert made.secret not in repr(await hub.robots.list(ada, "acme"))


async def test_a_robot_ends_when_it_said(hub, people, clock):
    ada, _, _ = people
    made = await hub.robots.create(ada, "acme", "ci", {APP: Right.READ}, expires_in=60)
    assert made.robot.expires.timestamp() == clock() + 60
    assert await acting(hub, made)
    clock.passes(60)

    assert await acting(hub, made) is None
    for seconds in (0, -1, 10**12):
        await refused(hub.robots.create(ada, "acme", "ci2", {}, expires_in=seconds), Invalid, "expire")


async def test_a_robot_that_is_removed_is_nobody_at_once(hub, people):
    ada, _, _ = people
    made = await hub.robots.create(ada, "acme", "ci", {APP: Right.READ})
    robot = await acting(hub, made)
    await hub.robots.remove(ada, "acme+ci")

    assert await acting(hub, made) is None
    assert await hub.rights.actor(robot.id) is None
    assert await hub.robots.list(ada, "acme") == ()
    assert await hub.repositories.collaborators(ada, APP) == ()
    await refused(hub.robots.remove(ada, "acme+ci"), NameUnknown, "there is no robot acme+ci")
    anew = await acting(hub, await hub.robots.create(ada, "acme", "ci", {}))
    assert anew.id != robot.id
    assert not await may(hub, anew, Action.PULL, APP)


async def test_a_robot_is_for_repositories_of_its_namespace_that_are_there(hub, people):
    ada, _, eve = people
    await hub.repositories.grant(eve, THEIRS, "ada", Right.ADMIN)

    call = hub.robots.create(ada, "acme", "ci", {THEIRS: Right.READ})
    await refused(call, Invalid, "eve/app is not in the namespace acme")
    call = hub.robots.create(ada, "acme", "ci", {APP: Right.READ, RepositoryName("acme/absent"): Right.READ})
    await refused(call, NameUnknown, "there is no repository acme/absent")
    await refused(hub.robots.create(ada, "acme", "ci", {APP: Right.NONE}), Invalid, "read, write or admin")
    assert await hub.robots.list(ada, "acme") == ()


async def test_robots_are_seen_and_made_by_those_who_own_the_namespace(hub, people):
    ada, bob, eve = people
    root = await make_user(hub, "root", administrator=True)
    await hub.robots.create(ada, "acme", "ci", {APP: Right.READ})

    assert [robot.name for robot in await hub.robots.list(root, "acme")] == ["acme+ci"]
    for call in (
        hub.robots.list(bob, "acme"),
        hub.robots.create(bob, "acme", "mine", {}),
        hub.robots.remove(bob, "acme+ci"),
    ):
        await refused(call, Denied)
    for name in ("acme", "absent"):
        for call in (
            hub.robots.list(eve, name),
            hub.robots.create(eve, name, "mine", {}),
            hub.robots.remove(eve, f"{name}+ci"),
        ):
            await refused(call, NameUnknown, f"there is no account {name}")
        await refused(hub.robots.list(ANONYMOUS, name), Unauthenticated)
    await refused(hub.robots.create(root, "absent", "ci", {}), NameUnknown, "there is no account absent")


async def test_a_user_has_robots_too_and_a_token_needs_admin_for_them(hub, people):
    _, _, eve = people
    reader = Actor(eve.id, eve.name, eve.kind, scopes=frozenset({Scope.READ}))
    await hub.robots.create(eve, "eve", "ci", {THEIRS: Right.WRITE})

    assert [robot.name for robot in await hub.robots.list(reader, "eve")] == ["eve+ci"]
    await refused(hub.robots.create(reader, "eve", "ci2", {}), Denied)
    await refused(hub.robots.remove(reader, "eve+ci"), Denied)


async def test_a_robot_has_a_name_of_its_own(hub, people):
    ada, _, _ = people
    await hub.robots.create(ada, "acme", "ci", {})

    await refused(hub.robots.create(ada, "acme", "ci", {}), Conflict, "there is a robot acme+ci already")
    for name in ("", "a", "A B", "a+b", "../x"):
        await refused(hub.robots.create(ada, "acme", name, {}), NameInvalid)


async def test_robots_go_with_the_account_that_they_work_for(hub, people):
    ada, _, _ = people
    made = await hub.robots.create(ada, "acme", "ci", {APP: Right.READ})
    for name in (APP, OTHER):
        await hub.repositories.remove(ada, name)
    await hub.organisations.remove(ada, "acme")

    assert await acting(hub, made) is None
