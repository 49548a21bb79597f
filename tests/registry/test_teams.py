"""Teams: who is in them and what that gives."""

import pytest
from registry.people import make_user
from registry.sharing import make_team, may, refused

from dockyard.errors import Conflict, Denied, Invalid, NameInvalid, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ANONYMOUS, Action, Right
from dockyard.registry.profiles import Collaborator, Grant, Member

APP, SECRET = RepositoryName("acme/app"), RepositoryName("acme/secret")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """The owner of acme, who has two private repositories in it, a member of its team dev, and a stranger."""
    ada, bob, eve = [await make_user(hub, name) for name in ("ada", "bob", "eve")]
    await hub.organisations.create(ada, "acme")
    await make_team(hub, ada, "acme/dev", "bob")
    for name in (APP, SECRET):
        await hub.repositories.create(ada, name, private=True)
    return ada, bob, eve


@pytest.mark.parametrize("right", [Right.READ, Right.WRITE, Right.ADMIN])
async def test_a_team_gives_its_members_its_right_and_no_more(hub, people, right):
    ada, bob, _ = people
    await hub.teams.grant(ada, "acme", "dev", APP, right)

    assert await may(hub, bob, Action.PULL, APP)
    assert await may(hub, bob, Action.PUSH, APP) is (right >= Right.WRITE)
    assert await may(hub, bob, Action.DELETE, APP) is (right is Right.ADMIN)
    assert not await may(hub, bob, Action.PULL, SECRET)
    assert not await may(hub, bob, Action.CREATE, "acme/new")


async def test_of_several_rights_the_greatest_counts(hub, people):
    ada, bob, _ = people
    await make_team(hub, ada, "acme/ops", "bob")
    await hub.teams.grant(ada, "acme", "dev", APP, Right.WRITE)
    await hub.teams.grant(ada, "acme", "ops", APP, Right.READ)
    await hub.repositories.grant(ada, APP, "bob", Right.READ)

    assert (await hub.repositories.get(bob, APP)).right == "write"


async def test_what_a_team_gives_ends_at_once(hub, people):
    ada, bob, _ = people
    for end in (
        lambda: hub.teams.revoke(ada, "acme", "dev", APP),
        lambda: hub.teams.remove_member(ada, "acme", "dev", "bob"),
        lambda: hub.teams.remove(ada, "acme", "dev"),
    ):
        await hub.teams.grant(ada, "acme", "dev", APP, Right.READ)
        await hub.teams.add(ada, "acme", "dev", "bob")
        assert await may(hub, bob, Action.PULL, APP)
        await end()

        assert not await may(hub, bob, Action.PULL, APP)


async def test_a_team_made_anew_gives_nothing_of_the_old_one(hub, people):
    ada, bob, _ = people
    await hub.teams.grant(ada, "acme", "dev", APP, Right.READ)
    await hub.teams.remove(ada, "acme", "dev")
    await hub.teams.create(ada, "acme", "dev")

    assert await hub.teams.members(ada, "acme", "dev") == []
    assert await hub.teams.grants(ada, "acme", "dev") == []
    assert not await may(hub, bob, Action.PULL, APP)


async def test_members_see_teams_with_what_they_may_read_of_their_rights(hub, people):
    ada, bob, _ = people
    await hub.teams.create(ada, "acme", "ops")
    await hub.teams.grant(ada, "acme", "ops", SECRET, Right.ADMIN)
    await hub.teams.grant(ada, "acme", "dev", APP, Right.READ)

    counts = [(team.name, team.members, team.repositories) for team in await hub.teams.all(ada, "acme")]
    assert counts == [("dev", 1, 1), ("ops", 0, 1)]
    counts = [(team.name, team.members, team.repositories) for team in await hub.teams.all(bob, "acme")]
    assert counts == [("dev", 1, 1), ("ops", 0, 0)]
    assert await hub.teams.members(bob, "acme", "dev") == [Member("bob", owner=False)]
    assert await hub.teams.grants(bob, "acme", "dev") == [Grant("acme/app", "read")]
    assert await hub.teams.grants(bob, "acme", "ops") == []
    assert (await hub.teams.get(bob, "acme", "ops")).repositories == 0
    assert await hub.repositories.collaborators(ada, SECRET) == (Collaborator("acme/ops", "team", "admin"),)


