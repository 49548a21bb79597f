"""The audit log: that each change has its row, and who sees it."""

import pytest
from registry.people import make_user
from registry.pushing import CONFIG
from registry.sharing import make_team, push_as, refused

from dockyard.errors import Denied, NameUnknown, Unauthenticated
from dockyard.oci.digest import Digest
from dockyard.oci.reference import RepositoryName, Tag
from dockyard.registry.access import ANONYMOUS, EVERYBODY, Actor, Right, Scope

APP = RepositoryName("acme/app")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """An administrator, the owner of acme, a member of it, and a stranger."""
    root = await make_user(hub, "root", administrator=True)
    ada, bob, eve = [await make_user(hub, name) for name in ("ada", "bob", "eve")]
    await hub.organisations.create(ada, "acme")
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)
    return root, ada, bob, eve


async def seen(hub, actor, **options):
    return [
        (entry.actor, entry.action, entry.target)
        for entry in (await hub.audit.entries(actor, limit=100, **options)).items
    ]


async def test_every_change_has_its_row_with_who_what_when_and_from_where(hub, people, clock):
    root, ada, _, _ = people
    await make_team(hub, ada, "acme/dev", "bob")
    manifest = await push_as(hub, ada, APP)
    await hub.repositories.configure(ada, APP, private=True)
    await hub.teams.grant(ada, "acme", "dev", APP, Right.READ)
    await hub.teams.revoke(ada, "acme", "dev", APP)
    await hub.teams.remove_member(ada, "acme", "dev", "bob")
    await hub.teams.remove(ada, "acme", "dev")
    await hub.repositories.grant(ada, APP, "bob", Right.READ)
    await hub.repositories.revoke(ada, APP, "bob")
    made = await hub.robots.create(ada, "acme", "ci", {APP: Right.READ})
    await hub.robots.remove(ada, "acme+ci")
    await hub.content.delete_manifest(ada, APP, Tag("latest"))
    await hub.content.delete_manifest(ada, APP, manifest.digest)
    await hub.content.delete_blob(ada, APP, Digest.of(CONFIG))
    await hub.repositories.remove(ada, APP)
    await hub.organisations.remove_member(ada, "acme", "bob")
    await hub.organisations.configure(ada, "acme", full_name="Acme")
    await hub.organisations.remove(ada, "acme")
    entries = [entry async for entry in await hub.audit.export(root)]

    assert [(entry.action, entry.target) for entry in entries if entry.actor == "ada"] == [
        ("organisation.create", "acme"),
        ("member.set", "acme"),
        ("team.create", "acme/dev"),
        ("team-member.add", "acme/dev"),
        ("repository.create", "acme/app"),
        ("manifest.push", "acme/app"),
        ("repository.configure", "acme/app"),
        ("team-grant.set", "acme/dev"),
        ("team-grant.remove", "acme/dev"),
        ("team-member.remove", "acme/dev"),
        ("team.remove", "acme/dev"),
        ("grant.set", "acme/app"),
        ("grant.remove", "acme/app"),
        ("robot.create", "acme+ci"),
        ("robot.remove", "acme+ci"),
        ("tag.remove", "acme/app"),
        ("manifest.delete", "acme/app"),
        ("blob.delete", "acme/app"),
        ("repository.remove", "acme/app"),
        ("member.remove", "acme"),
        ("organisation.configure", "acme"),
        ("organisation.remove", "acme"),
    ]
    assert {entry.address for entry in entries} == {"192.0.2.1"}
    assert {entry.at.timestamp() for entry in entries} == {clock()}
    assert entries[11].detail == {"who": "bob", "right": "read"}
    assert made.secret not in repr(entries)


async def test_what_changes_nothing_has_no_row(hub, people):
    root, ada, _, _ = people
    await hub.repositories.create(ada, APP, private=True)
    before = await seen(hub, root)
    await hub.repositories.configure(ada, APP, private=True)
    await hub.organisations.set_member(ada, "acme", "bob", owner=False)
    await refused(hub.repositories.revoke(ada, APP, "bob"), NameUnknown)

    assert await seen(hub, root) == before


