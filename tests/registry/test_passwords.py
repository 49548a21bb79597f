"""Passwords: which are taken, how they are kept, and what proves that somebody knows one."""

import asyncio
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from registry.people import HERE, PASSWORD, make_user, sign_in
from registry.pushing import raised

from dockyard.errors import Invalid, Unauthenticated
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.hub import Hub
from dockyard.registry.passwords import Hashing, check_new


@pytest.fixture
def hashing():
    opened = Hashing(time_cost=1, memory_cost=8, parallelism=1)
    yield opened
    opened.close()


@pytest.mark.parametrize("password", ["", "1234567", "a" * 1025, "ä" * 513, "lovelace", "LoveLace", "\ud800" * 8])
def test_a_password_that_is_too_short_too_long_no_text_or_the_name_is_refused(password):
    with pytest.raises(Invalid):
        check_new("lovelace", password)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=200))
def test_any_other_text_may_be_a_password(password):
    check_new("ada", password)


async def test_a_kept_password_says_what_it_is_of_to_nobody(hashing):
    kept = [await hashing.hash(PASSWORD) for _ in range(2)]

    assert kept[0] != kept[1]
    assert all(text.startswith("$argon2id$v=19$") and PASSWORD not in text for text in kept)
    assert [await hashing.matches(text, PASSWORD) for text in kept] == [True, True]
    assert not await hashing.matches(kept[0], PASSWORD + " ")
    assert not await hashing.matches(kept[0], "\ud800" * 8)
    assert not await hashing.matches(kept[0], "a" * 100_000)
    assert not await hashing.matches("no hash at all", PASSWORD)


async def test_a_password_is_the_same_however_a_keyboard_composes_its_letters(hashing):
    kept = await hashing.hash(unicodedata.normalize("NFD", "pässwörter"))

    assert await hashing.matches(kept, unicodedata.normalize("NFC", "pässwörter"))


async def test_nobody_has_any_password(hashing):
    assert not await hashing.matches(None, "")
    assert not await hashing.matches(None, PASSWORD)


async def test_the_parameters_are_those_that_rfc_9106_recommends():
    hashing = Hashing()
    kept = await hashing.hash(PASSWORD)
    hashing.close()

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


async def test_the_event_loop_goes_on_while_passwords_are_hashed():
    hashing = Hashing(time_cost=1, memory_cost=65536, parallelism=1)
    work = asyncio.gather(*(hashing.hash(PASSWORD) for _ in range(2)))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    hashing.close()

    assert turns > 10


async def test_the_own_password_proves_who_somebody_is_and_nothing_else_does(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await make_user(hub_of_accounts, "bob")
    proven = await hub_of_accounts.passwords.prove("ada", PASSWORD, address=HERE)
    wrong = [("ada", "wrong password"), ("ada", ""), ("bob", PASSWORD), ("bob", ""), ("eve", PASSWORD), ("", "")]
    wrong += [("Ada", PASSWORD), ("\ud800", PASSWORD), ("ada\0", PASSWORD), ("a" * 10_000, PASSWORD)]
    messages = set()
    for name, password in wrong:
        with pytest.raises(Unauthenticated) as refused:
            await hub_of_accounts.passwords.prove(name, password, address=HERE)
        messages.add(refused.value.message)

    assert (proven.id, proven.name, proven.second_factor) == (ada.id, "ada", False)
    assert messages == {"incorrect user name or password"}
    assert proven.kept not in repr(proven)


async def test_what_was_kept_with_other_parameters_is_kept_anew_at_the_next_login(open_hub, clock):
    before = await open_hub()
    await make_user(before, "ada", password=PASSWORD)
    first = await before.passwords.prove("ada", PASSWORD, address=HERE)
    hub = await Hub.open(before.settings, clock=clock, hashing=Hashing(time_cost=2, memory_cost=16, parallelism=1))
    second = await hub.passwords.prove("ada", PASSWORD, address=HERE)
    third = await hub.passwords.prove("ada", PASSWORD, address=HERE)
    await hub.close()

    assert "m=8,t=1" in first.kept
    assert "m=16,t=2" in second.kept
    assert third == second


async def test_a_changed_password_ends_other_sessions_and_the_logins_of_clients(open_hub):
    here, there = await open_hub(), await open_hub()
    ada = await make_user(here, "ada", password=PASSWORD)
    mine, other = await sign_in(here), await sign_in(there)
    login = await here.tokens.create_login(ada, "docker")
    personal = (await here.tokens.create(ada, "ci", ada.scopes, expires_in=None)).secret
    await here.accounts.change_password(ada, PASSWORD, "another password", cookie=mine.cookie)

    assert await there.sessions.actor(mine.cookie, address="")
    assert await there.sessions.actor(other.cookie, address="") is None
    assert await raised(lambda: there.credentials.token(login, address=HERE)) is Unauthenticated
    assert (await there.credentials.token(personal, address=HERE)).id == ada.id
    assert await raised(lambda: sign_in(there)) is Unauthenticated
    assert await sign_in(there, password="another password")


async def test_changing_the_password_takes_the_current_one(hub_of_accounts):
    ada = await make_user(hub_of_accounts, "ada", password=PASSWORD)
    with pytest.raises(Unauthenticated):
        await hub_of_accounts.accounts.change_password(ada, "wrong password", "another password")
    with pytest.raises(Invalid, match="too short"):
        await hub_of_accounts.accounts.change_password(ada, PASSWORD, "short")

    assert await sign_in(hub_of_accounts)


async def test_a_password_set_by_an_administrator_ends_everything_and_turns_the_second_factor_off(hub_of_accounts):
    hub = hub_of_accounts
    ada = await make_user(hub, "ada", password=PASSWORD)
    session = await sign_in(hub)
    login = await hub.tokens.create_login(ada, "docker")
    await hub.accounts.set_password(SYSTEM, "ada", "another password")

    assert await hub.sessions.actor(session.cookie, address="") is None
    assert await raised(lambda: hub.credentials.token(login, address=HERE)) is Unauthenticated
    assert await sign_in(hub, password="another password")
    assert await raised(lambda: hub.accounts.set_password(SYSTEM, "ada", "short")) is Invalid