async def test_a_stranger_finds_no_team_and_a_member_changes_none(hub, people):
    _, bob, eve = people

    def changes(actor):
        return (
            hub.teams.create(actor, "acme", "mine"),
            hub.teams.add(actor, "acme", "dev", actor.name),
            hub.teams.remove_member(actor, "acme", "dev", "bob"),
            hub.teams.grant(actor, "acme", "dev", APP, Right.ADMIN),
            hub.teams.revoke(actor, "acme", "dev", APP),
            hub.teams.remove(actor, "acme", "dev"),
        )

    for call in (
        *changes(eve),
        hub.teams.all(eve, "acme"),
        hub.teams.get(eve, "acme", "dev"),
        hub.teams.members(eve, "acme", "dev"),
        hub.teams.grants(eve, "acme", "dev"),
    ):
        await refused(call, NameUnknown, "there is no organisation acme")
    for call in changes(bob):
        await refused(call, Denied)
    await refused(hub.teams.all(ANONYMOUS, "acme"), Unauthenticated)


async def test_only_members_of_the_organisation_are_in_its_teams(hub, people):
    ada, _, _ = people

    await refused(hub.teams.add(ada, "acme", "dev", "eve"), Conflict, "eve is not a member of acme")
    await refused(hub.teams.add(ada, "acme", "dev", "nobody"), NameUnknown, "there is no user nobody")
    await refused(hub.teams.remove_member(ada, "acme", "dev", "eve"), NameUnknown, "eve is not in the team acme/dev")


async def test_a_team_has_rights_in_its_own_namespace_only(hub, people):
    ada, _, _ = people
    await hub.repositories.create(ada, RepositoryName("ada/app"))
    await hub.organisations.create(ada, "acme2")
    await hub.repositories.create(ada, RepositoryName("acme2/app"))

    for name in ("ada/app", "acme2/app", "acme"):
        call = hub.teams.grant(ada, "acme", "dev", RepositoryName(name), Right.READ)
        await refused(call, Invalid, f"{name} is not in the namespace of acme")
    call = hub.teams.grant(ada, "acme", "dev", RepositoryName("acme/absent"), Right.READ)
    await refused(call, NameUnknown, "there is no repository acme/absent")
    await refused(hub.teams.grant(ada, "acme", "dev", APP, Right.NONE), Invalid, "read, write or admin")
    await refused(hub.teams.revoke(ada, "acme", "dev", APP), NameUnknown, "has no right on acme/app")


async def test_another_organisations_team_is_not_reached_through_ones_own(hub, people):
    _, _, eve = people
    await hub.organisations.create(eve, "evil")

    for call in (
        hub.teams.get(eve, "evil", "dev"),
        hub.teams.add(eve, "evil", "dev", "eve"),
        hub.teams.remove(eve, "evil", "dev"),
        hub.teams.grants(eve, "evil", "dev"),
    ):
        await refused(call, NameUnknown, "there is no team evil/dev")
    await hub.teams.create(eve, "evil", "dev")
    await refused(hub.teams.grant(eve, "evil", "dev", APP, Right.READ), Invalid, "not in the namespace of evil")


async def test_a_team_has_a_name_of_its_own(hub, people):
    ada, _, _ = people

    await refused(hub.teams.create(ada, "acme", "dev"), Conflict, "there is a team acme/dev already")
    await refused(hub.teams.create(ada, "acme", "No Name"), NameInvalid)
    await refused(hub.teams.get(ada, "acme", "none"), NameUnknown, "there is no team acme/none")
