"""Accounts: names that are had once, settings of one's own, and what administrators do to others."""

import asyncio
import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.people import ELSEWHERE, PASSWORD, audited, make_user, sign_in
from registry.pushing import raised
from sqlalchemy import func, select

from dockyard.errors import Conflict, Denied, Invalid, NameInvalid, NameUnknown, Unauthenticated
from dockyard.oci.reference import RepositoryName, parse_repository
from dockyard.registry import account_schema, schema
from dockyard.registry.access import ANONYMOUS, HUB, Action, Scope, allowed
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.catalog import repositories
from dockyard.registry.names import LONGEST, RESERVED, check_account_name, is_account_name
from dockyard.registry.rights import FRESH

WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=8)
NAMES = st.builds(
    lambda first, rest: first + "".join(separator + word for separator, word in rest),
    WORDS,
    st.lists(st.tuples(st.sampled_from("-_."), WORDS), max_size=4),
).filter(lambda name: 2 <= len(name) <= LONGEST and name not in RESERVED)


@given(NAMES)
def test_a_name_of_the_grammar_is_an_account_s_and_a_repository_s_first_part(name):
    assert check_account_name(name) == name
    assert parse_repository(f"{name}/app") == f"{name}/app"


@given(st.one_of(st.text(max_size=40), st.text("ab-_.", max_size=8)))
def test_what_is_taken_as_a_name_has_letters_and_digits_with_single_marks_inside(text):
    def is_fine(name):
        marks = {first + second for first, second in itertools.pairwise(name)}
        plain = name.isascii() and all(letter.islower() or letter.isdigit() or letter in "-_." for letter in name)
        doubled = any(pair[0] in "-_." and pair[1] in "-_." for pair in marks)
        return plain and 2 <= len(name) <= 30 and name[0] not in "-_." and name[-1] not in "-_." and not doubled

    assert is_account_name(text) == is_fine(text)


@pytest.mark.parametrize("name", ["library", "a", "a" * 31, "Ada", "a__b", "-a", "a/b", "a+b", "ada\n", "", "ädä"])
async def test_a_name_that_can_not_be_is_refused(hub_of_accounts, name):
    with pytest.raises(NameInvalid):
        await hub_of_accounts.accounts.create(SYSTEM, name, None)


