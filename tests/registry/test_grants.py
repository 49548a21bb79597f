"""Rights given by name: to collaborators and to robots."""

import pytest
from registry.people import make_user
from registry.sharing import may, push_as, refused

from dockyard.errors import Conflict, Denied, Invalid, NameUnknown
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import Action, Right
from dockyard.registry.profiles import Collaborator

APP = RepositoryName("ada/app")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """Who has a private repository, somebody to share it with, and a stranger."""
    ada, bob, eve = [await make_user(hub, name) for name in ("ada", "bob", "eve")]
    await hub.repositories.create(ada, APP, private=True)
    return ada, bob, eve


@pytest.mark.parametrize("right", [Right.READ, Right.WRITE, Right.ADMIN])
async def test_a_collaborator_has_the_right_given_and_no_more(hub, people, right):
    ada, bob, eve = people
    await hub.repositories.grant(ada, APP, "bob", right)

    assert await may(hub, bob, Action.PULL, APP)
    assert await may(hub, bob, Action.PUSH, APP) is (right >= Right.WRITE)
    assert await may(hub, bob, Action.CONFIGURE, APP) is (right is Right.ADMIN)
    assert not await may(hub, bob, Action.PULL, "ada/other")
    assert not await may(hub, bob, Action.CREATE, "ada/other")
    assert not await may(hub, eve, Action.PULL, APP)


async def test_a_grant_replaces_the_one_before_and_ends_at_once(hub, people):
    ada, bob, _ = people
    await hub.repositories.grant(ada, APP, "bob", Right.ADMIN)
    await hub.repositories.grant(ada, APP, "bob", Right.READ)
    assert not await may(hub, bob, Action.PUSH, APP)
    assert await hub.repositories.collaborators(ada, APP) == (Collaborator("bob", "user", "read"),)
    await hub.repositories.revoke(ada, APP, "bob")

    assert not await may(hub, bob, Action.PULL, APP)
    assert await hub.repositories.collaborators(ada, APP) == ()
    await refused(hub.repositories.revoke(ada, APP, "bob"), NameUnknown, "bob has no right of their own on ada/app")


async def test_a_grant_holds_with_the_next_request_in_every_process(hub, people, open_hub):
    ada, bob, _ = people
    other = await open_hub()
    assert not await may(other, bob, Action.PULL, APP)
    await hub.repositories.grant(ada, APP, "bob", Right.READ)
    assert await may(other, bob, Action.PULL, APP)
    await hub.repositories.revoke(ada, APP, "bob")

    assert not await may(other, bob, Action.PULL, APP)


async def test_rights_are_given_to_users_who_are_there(hub, people):
    ada, _, _ = people
    await hub.organisations.create(ada, "acme")

    for who in ("nobody", "acme", "", "BOB"):
        call = hub.repositories.grant(ada, APP, who, Right.READ)
        await refused(call, NameUnknown, f"there is no user {who}")
    await refused(hub.repositories.grant(ada, APP, "bob", Right.NONE), Invalid, "read, write or admin")
    call = hub.repositories.grant(ada, RepositoryName("ada/absent"), "bob", Right.READ)
    await refused(call, NameUnknown, "there is no repository ada/absent")


async def test_nobody_grants_to_themselves_nor_to_whom_it_belongs(hub, people):
    ada, bob, _ = people
    await hub.repositories.grant(ada, APP, "bob", Right.ADMIN)

    await refused(hub.repositories.grant(bob, APP, "bob", Right.ADMIN), Denied, "themselves")
    await refused(hub.repositories.grant(ada, APP, "ada", Right.ADMIN), Denied, "themselves")
    await refused(hub.repositories.grant(bob, APP, "ada", Right.READ), Conflict, "ada has every right there")


async def test_who_has_admin_on_a_repository_shares_it_on(hub, people):
    ada, bob, eve = people
    await hub.repositories.grant(ada, APP, "bob", Right.WRITE)
    await refused(hub.repositories.grant(bob, APP, "eve", Right.READ), Denied)
    await refused(hub.repositories.collaborators(bob, APP), Denied)
    await hub.repositories.grant(ada, APP, "bob", Right.ADMIN)
    await hub.repositories.grant(bob, APP, "eve", Right.READ)

    assert await may(hub, eve, Action.PULL, APP)
    assert [item.name for item in await hub.repositories.collaborators(bob, APP)] == ["bob", "eve"]


async def test_a_robot_has_rights_in_its_own_namespace_only(hub, people):
    ada, _, eve = people
    await hub.robots.create(ada, "ada", "ci", {})
    await hub.robots.create(eve, "eve", "spy", {})
    await hub.repositories.grant(ada, APP, "ada+ci", Right.WRITE)

    assert await hub.repositories.collaborators(ada, APP) == (Collaborator("ada+ci", "robot", "write"),)
    for who in ("eve+spy", "eve+absent", "ada+absent", "+", "ada+"):
        call = hub.repositories.grant(ada, APP, who, Right.READ)
        await refused(call, NameUnknown, f"there is no robot {who} in the namespace of ada/app")


async def test_a_collaborator_whose_repository_is_gone_does_not_make_it_anew(hub, people):
    ada, bob, _ = people
    await hub.repositories.grant(ada, APP, "bob", Right.WRITE)
    await push_as(hub, bob, APP)
    await hub.repositories.remove(ada, APP)

    await refused(push_as(hub, bob, APP), Denied)
