"""Repositories as people make, find and change them."""

import pytest
from registry.people import make_user
from registry.sharing import make_team, may, push_as, refused

from dockyard.errors import Conflict, Denied, Invalid, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ANONYMOUS, Action, Actor, Right, Scope
from dockyard.registry.profiles import Repository, moment

APP, SECRET = RepositoryName("ada/app"), RepositoryName("ada/secret")


@pytest.fixture
def hub(hub_of_accounts):
    return hub_of_accounts


@pytest.fixture
async def people(hub):
    """An administrator, the owner of a public and a private repository, and a stranger."""
    root = await make_user(hub, "root", administrator=True)
    ada, eve = await make_user(hub, "ada"), await make_user(hub, "eve")
    await hub.repositories.create(ada, APP, private=False, description="Tells the time of day.")
    await hub.repositories.create(ada, SECRET, private=True, description="Nobody's business.")
    return root, ada, eve


async def names(hub, actor, **options):
    return [item.name for item in (await hub.repositories.list(actor, limit=100, **options)).items]


async def found(hub, actor, text):
    return [item.name for item in (await hub.repositories.search(actor, text, limit=100)).items]


async def test_a_repository_is_there_before_anything_is_pushed(hub, people, clock):
    _, ada, _ = people
    made = await hub.repositories.get(ada, APP)
    now = moment(int(clock() * 1000))

    assert made == Repository("ada/app", False, "Tells the time of day.", now, None, 0, "admin")
    assert (await hub.content.repositories(ada, limit=10)).items == ()


async def test_a_repository_says_when_it_last_changed_and_how_many_tags_it_has(hub, people, clock):
    _, ada, _ = people
    await push_as(hub, ada, APP, b"one", tag="v1")
    clock.passes(60)
    await push_as(hub, ada, APP, b"two", tag="v2")
    after = await hub.repositories.get(ada, APP)

    assert (after.pushed, after.tags) == (moment(int(clock() * 1000)), 2)


async def test_lists_show_what_the_asker_may_read(hub, people):
    root, ada, eve = people
    await push_as(hub, root, "tweet-app")
    await push_as(hub, root, "old/app")

    assert await names(hub, ada) == ["ada/app", "ada/secret", "tweet-app"]
    assert await names(hub, eve) == await names(hub, ANONYMOUS) == ["ada/app", "tweet-app"]
    assert await names(hub, root) == ["ada/app", "ada/secret", "old/app", "tweet-app"]
    assert await names(hub, ada, namespace="ada") == ["ada/app", "ada/secret"]
    assert await names(hub, eve, namespace="old") == await names(hub, eve, namespace="absent") == []


async def test_a_list_goes_on_where_it_ended(hub, people):
    _, ada, _ = people
    for number in range(5):
        await hub.repositories.create(ada, RepositoryName(f"ada/n{number}"))
    seen, after, more = [], "", True
    while more:
        page = await hub.repositories.list(ada, after=after, limit=3)
        seen += [item.name for item in page.items]
        after, more = seen[-1], page.more

    assert seen == ["ada/app", "ada/n0", "ada/n1", "ada/n2", "ada/n3", "ada/n4", "ada/secret"]
    assert (await hub.repositories.list(ada, limit=0)).items == ()


async def test_a_search_looks_into_names_and_descriptions_that_the_asker_may_read(hub, people):
    _, ada, eve = people

    assert await found(hub, eve, "TIME of") == ["ada/app"]
    assert await found(hub, eve, "app") == ["ada/app"]
    assert await found(hub, eve, "business") == []
    assert await found(hub, eve, "secret") == []
    assert await found(hub, ada, "business") == ["ada/secret"]
    assert await names(hub, ada, query="time") == []


async def test_what_is_searched_for_is_no_pattern(hub, people):
    _, ada, _ = people

    for text in ("%", "_", "a%p", "\\", "*", "'"):
        assert await found(hub, ada, text) == (["ada/secret"] if text == "'" else [])


async def test_a_list_says_what_the_asker_has_there(hub, people):
    root, ada, eve = people
    await hub.repositories.grant(ada, SECRET, "eve", Right.WRITE)
    rights = {item.name: item.right for item in (await hub.repositories.list(eve, limit=9)).items}

    assert rights == {"ada/app": "read", "ada/secret": "write"}
    assert {item.right for item in (await hub.repositories.list(root, limit=9)).items} == {"admin"}


async def test_a_token_without_any_scope_sees_nothing(hub, people):
    _, ada, _ = people

    assert await names(hub, Actor(ada.id, ada.name, ada.kind, scopes=frozenset())) == []