async def test_a_name_is_had_once(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada")
    with pytest.raises(Conflict, match="the name ada is taken"):
        await make_user(hub_of_accounts, "ada")

    assert (ada.name, ada.administrator) == ("ada", False)


async def test_of_two_who_take_a_name_at_once_one_has_it_with_its_namespace(open_hub):
    hubs = [await open_hub(signup="open") for _ in range(2)]
    outcomes = await asyncio.gather(
        *(raised(lambda hub=hub: hub.sign_up.sign_up("ada", PASSWORD, address=ELSEWHERE)) for hub in hubs * 4)
    )
    rows = await hubs[0].content.database.read(
        lambda connection: connection.execute(
            select(schema.namespaces.c.name, account_schema.accounts.c.name).outerjoin(
                account_schema.accounts, account_schema.accounts.c.id == schema.namespaces.c.account
            )
        ).all()
    )

    assert sorted(outcomes, key=str) == [Conflict] * 7 + [None]
    assert [tuple(row) for row in rows] == [("ada", "ada")]


async def push(hub, name, actor):
    await hub.content.database.write(repositories.ensure, RepositoryName(name), actor, 0)


async def test_a_namespace_that_is_nobodys_goes_to_whom_an_administrator_makes_and_to_no_other(open_hub):
    hub = await open_hub(signup="open")
    root = await make_user(hub, "root", administrator=True)
    await push(hub, "old/app", root)
    with pytest.raises(Conflict, match="the name old is taken"):
        await hub.sign_up.sign_up("old", PASSWORD, address=ELSEWHERE)
    await hub.accounts.create(root, "old", PASSWORD)
    old = await hub.rights.actor((await account_row(hub, "old")).id)

    assert await hub.rights.allowed(old, Action.PUSH, RepositoryName("old/app"))


async def account_row(hub, name):
    query = select(account_schema.accounts).where(account_schema.accounts.c.name == name)
    return await hub.content.database.read(lambda connection: connection.execute(query).one_or_none())


async def test_people_see_and_set_their_own_account(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada")
    before = await hub_of_accounts.accounts.own(ada)
    after = await hub_of_accounts.accounts.configure(
        ada, full_name=" Ada Lovelace ", email="ada@example.org", default_private=True
    )

    assert (before.name, before.full_name, before.default_private, before.second_factor) == ("ada", "", False, False)
    assert after == dataclasses.replace(before, full_name="Ada Lovelace", email="ada@example.org", default_private=True)
    assert await hub_of_accounts.accounts.configure(ada) == await hub_of_accounts.accounts.own(ada) == after


@pytest.mark.parametrize(
    "values",
    [
        {"full_name": "a" * 101},
        {"full_name": "a\nb"},
        {"email": "nobody"},
        {"email": "@x"},
        {"email": "a b@example.org"},
    ],
)
async def test_what_nobody_is_called_is_refused(hub_of_accounts, values):
    ada = await make_user(hub_of_accounts, "ada")

    with pytest.raises(Invalid):
        await hub_of_accounts.accounts.configure(ada, **values)


async def test_a_token_changes_its_account_only_with_the_scope_for_it(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada", password=PASSWORD)
    limited = dataclasses.replace(ada, scopes=frozenset({Scope.READ, Scope.WRITE}))
    with pytest.raises(Denied):
        await hub_of_accounts.accounts.configure(limited, full_name="Eve")
    with pytest.raises(Denied):
        await hub_of_accounts.accounts.change_password(limited, PASSWORD, "another password")

    assert (await hub_of_accounts.accounts.own(limited)).full_name == ""
    with pytest.raises(Unauthenticated):
        await hub_of_accounts.accounts.own(ANONYMOUS)


async def test_everybody_sees_the_profiles_of_users(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada")
    await hub_of_accounts.accounts.configure(ada, full_name="Ada", email="ada@example.org")
    profile = await hub_of_accounts.accounts.profile(ANONYMOUS, "ada")

    assert (profile.name, profile.kind, profile.full_name) == ("ada", "user", "Ada")
    assert not hasattr(profile, "email")
    for name in ("bob", "\ud800", "a" * 1000, "ada+robot"):
        with pytest.raises(NameUnknown):
            await hub_of_accounts.accounts.profile(ANONYMOUS, name)


async def test_administrators_list_users_by_name_page_by_page(hub_of_accounts):
    root = await make_user(hub_of_accounts, "root", administrator=True)
    for name in ("eve", "ada", "bob"):
        await make_user(hub_of_accounts, name)
    first = await hub_of_accounts.accounts.users(root, limit=2)
    second = await hub_of_accounts.accounts.users(root, after="bob", limit=2)

    assert ([user.name for user in first.items], first.more) == (["ada", "bob"], True)
    assert ([user.name for user in second.items], second.more) == (["eve", "root"], False)


async def test_only_administrators_administer(hub_of_accounts):
    accounts = hub_of_accounts.accounts
    ada = await make_user(hub_of_accounts, "ada")
    await make_user(hub_of_accounts, "bob")
    calls = [
        lambda actor: accounts.users(actor, limit=10),
        lambda actor: accounts.create(actor, "eve", PASSWORD),
        lambda actor: accounts.set_blocked(actor, "bob", True),
        lambda actor: accounts.set_administrator(actor, "ada", True),
        lambda actor: accounts.change(actor, "nobody"),
        lambda actor: accounts.set_password(actor, "bob", "another password"),
        lambda actor: accounts.remove(actor, "nobody"),
    ]
    for call in calls:
        assert await raised(lambda call=call: call(ada)) is Denied
        assert await raised(lambda call=call: call(ANONYMOUS)) is Unauthenticated

    reader = dataclasses.replace(SYSTEM, scopes=frozenset({Scope.READ}))
    assert (await accounts.users(reader, limit=10)).items[0].name == "ada"
    assert await raised(lambda: accounts.remove(reader, "bob")) is Denied


async def test_a_user_without_a_password_signs_in_once_given_one(hub_of_accounts):
    made = await hub_of_accounts.accounts.create(SYSTEM, "ada", None, full_name="Ada", email="ada@example.org")
    with pytest.raises(Unauthenticated):
        await sign_in(hub_of_accounts, "ada", "")
    await hub_of_accounts.accounts.set_password(SYSTEM, "ada", PASSWORD)

    assert (made.full_name, made.administrator, made.blocked) == ("Ada", False, None)
    assert await sign_in(hub_of_accounts)


async def test_who_is_blocked_is_out_at_once_and_may_come_back(open_hub, clock):
    here, there = await open_hub(), await open_hub()
    await make_user(here, "root", administrator=True)
    ada = await make_user(here, "ada", password=PASSWORD)
    session = await sign_in(there)
    blocked = await here.accounts.set_blocked(SYSTEM, "ada", True)

    assert blocked.blocked is not None
    assert await there.sessions.actor(session.cookie, address="") is None
    clock.passes(FRESH)
    assert await there.rights.actor(ada.id) is None
    with pytest.raises(Unauthenticated, match="incorrect user name or password"):
        await sign_in(there)
    assert (await here.accounts.set_blocked(SYSTEM, "ada", False)).blocked is None
    clock.passes(FRESH)
    assert await there.sessions.actor(session.cookie, address="") is None
    assert await sign_in(there)


async def test_the_last_administrator_stays_one(hub_of_accounts):
    accounts = hub_of_accounts.accounts
    await make_user(hub_of_accounts, "root", administrator=True)
    await make_user(hub_of_accounts, "second", administrator=True)
    await accounts.set_blocked(SYSTEM, "second", True)
    for call in (
        lambda: accounts.set_blocked(SYSTEM, "root", True),
        lambda: accounts.set_administrator(SYSTEM, "root", False),
        lambda: accounts.change(SYSTEM, "root", administrator=False, blocked=True),
        lambda: accounts.remove(SYSTEM, "root"),
    ):
        with pytest.raises(Conflict, match="root is the last administrator"):
            await call()
    await accounts.set_blocked(SYSTEM, "second", False)
    demoted = await accounts.set_administrator(SYSTEM, "root", False)

    assert not demoted.administrator
    assert await raised(lambda: accounts.remove(SYSTEM, "second")) is Conflict
    assert await accounts.has_administrator()


async def test_of_two_administrators_who_demote_each_other_at_once_one_stays(open_hub):
    hubs = [await open_hub() for _ in range(2)]
    names = ["first", "second"]
    actors = [await make_user(hubs[0], name, administrator=True) for name in names]
    outcomes = await asyncio.gather(
        *(
            raised(lambda hub=hub, actor=actor, name=name: hub.accounts.set_administrator(actor, name, False))
            for hub, actor, name in zip(hubs, actors, reversed(names), strict=True)
        )
    )

    assert sorted(outcomes, key=str) == [Conflict, None]


async def test_both_changes_of_a_user_happen_or_none(hub_of_accounts):
    await make_user(hub_of_accounts, "root", administrator=True)
    await make_user(hub_of_accounts, "ada")
    changed = await hub_of_accounts.accounts.change(SYSTEM, "ada", administrator=True, blocked=True)
    same = await hub_of_accounts.accounts.change(SYSTEM, "ada", administrator=True, blocked=True)

    assert (changed.administrator, changed.blocked is not None) == (True, True)
    assert same == changed
    assert await audited(hub_of_accounts) == [("dockyard", "user.promote", "ada"), ("dockyard", "user.block", "ada")]


async def test_an_administrator_who_is_demoted_administers_no_longer(open_hub, clock):
    here, there = await open_hub(), await open_hub()
    await make_user(here, "root", administrator=True)
    ada = await make_user(here, "ada", administrator=True)
    before = await there.rights.actor(ada.id)
    await here.accounts.set_administrator(SYSTEM, "ada", False)
    clock.passes(FRESH)
    after = await there.rights.actor(ada.id)

    assert allowed(before, Action.ADMINISTER, HUB)
    assert not allowed(after, Action.ADMINISTER, HUB)


async def test_a_removed_user_leaves_repositories_to_the_administrators_and_nothing_else(hub_of_accounts):
    hub = hub_of_accounts
    root = await make_user(hub, "root", administrator=True)
    ada, bob = await make_user(hub, "ada", password=PASSWORD), await make_user(hub, "bob")
    await push(hub, "ada/app", ada)
    await push(hub, "bob/app", bob)
    await fill_every_table_of(hub, ada.id)
    await hub.accounts.remove(root, "ada")

    assert await rows_of(hub, ada.id) == {"audit.account"}
    assert await account_row(hub, "ada+ci") is None
    assert await account_row(hub, "bob") is not None
    assert not await hub.rights.allowed(bob, Action.PULL, RepositoryName("ada/app"))
    assert not await hub.rights.allowed(ANONYMOUS, Action.PULL, RepositoryName("ada/app"))
    assert await hub.rights.allowed(root, Action.PUSH, RepositoryName("ada/app"))
    assert ("root", "user.remove", "ada") in await audited(hub)


async def fill_every_table_of(hub, account):
    """Give the account a row in every table that refers to accounts, and a robot with rows of its own."""

    def fill(connection):
        new = {"created": 0, "full_name": "", "email": "", "default_private": False, "administrator": False}
        new |= {"totp_confirmed": False, "totp_last": 0}

        def add(table, **values):
            return connection.execute(table.insert().values(**values)).inserted_primary_key[0]

        organisation = add(account_schema.accounts, kind="organisation", name="org", **new)
        robot = add(account_schema.accounts, kind="robot", name="ada+ci", owner=account, **new)
        repository = connection.scalar(select(schema.repositories.c.id).where(schema.repositories.c.name == "bob/app"))
        team = add(account_schema.teams, organisation=organisation, name="team", created=0)
        add(account_schema.memberships, organisation=organisation, account=account, owner=True)
        add(account_schema.team_members, team=team, account=account)
        times = {"created": 0, "used": 0, "expires": 0}
        add(account_schema.sessions, account=account, hash="session", csrf="", address="", agent="", **times)
        add(account_schema.recovery_codes, account=account, hash="code")
        add(account_schema.known_addresses, account=account, address="", last=0)
        values = {"note": "", "organisation": organisation, "as_owner": False, "created": 0, "expires": 0}
        add(account_schema.codes, purpose="invitation", hash="invitation", inviter=account, **values)
        for holder in (account, robot):
            add(account_schema.account_grants, repository=repository, account=holder, right=1)
            values = {"account": holder, "scopes": "read", "name": "t", "created": 0}
            parent = add(account_schema.tokens, kind="personal", hash=f"personal {holder}", **values)
            add(account_schema.tokens, kind="login", hash=f"login {holder}", parent=parent, **values)

    await hub.content.database.write(fill)
    assert await rows_of(hub, account) >= {str(key.parent) for key in references()} - OF_ORGANISATIONS


OF_ORGANISATIONS = {"codes.organisation", "memberships.organisation", "teams.organisation"}


def references():
    """Every column that refers to an account."""
    tables = schema.metadata.tables.values()
    return [key for table in tables for key in table.foreign_keys if key.references(account_schema.accounts)]


async def rows_of(hub, account):
    """The columns that refer to the account in some row."""

    def find(connection):
        columns = [key.parent for key in references()]
        columns += [account_schema.accounts.c.id, schema.namespaces.c.account, account_schema.audit.c.account]
        counts = {
            str(column): connection.scalar(select(func.count()).select_from(column.table).where(column == account))
            for column in columns
        }
        return {name for name, count in counts.items() if count}

    return await hub.content.database.read(find)


async def test_an_unattended_start_makes_its_administrator_once(open_hub):
    hubs = [await open_hub() for _ in range(3)]
    made = await asyncio.gather(*(hub.accounts.ensure_administrator("root", PASSWORD) for hub in hubs))
    again = await hubs[0].accounts.ensure_administrator("root", "another password")

    assert sorted(made) == [False, False, True]
    assert not again
    assert await sign_in(hubs[0], "root")
    assert await audited(hubs[0]) == [("dockyard", "user.create", "root"), ("root", "session.begin", "root")]