async def test_owners_see_what_belongs_to_them_and_others_what_they_did(hub, people):
    root, ada, bob, eve = people
    await hub.organisations.set_member(ada, "acme", "eve", owner=True)
    await hub.repositories.create(ada, RepositoryName("ada/own"))
    await hub.repositories.create(bob, RepositoryName("bob/own"))
    await hub.repositories.create(root, RepositoryName("official"))

    made = ("ada", "organisation.create", "acme")
    first, second = [("ada", "member.set", "acme")] * 2
    own = ("ada", "repository.create", "ada/own")
    assert await seen(hub, ada) == [own, second, first, made]
    assert await seen(hub, eve) == [second, first, made]
    assert await seen(hub, bob) == [("bob", "repository.create", "bob/own")]
    assert len(await seen(hub, root)) == 6
    await hub.organisations.set_member(ada, "acme", "eve", owner=False)
    assert await seen(hub, eve) == []


async def test_an_owner_sees_what_others_did_to_the_own_repository(hub, people):
    _, _, bob, eve = people
    name = RepositoryName("bob/own")
    await hub.repositories.create(bob, name)
    await hub.repositories.grant(bob, name, "eve", Right.WRITE)
    await push_as(hub, eve, name)

    assert (await seen(hub, bob))[0] == ("eve", "manifest.push", "bob/own")
    assert await seen(hub, eve) == [("eve", "manifest.push", "bob/own")]


async def test_the_log_of_an_account_is_for_its_owners(hub, people):
    root, ada, bob, eve = people
    await hub.repositories.create(ada, RepositoryName("ada/own"))

    assert await seen(hub, ada, account="acme") == await seen(hub, root, account="acme")
    assert [target for _, _, target in await seen(hub, ada, account="acme")] == ["acme", "acme"]
    await refused(hub.audit.entries(bob, account="acme", limit=10), Denied)
    for name in ("acme", "absent", "ada"):
        await refused(hub.audit.entries(eve, account=name, limit=10), NameUnknown, f"there is no account {name}")
        await refused(hub.audit.export(eve, account=name), NameUnknown)
    await refused(hub.audit.entries(ANONYMOUS, limit=10), Unauthenticated)
    await refused(hub.audit.export(ANONYMOUS), Unauthenticated)
    nothing = Actor(ada.id, ada.name, ada.kind, scopes=frozenset())
    await refused(hub.audit.entries(nothing, limit=10), Denied)
    reader = Actor(ada.id, ada.name, ada.kind, scopes=frozenset({Scope.READ}))
    assert await seen(hub, reader) == await seen(hub, ada)


async def test_a_log_is_read_page_by_page_and_by_action(hub, people):
    _, ada, _, _ = people
    for number in range(5):
        await hub.repositories.create(ada, RepositoryName(f"acme/n{number}"))
    collected, before, more = [], None, True
    while more:
        page = await hub.audit.entries(ada, action="repository.create", before=before, limit=2)
        collected += [entry.target for entry in page.items]
        before, more = page.items[-1].id, page.more

    assert collected == [f"acme/n{number}" for number in reversed(range(5))]


async def test_an_export_is_as_the_pages_are_the_other_way_round(hub, people, monkeypatch):
    _, ada, _, _ = people
    monkeypatch.setattr("dockyard.registry.audit.BATCH", 2)
    for number in range(4):
        await hub.repositories.create(ada, RepositoryName(f"acme/n{number}"))
    exported = [entry async for entry in await hub.audit.export(ada)]

    assert exported == list(reversed((await hub.audit.entries(ada, limit=100)).items))
    assert len(exported) == 6


async def test_what_was_logged_outlives_who_did_it(hub, people):
    root, ada, _, _ = people
    await hub.robots.create(ada, "acme", "ci", {})
    await hub.robots.remove(ada, "acme+ci")
    await hub.organisations.remove(ada, "acme")

    assert ("ada", "robot.create", "acme+ci") in await seen(hub, root)
    assert ("ada", "organisation.remove", "acme") in await seen(hub, ada)


async def test_an_open_hub_keeps_no_log(open_hub):
    hub = await open_hub(auth="none")
    await push_as(hub, EVERYBODY, "any/app")
    await hub.repositories.remove(EVERYBODY, RepositoryName("any/app"))
    root = await make_user(hub, "root", administrator=True)

    assert await seen(hub, root) == []
