"""Limits on guessing: they hold over all processes, for names that nobody has too, and lock nobody out."""

import asyncio

import pytest
from registry.people import ELSEWHERE, HERE, PASSWORD, make_user, sign_in
from registry.pushing import raised
from sqlalchemy import func, select

from dockyard.errors import Conflict, TooMany, Unauthenticated
from dockyard.registry import account_schema
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.hub import Hub
from dockyard.registry.limits import OF_ADDRESS, OF_NAME, OF_NAME_AT_ADDRESS, network_of
from dockyard.registry.passwords import Hashing


async def guess(hub, name="ada", address=ELSEWHERE):
    return await raised(lambda: sign_in(hub, name, "wrong password", address=address))


async def guesses(hub, count, **options):
    return [await guess(hub, **options) for _ in range(count)]


@pytest.mark.parametrize("name", ["ada", "nobody", "Not A Name"])
async def test_a_name_may_be_tried_so_often_at_an_address_by_all_processes_together(open_hub, clock, name):
    hubs = [await open_hub() for _ in range(2)]
    await make_user(hubs[0], "ada", password=PASSWORD)
    outcomes = [await guess(hubs[turn % 2], name) for turn in range(OF_NAME_AT_ADDRESS + 3)]
    with pytest.raises(TooMany) as refused:
        await sign_in(hubs[1], name, address=ELSEWHERE)
    clock.passes(refused.value.retry_after)

    assert outcomes == [Unauthenticated] * OF_NAME_AT_ADDRESS + [TooMany] * 3
    assert 14 * 60 <= refused.value.retry_after <= 15 * 60
    assert await guess(hubs[0], name) is Unauthenticated


async def test_what_is_tried_at_once_gets_little_further(open_hub):
    hubs = [await open_hub() for _ in range(2)]
    await make_user(hubs[0], "ada", password=PASSWORD)
    outcomes = await asyncio.gather(*(guess(hubs[turn % 2]) for turn in range(60)))

    assert OF_NAME_AT_ADDRESS <= outcomes.count(Unauthenticated) < OF_NAME_AT_ADDRESS + 4
    assert set(outcomes) == {Unauthenticated, TooMany}


