"""Rights in one process: kept while nobody's access changes, and over at once when it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager

import pytest
from registry.people import make_user
from registry.pushing import Clock
from sqlalchemy import Connection, event, insert, select, update

from dockyard.errors import Denied, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry import account_schema, schema
from dockyard.registry.access import ALL_SCOPES, ANONYMOUS, EVERYBODY, Action, Actor, Right, Scope
from dockyard.registry.catalog import access as catalog
from dockyard.registry.catalog import repositories
from dockyard.registry.hub import Hub
from dockyard.registry.rights import FRESH

APP = RepositoryName("ada/app")


async def make(hub: Hub, actor: Actor, name: RepositoryName = APP, *, private: bool = True) -> None:
    now = int(hub.clock() * 1000)
    await hub.content.database.write(repositories.make, name, actor, now, private=private)


async def grant(hub: Hub, name: RepositoryName, actor: Actor, right: Right) -> None:
    def write(connection: Connection) -> None:
        repository = repositories.find(connection, name)
        connection.execute(
            insert(account_schema.account_grants), {"repository": repository, "account": actor.id, "right": int(right)}
        )
        catalog.raise_version(connection)

    await hub.content.database.write(write)


async def block(hub: Hub, actor: Actor) -> None:
    def write(connection: Connection) -> None:
        connection.execute(
            update(account_schema.accounts).where(account_schema.accounts.c.id == actor.id).values(blocked=1)
        )
        catalog.raise_version(connection)

    await hub.content.database.write(write)


@contextmanager
def statements(hub: Hub) -> Iterator[list[str]]:
    """What goes through the pool of readers, look-ups left out."""
    seen: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    readers = hub.content.database._readers
    event.listen(readers, "before_cursor_execute", note)
    yield seen
    event.remove(readers, "before_cursor_execute", note)


async def test_what_did_not_change_is_not_asked_for_again(hub_of_accounts: Hub) -> None:
    ada = await make_user(hub_of_accounts, "ada")
    await make(hub_of_accounts, ada)
    first = [await hub_of_accounts.rights.allowed(ada, Action.PUSH, APP)]
    with statements(hub_of_accounts) as seen:
        again = [await hub_of_accounts.rights.allowed(ada, Action.PUSH, APP) for _ in range(10)]

    assert first + again == [True] * 11
    assert seen == []


async def test_a_grant_in_one_process_holds_in_the_other_with_the_next_question(
    open_hub: Callable[..., Awaitable[Hub]],
) -> None:
    one, two = await open_hub(), await open_hub()
    ada, bob = await make_user(one, "ada"), await make_user(one, "bob")
    await make(one, ada)
    before = await two.rights.allowed(bob, Action.PULL, APP)
    await grant(one, APP, bob, Right.READ)

    assert not before
    assert await two.rights.allowed(bob, Action.PULL, APP)
    assert not await two.rights.allowed(bob, Action.PUSH, APP)


async def test_who_is_blocked_is_nobody_with_the_next_question(open_hub: Callable[..., Awaitable[Hub]]) -> None:
    one, two = await open_hub(), await open_hub()
    ada = await make_user(one, "ada")
    assert ada.id is not None
    before = await two.rights.actor(ada.id)
    await block(one, ada)

    assert before is not None
    assert await two.rights.actor(ada.id) is None


async def test_over_a_network_what_was_allowed_may_hold_for_a_second_and_no_refusal_is_old(
    open_hub: Callable[..., Awaitable[Hub]], clock: Clock
) -> None:
    one, two = await open_hub(), await open_hub()
    two.rights._age = FRESH  # as where the database is not embedded
    ada, bob = await make_user(one, "ada"), await make_user(one, "bob")
    await make(one, ada, private=False)
    public = await two.rights.allowed(bob, Action.PULL, APP)
    refused = await two.rights.allowed(bob, Action.PUSH, APP)

    def hide(connection: Connection) -> None:
        connection.execute(update(schema.repositories).values(private=True))
        catalog.raise_version(connection)

    await one.content.database.write(hide)
    meanwhile = await two.rights.allowed(bob, Action.PULL, APP)
    clock.passes(FRESH)
    after = await two.rights.allowed(bob, Action.PULL, APP)
    await grant(one, APP, bob, Right.WRITE)

    assert (public, refused, meanwhile, after) == (True, False, True, False)
    assert await two.rights.allowed(bob, Action.PUSH, APP)


async def test_what_was_read_while_access_changed_is_not_kept(hub_of_accounts: Hub) -> None:
    rights = hub_of_accounts.rights
    ada, bob = await make_user(hub_of_accounts, "ada"), await make_user(hub_of_accounts, "bob")
    await make(hub_of_accounts, ada)
    await rights.version()
    old = rights._version
    await grant(hub_of_accounts, APP, bob, Right.READ)
    await rights.version()
    place = await hub_of_accounts.content.database.read(catalog.place, bob.id, APP)
    rights._keep(rights._places, (bob.id, APP), place, old)

    assert rights._places == {}


async def test_a_repository_that_is_hidden_and_one_that_is_absent_take_the_same_queries(hub_of_accounts: Hub) -> None:
    ada, bob = await make_user(hub_of_accounts, "ada"), await make_user(hub_of_accounts, "bob")
    await make(hub_of_accounts, ada)
    counts = []
    for name in (APP, RepositoryName("ada/none"), RepositoryName("nobody/none")):
        with statements(hub_of_accounts) as seen, pytest.raises(NameUnknown):
            await hub_of_accounts.rights.require(bob, Action.PULL, name)
        counts.append(seen)

    assert len(counts[0]) == 2  # the transaction begins, and one query
    assert counts[0] == counts[1] == counts[2]


async def test_each_refusal_is_of_its_kind(hub_of_accounts: Hub) -> None:
    ada, bob = await make_user(hub_of_accounts, "ada"), await make_user(hub_of_accounts, "bob")
    await make(hub_of_accounts, ada)

    with pytest.raises(Unauthenticated):
        await hub_of_accounts.rights.require(ANONYMOUS, Action.PULL, APP)
    with pytest.raises(NameUnknown):
        await hub_of_accounts.rights.require(bob, Action.PULL, APP)
    with pytest.raises(Denied):
        await hub_of_accounts.rights.require(bob, Action.PUSH, APP)


async def test_an_actor_has_what_its_token_is_good_for(hub_of_accounts: Hub) -> None:
    ada = await make_user(hub_of_accounts, "ada")
    assert ada.id is not None
    row = {"account": ada.id, "kind": "personal", "name": "ci", "hash": "x", "scopes": "write", "created": 0}
    expires = int(hub_of_accounts.clock() * 1000) + 1000

    def write(connection: Connection) -> int:
        made = insert(account_schema.tokens).returning(account_schema.tokens.c.id)
        token: int = connection.scalars(made, row | {"expires": expires}).one()
        return token

    token = await hub_of_accounts.content.database.write(write)
    actor = await hub_of_accounts.rights.actor(ada.id, token, address="192.0.2.7")
    clock = hub_of_accounts.clock
    assert isinstance(clock, Clock)
    clock.passes(1)

    assert ada.scopes == ALL_SCOPES
    assert actor is not None
    assert (actor.scopes, actor.token, actor.address) == ({Scope.READ, Scope.WRITE}, token, "192.0.2.7")
    assert await hub_of_accounts.rights.actor(ada.id, token) is None
    assert await hub_of_accounts.rights.actor(ada.id, token + 1) is None


@pytest.fixture
async def once_open(open_hub: Callable[..., Awaitable[Hub]]) -> AsyncIterator[Hub]:
    """A hub that was open, with a repository from then, and has accounts now."""
    before = await open_hub(auth="none")
    for name in ("old/app", "old-app"):
        await before.content.begin_upload(EVERYBODY, RepositoryName(name))
    yield await open_hub()


async def test_what_was_there_before_accounts_is_the_administrators(once_open: Hub) -> None:
    root, bob = await make_user(once_open, "root", administrator=True), await make_user(once_open, "bob")
    old, one_part = RepositoryName("old/app"), RepositoryName("old-app")

    assert await once_open.rights.allowed(root, Action.PUSH, old)
    assert not await once_open.rights.allowed(bob, Action.PULL, old)
    assert await once_open.rights.allowed(ANONYMOUS, Action.PULL, one_part)
    assert not await once_open.rights.allowed(bob, Action.PUSH, one_part)
    assert await once_open.content.database.read(lambda c: c.scalars(select(account_schema.audit.c.id)).all()) == []
