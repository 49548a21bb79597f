"""Sessions of browsers: they begin with a proof, belong to one account, and end in time, by hand or by force."""

import dataclasses

import pytest
from registry.people import ELSEWHERE, HERE, PASSWORD, audited, make_user, sign_in
from registry.pushing import raised
from sqlalchemy import select

from dockyard.errors import Denied, NotFound, Unauthenticated
from dockyard.registry import account_schema
from dockyard.registry.access import ALL_SCOPES, ANONYMOUS, EVERYBODY, Kind, Scope
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.catalog.sessions import MOST

DAY = 86400


@pytest.fixture
async def hub(open_hub):
    opened = await open_hub()
    await make_user(opened, "ada", password=PASSWORD)
    return opened


async def ada_of(hub, session):
    found = await hub.sessions.actor(session.cookie, address=HERE)
    return found and found[0]


async def test_a_cookie_says_who_asks_and_what_their_forms_carry(hub, open_hub):
    session = await sign_in(hub)
    actor, csrf = await (await open_hub()).sessions.actor(session.cookie, address=ELSEWHERE)

    assert (actor.name, actor.kind, actor.scopes, actor.address) == ("ada", Kind.USER, ALL_SCOPES, ELSEWHERE)
    assert csrf == session.csrf
    assert session.seconds == 90 * DAY
    assert session.cookie not in repr(session) and session.csrf not in repr(session)


async def test_of_too_many_sessions_of_one_account_the_oldest_end(hub):
    ada = await hub.rights.actor((await ada_of(hub, await sign_in(hub))).id)
    bob = await hub.sessions.begin(await make_user(hub, "bob"), agent="")
    begun = [await hub.sessions.begin(ada, agent="") for _ in range(MOST + 2)]

    assert len(await hub.sessions.all(ada, None)) == MOST
    assert [bool(await ada_of(hub, session)) for session in begun] == [False] * 2 + [True] * MOST
    assert await ada_of(hub, bob)


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "\ud800", "ä" * 10_000, "\0"])
async def test_a_cookie_that_nobody_was_given_says_nothing(hub, cookie):
    await sign_in(hub)

    assert await hub.sessions.actor(cookie, address=HERE) is None
    await hub.sessions.end_current(cookie)


async def test_the_database_does_not_have_the_cookie(hub):
    session = await sign_in(hub)
    row = await hub.content.database.read(lambda c: c.execute(select(account_schema.sessions)).one())

    assert session.cookie not in map(str, row)


async def test_each_sign_in_is_a_session_of_its_own(hub):
    first, second = await sign_in(hub), await sign_in(hub, address=ELSEWHERE)
    shown = await hub.sessions.all(await ada_of(hub, first), first.cookie)

    assert first.cookie != second.cookie and first.csrf != second.csrf
    assert [(entry.address, entry.current) for entry in shown] == [(ELSEWHERE, False), (HERE, True)]
    assert {entry.agent for entry in shown} == {"a browser"}


async def test_a_session_that_is_not_used_ends_after_two_weeks(hub, clock):
    session = await sign_in(hub)
    clock.passes(13 * DAY)
    used = await ada_of(hub, session)
    clock.passes(13 * DAY)
    again = await ada_of(hub, session)
    clock.passes(14 * DAY)

    assert used and again
    assert await ada_of(hub, session) is None
    assert await hub.sessions.all(again, None) == []


async def test_a_session_ends_after_ninety_days_however_much_it_is_used(hub, clock):
    session = await sign_in(hub)
    lived = 0
    while await ada_of(hub, session):
        lived += 1
        clock.passes(DAY)

    assert lived == 90


async def test_the_last_use_is_noted_once_a_minute(hub, clock):
    session = await sign_in(hub)
    ada = await ada_of(hub, session)
    [shown] = await hub.sessions.all(ada, session.cookie)
    clock.passes(59)
    await ada_of(hub, session)
    [soon] = await hub.sessions.all(ada, session.cookie)
    clock.passes(1)
    await ada_of(hub, session)
    [later] = await hub.sessions.all(ada, session.cookie)

    assert shown.created == shown.used == soon.used
    assert (later.used - shown.used).total_seconds() == 60
    assert (later.expires - later.used).days == 14


async def test_sessions_that_are_over_are_forgotten_at_the_next_sign_in(hub, clock):
    for _ in range(3):
        await sign_in(hub)
    clock.passes(15 * DAY)
    await sign_in(hub)

    assert len(await hub.content.database.read(lambda c: c.execute(select(account_schema.sessions.c.id)).all())) == 1


async def test_signing_out_ends_this_session_and_no_other(hub):
    first, second = await sign_in(hub), await sign_in(hub)
    await hub.sessions.end_current(first.cookie, address=HERE)
    await hub.sessions.end_current(first.cookie, address=HERE)

    assert await ada_of(hub, first) is None
    assert await ada_of(hub, second)
    assert [action for _, action, _ in await audited(hub)] == ["session.begin", "session.begin", "session.end"]


async def test_people_end_their_own_sessions_and_nobody_elses(hub):
    await make_user(hub, "eve", password=PASSWORD)
    session = await sign_in(hub)
    ada, eve = await ada_of(hub, session), await ada_of(hub, await sign_in(hub, "eve"))
    [entry] = await hub.sessions.all(ada, session.cookie)
    for id in (entry.id, 999):
        with pytest.raises(NotFound, match=f"there is no session {id}"):
            await hub.sessions.end(eve, id)
    with pytest.raises(Denied):
        await hub.sessions.end(dataclasses.replace(ada, scopes=frozenset({Scope.READ})), entry.id)
    kept = await ada_of(hub, session)
    await hub.sessions.end(ada, entry.id)

    assert kept
    assert await ada_of(hub, session) is None


async def test_only_users_have_sessions(hub):
    for actor in (ANONYMOUS, EVERYBODY, SYSTEM):
        assert await raised(lambda actor=actor: hub.sessions.begin(actor, agent="")) is Denied

    assert await raised(lambda: hub.sessions.all(ANONYMOUS, None)) is Unauthenticated


async def test_who_just_made_an_account_is_signed_in(open_hub):
    hub = await open_hub(signup="open")
    actor = await hub.sign_up.sign_up("bob", PASSWORD, address=ELSEWHERE)
    session = await hub.sessions.begin(actor, agent="x" * 500 + "\n")
    [shown] = await hub.sessions.all(actor, session.cookie)

    assert (shown.agent, shown.address, shown.current) == ("x" * 200, ELSEWHERE, True)


async def test_the_sessions_of_a_removed_user_are_over(hub, open_hub):
    await make_user(hub, "root", administrator=True)
    session = await sign_in(hub)
    other = await open_hub()
    before = await ada_of(other, session)
    await hub.accounts.remove(SYSTEM, "ada")

    assert before
    assert await ada_of(other, session) is None