async def test_many_right_logins_at_once_are_no_guessing(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    outcomes = await asyncio.gather(*(raised(lambda: sign_in(hub_of_accounts)) for _ in range(30)))

    assert outcomes == [None] * 30


@pytest.fixture
async def slow_hub(open_hub, clock):
    """A hub where passwords are what takes time, as they do in earnest."""
    hashing = Hashing(time_cost=2, memory_cost=16384, parallelism=1)
    hub = await Hub.open((await open_hub()).settings, clock=clock, hashing=hashing)
    yield hub
    await hub.close()


async def test_nobody_waits_behind_the_many_logins_of_somebody_else(slow_hub):
    for name in ("ada", "bob"):
        await make_user(slow_hub, name, password=PASSWORD)
    proven = []

    async def prove(name):
        await slow_hub.passwords.prove(name, PASSWORD, address=HERE)
        proven.append(name)

    await asyncio.gather(*(prove(name) for name in ["ada"] * 30 + ["bob"]))

    assert proven.index("bob") < 15


async def test_nobody_waits_behind_the_many_tries_of_an_invitation(slow_hub):
    await make_user(slow_hub, "bob", password=PASSWORD)
    code = (await slow_hub.sign_up.invite(SYSTEM)).code
    done, begun = [], asyncio.Event()

    async def accept():
        done.append(await raised(lambda: slow_hub.sign_up.accept(code, "bob", PASSWORD, address=ELSEWHERE)))
        begun.set()

    async def prove():
        await begun.wait()
        done.append((await slow_hub.passwords.prove("bob", PASSWORD, address=HERE)).name)

    await asyncio.gather(*(accept() for _ in range(30)), prove())

    assert done.index("bob") < 15
    assert done.count(Conflict) == 30


async def test_a_stranger_locks_nobody_out_at_another_address(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS + 1)

    assert await guess(hub_of_accounts) is TooMany
    assert await sign_in(hub_of_accounts, address=HERE)


async def test_many_strangers_lock_nobody_out_where_they_have_logged_in_before(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await sign_in(hub_of_accounts, address=HERE)
    for number in range(OF_NAME // OF_NAME_AT_ADDRESS):
        await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS, address=f"203.0.113.{number}")

    assert await guess(hub_of_accounts, address="203.0.113.200") is TooMany
    assert await guess(hub_of_accounts, address=HERE) is Unauthenticated
    assert await sign_in(hub_of_accounts, address=HERE)


async def test_what_a_limit_refused_is_not_counted_again(hub_of_accounts, clock):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS)
    clock.passes(14 * 60)
    await guesses(hub_of_accounts, 20)
    clock.passes(60)

    assert await guesses(hub_of_accounts, 2) == [Unauthenticated] * 2


async def test_a_neighbour_behind_the_same_address_keeps_nobody_out_who_is_known_there(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await sign_in(hub_of_accounts, address=ELSEWHERE)
    for number in range(OF_ADDRESS // OF_NAME_AT_ADDRESS):
        await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS, name=f"name{number}")

    assert await guess(hub_of_accounts, "another") is TooMany
    assert await sign_in(hub_of_accounts, address=ELSEWHERE)


async def test_an_address_may_try_so_many_names(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    for number in range(OF_ADDRESS // OF_NAME_AT_ADDRESS):
        await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS, name=f"name{number}")

    assert await guess(hub_of_accounts, "another") is TooMany
    assert await raised(lambda: sign_in(hub_of_accounts, address=ELSEWHERE)) is TooMany
    assert await sign_in(hub_of_accounts, address=HERE)


async def test_a_login_of_ones_own_does_not_let_an_address_guess_on(hub_of_accounts):
    await make_user(hub_of_accounts, "eve", password=PASSWORD)
    for number in range(OF_ADDRESS // OF_NAME_AT_ADDRESS):
        await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS - 1, name=f"name{number}")
        await sign_in(hub_of_accounts, "eve", address=ELSEWHERE)
    await guesses(hub_of_accounts, 5, name="another")

    assert await guess(hub_of_accounts, "yet-another") is TooMany


async def test_a_right_password_forgets_the_slips_before_it(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    for _ in range(3):
        await guesses(hub_of_accounts, OF_NAME_AT_ADDRESS - 1)
        await sign_in(hub_of_accounts, address=ELSEWHERE)

    assert await guess(hub_of_accounts) is Unauthenticated


async def test_the_addresses_of_one_network_of_ipv6_count_as_one(hub_of_accounts):
    for number in range(OF_NAME_AT_ADDRESS):
        await guess(hub_of_accounts, address=f"2001:db8:1:2::{number:x}")

    assert await guess(hub_of_accounts, address="2001:db8:1:2:ffff::1") is TooMany
    assert await guess(hub_of_accounts, address="2001:db8:1:3::1") is Unauthenticated


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("not an address", "not an address"),
    ],
)
def test_what_counts_as_one_address(address, network):
    assert network_of(address) == network


async def test_wrong_codes_count_by_address_alone(hub_of_accounts):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    for _ in range(OF_ADDRESS):
        await hub_of_accounts.limits.check(None, ELSEWHERE)
        await hub_of_accounts.limits.failed(None, ELSEWHERE)

    assert await raised(lambda: hub_of_accounts.limits.check(None, ELSEWHERE)) is TooMany
    assert await raised(lambda: hub_of_accounts.limits.check("ada", HERE)) is None


async def test_counts_that_are_over_and_what_people_typed_are_not_kept(hub_of_accounts, clock):
    await guesses(hub_of_accounts, 3, name="hunter2-in-the-wrong-field")
    clock.passes(3600)
    await guess(hub_of_accounts)
    query = select(func.min(account_schema.attempts.c.stretch), func.count())
    oldest, count = await hub_of_accounts.content.database.read(lambda connection: connection.execute(query).one())
    subjects = await hub_of_accounts.content.database.read(
        lambda connection: "".join(connection.scalars(select(account_schema.attempts.c.subject)))
    )

    assert (oldest, count) == (clock.now // 60, 3)
    assert set(subjects) <= set("0123456789abcdef")


async def test_an_address_that_was_long_not_used_is_known_no_longer(hub_of_accounts, clock):
    await make_user(hub_of_accounts, "ada", password=PASSWORD)
    await sign_in(hub_of_accounts, address=ELSEWHERE)
    clock.passes(181 * 86400)
    await sign_in(hub_of_accounts, address=HERE)
    addresses = select(account_schema.known_addresses.c.address)

    assert await hub_of_accounts.content.database.read(lambda c: list(c.scalars(addresses))) == [HERE]