async def test_repositories_are_made_in_ones_own_namespaces_only(hub, people):
    root, ada, eve = people
    await hub.organisations.create(ada, "acme")
    await make_team(hub, ada, "acme/dev", "eve")

    for name in ("ada/new", "acme/new", "nobody/new", "new", "ada/app", "ada/secret"):
        await refused(hub.repositories.create(eve, RepositoryName(name)), Denied, "is denied")
        await refused(hub.repositories.create(ANONYMOUS, RepositoryName(name)), Unauthenticated)
    await hub.repositories.create(ada, RepositoryName("acme/new"))
    await hub.repositories.create(root, RepositoryName("nobody/new"))
    await refused(hub.repositories.create(ada, APP), Conflict, "there is a repository ada/app already")


async def test_a_name_of_one_part_is_made_by_administrators_and_is_public(hub, people):
    root, _, eve = people
    official = RepositoryName("tweet-app")

    await refused(hub.repositories.create(root, official, private=True), Invalid, "tweet-app can't be private")
    made = await hub.repositories.create(root, official)
    assert not made.private
    await refused(hub.repositories.configure(root, official, private=True), Invalid, "tweet-app can't be private")
    assert (await hub.repositories.configure(root, official, private=False, description="Tweets.")).description
    assert (await hub.repositories.get(ANONYMOUS, official)).right == "read"
    await refused(hub.repositories.configure(eve, official, description="Mine."), Denied)


async def test_what_is_in_a_namespace_without_an_account_is_private(hub, people):
    root, _, eve = people
    old = RepositoryName("old/app")

    await refused(hub.repositories.create(root, old, private=False), Invalid, "its namespace has no account")
    assert (await hub.repositories.create(root, old)).private
    await refused(hub.repositories.configure(root, old, private=False), Invalid, "its namespace has no account")
    await refused(hub.repositories.get(eve, old), NameUnknown, "there is no repository old/app")


async def test_visibility_changes_at_once(hub, people):
    _, ada, eve = people
    assert await may(hub, eve, Action.PULL, APP)
    await hub.repositories.configure(ada, APP, private=True)
    assert not await may(hub, eve, Action.PULL, APP)
    assert await names(hub, eve) == []
    await hub.repositories.configure(ada, APP, private=False)

    assert await may(hub, eve, Action.PULL, APP)


async def test_a_description_is_one_line(hub, people):
    _, ada, _ = people

    for text in ("a\nb", "a\0", "x" * 1001):
        await refused(hub.repositories.configure(ada, APP, description=text), Invalid, "description")
        await refused(hub.repositories.create(ada, RepositoryName("ada/new"), description=text), Invalid, "description")
    assert (await hub.repositories.configure(ada, APP, description="")).description == ""


async def test_a_stranger_finds_a_private_repository_as_absent(hub, people):
    _, _, eve = people
    for name in ("ada/secret", "ada/absent", "absent/app", "absent"):
        at = RepositoryName(name)
        for call in (
            hub.repositories.get(eve, at),
            hub.repositories.configure(eve, at, private=False),
            hub.repositories.remove(eve, at),
            hub.repositories.collaborators(eve, at),
            hub.repositories.grant(eve, at, "eve", Right.ADMIN),
            hub.repositories.revoke(eve, at, "ada"),
        ):
            await refused(call, NameUnknown, f"there is no repository {name}")
        await refused(hub.repositories.get(ANONYMOUS, at), Unauthenticated)


async def test_a_stranger_changes_nothing_of_a_public_repository(hub, people):
    _, _, eve = people
    for call in (
        hub.repositories.configure(eve, APP, private=True),
        hub.repositories.remove(eve, APP),
        hub.repositories.collaborators(eve, APP),
        hub.repositories.grant(eve, APP, "eve", Right.ADMIN),
        hub.repositories.revoke(eve, APP, "ada"),
    ):
        await refused(call, Denied)


async def test_each_verb_needs_its_scope(hub, people):
    _, ada, _ = people
    reader = Actor(ada.id, ada.name, ada.kind, scopes=frozenset({Scope.READ}))
    writer = Actor(ada.id, ada.name, ada.kind, scopes=frozenset({Scope.READ, Scope.WRITE}))
    deleter = Actor(ada.id, ada.name, ada.kind, scopes=frozenset({Scope.READ, Scope.DELETE}))
    new = RepositoryName("ada/new")

    await refused(hub.repositories.create(reader, new), Denied)
    await hub.repositories.create(writer, new)
    await refused(hub.repositories.configure(writer, new, private=True), Denied)
    await refused(hub.repositories.grant(writer, new, "eve", Right.READ), Denied)
    await refused(hub.repositories.remove(writer, new), Denied)
    assert await hub.repositories.collaborators(reader, new) == ()
    await hub.repositories.remove(deleter, new)
