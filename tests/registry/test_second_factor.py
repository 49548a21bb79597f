"""The second factor: on only when confirmed, each code once, and no way around it."""

import asyncio
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
from registry.people import ELSEWHERE, HERE, PASSWORD, audited, make_user, sign_in
from registry.pushing import raised
from sqlalchemy import select

from dockyard.errors import Conflict, Denied, Invalid, SecondFactorNeeded, TooMany, Unauthenticated
from dockyard.registry import account_schema
from dockyard.registry.access import ANONYMOUS
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.limits import OF_NAME_AT_ADDRESS


@pytest.fixture
async def hub(open_hub):
    return await open_hub()


@pytest.fixture
async def ada(hub):
    return await make_user(hub, "ada", password=PASSWORD)


class Device:
    """The app that has the secret."""

    def __init__(self, secret, clock):
        self.totp, self.clock = pyotp.TOTP(secret), clock

    def code(self, steps=0):
        return self.totp.at(int(self.clock.now), counter_offset=steps)


async def turn_on(hub, actor, clock):
    begun = await hub.second_factor.begin(actor, PASSWORD)
    device = Device(begun.secret, clock)
    codes = await hub.second_factor.confirm(actor, device.code())
    clock.passes(30)
    return device, codes


async def test_the_secret_comes_as_a_key_uri_that_apps_read(hub, ada):
    begun = await hub.second_factor.begin(ada, PASSWORD)
    uri = urlsplit(begun.uri)
    values = {name: value for name, [value] in parse_qs(uri.query).items()}

    assert (uri.scheme, uri.netloc, uri.path) == ("otpauth", "totp", "/hub.example:ada")
    assert values == {"secret": begun.secret, "issuer": "hub.example"}
    assert begun.secret not in repr(begun)


async def test_a_second_factor_is_off_until_a_code_confirms_it(hub, ada, clock):
    begun = await hub.second_factor.begin(ada, PASSWORD)
    with pytest.raises(Invalid):
        await hub.second_factor.confirm(ada, "000000")
    before = await hub.accounts.own(ada)
    signed_in = await sign_in(hub)
    codes = await hub.second_factor.confirm(ada, Device(begun.secret, clock).code())

    assert signed_in and not before.second_factor
    assert (await hub.accounts.own(ada)).second_factor
    assert len(set(codes)) == 10
    assert await raised(lambda: sign_in(hub)) is SecondFactorNeeded


async def test_beginning_takes_the_password_and_only_what_was_begun_last_is_confirmed(hub, ada, clock):
    assert await raised(lambda: hub.second_factor.begin(ada, "wrong password")) is Unauthenticated
    assert await raised(lambda: hub.second_factor.begin(ANONYMOUS, PASSWORD)) is Unauthenticated
    assert await raised(lambda: hub.second_factor.begin(SYSTEM, PASSWORD)) is Denied
    assert await raised(lambda: hub.second_factor.confirm(ada, "123456")) is Conflict
    first = Device((await hub.second_factor.begin(ada, PASSWORD)).secret, clock)
    second = Device((await hub.second_factor.begin(ada, PASSWORD)).secret, clock)

    assert await raised(lambda: hub.second_factor.confirm(ada, first.code())) is Invalid
    assert await hub.second_factor.confirm(ada, second.code())
    assert await raised(lambda: hub.second_factor.confirm(ada, second.code())) is Conflict
    assert await raised(lambda: hub.second_factor.begin(ada, PASSWORD)) is Conflict


@pytest.mark.parametrize("code", [None, "", "  "])
async def test_with_a_second_factor_the_password_alone_is_not_enough(hub, ada, clock, code):
    await turn_on(hub, ada, clock)

    assert await raised(lambda: sign_in(hub, code=code)) is SecondFactorNeeded
    assert await raised(lambda: sign_in(hub, password="wrong password", code=code)) is Unauthenticated


async def test_each_code_signs_in_once_on_any_process(hub, ada, clock, open_hub):
    device, _ = await turn_on(hub, ada, clock)
    hubs = [hub, await open_hub()]
    code = device.code()
    outcomes = await asyncio.gather(*(raised(lambda one=one: sign_in(one, code=code)) for one in hubs * 2))

    assert sorted(outcomes, key=str) == [Unauthenticated] * 3 + [None]


async def test_a_code_counts_one_step_before_and_after_its_own_and_never_before_the_last_one(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    clock.passes(300)
    tried = []
    for steps in (-2, 2, -1, 0, -1, 1, 0):
        tried.append((steps, await raised(lambda steps=steps: sign_in(hub, code=device.code(steps)))))

    assert tried == [
        (-2, Unauthenticated),
        (2, Unauthenticated),
        (-1, None),
        (0, None),
        (-1, Unauthenticated),
        (1, None),
        (0, Unauthenticated),
    ]


async def test_the_code_that_confirmed_does_not_sign_in(hub, ada, clock):
    begun = await hub.second_factor.begin(ada, PASSWORD)
    code = Device(begun.secret, clock).code()
    await hub.second_factor.confirm(ada, code)

    assert await raised(lambda: sign_in(hub, code=code)) is Unauthenticated


async def test_a_code_may_be_typed_with_a_space(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    code = device.code()

    assert await sign_in(hub, code=f" {code[:3]} {code[3:]} ")


@pytest.mark.parametrize(
    "code", ["12345", "1234567", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "\ud800", "-" * 9]
)
async def test_what_is_no_code_is_wrong(hub, ada, clock, code):
    await turn_on(hub, ada, clock)

    assert await raised(lambda: sign_in(hub, code=code)) is Unauthenticated


async def test_a_recovery_code_signs_in_once_on_any_process(hub, ada, clock, open_hub):
    _, codes = await turn_on(hub, ada, clock)
    hubs = [hub, await open_hub()]
    outcomes = await asyncio.gather(*(raised(lambda one=one: sign_in(one, code=codes[0])) for one in hubs * 2))
    typed = codes[1].upper().replace("-", " ")

    assert sorted(outcomes, key=str) == [Unauthenticated] * 3 + [None]
    assert await sign_in(hub, code=typed)
    assert await raised(lambda: sign_in(hub, code=codes[1])) is Unauthenticated


async def test_recovery_codes_are_kept_hashed_and_belong_to_one_account(hub, ada, clock):
    _, codes = await turn_on(hub, ada, clock)
    eve = await make_user(hub, "eve", password=PASSWORD)
    await turn_on(hub, eve, clock)
    kept = await hub.content.database.read(lambda c: list(c.scalars(select(account_schema.recovery_codes.c.hash))))

    assert len(kept) == 20
    assert not set(codes) & set(kept)
    assert await raised(lambda: sign_in(hub, "eve", code=codes[0])) is Unauthenticated


async def test_codes_can_not_be_guessed_beyond_the_limit(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    outcomes = [await raised(lambda: sign_in(hub, code="000000")) for _ in range(OF_NAME_AT_ADDRESS + 1)]

    assert outcomes == [Unauthenticated] * OF_NAME_AT_ADDRESS + [TooMany]
    assert await raised(lambda: sign_in(hub, code=device.code())) is TooMany
    assert await sign_in(hub, code=device.code(), address=ELSEWHERE)


async def test_the_password_alone_makes_no_address_known(hub, ada, clock):
    await turn_on(hub, ada, clock)
    await raised(lambda: sign_in(hub, address=ELSEWHERE))
    await hub.passwords.prove("ada", PASSWORD, address=ELSEWHERE)
    addresses = select(account_schema.known_addresses.c.address)

    assert await hub.content.database.read(lambda c: list(c.scalars(addresses))) == [HERE]


async def pending(hub):
    with pytest.raises(SecondFactorNeeded) as needed:
        await sign_in(hub)
    return needed.value.pending


async def finish(hub, pending, code):
    return await hub.sessions.finish(pending, code, address=HERE, agent="a browser")


async def test_a_sign_in_goes_on_with_the_code_and_without_the_password(hub, ada, clock, open_hub):
    device, codes = await turn_on(hub, ada, clock)
    waiting = await pending(hub)
    other = await open_hub()

    assert PASSWORD not in waiting
    assert await raised(lambda: finish(other, waiting, "000000")) is Unauthenticated
    assert await raised(lambda: finish(other, waiting, "")) is SecondFactorNeeded
    assert await finish(other, waiting, device.code())
    assert await raised(lambda: finish(other, waiting, device.code())) is Unauthenticated
    assert await finish(other, waiting, codes[0])


async def test_a_sign_in_that_waited_too_long_or_was_made_up_does_not_go_on(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    waiting = await pending(hub)
    account, expires, proof = waiting.split(".")
    made_up = ["", "x", "..", f"{account}.{int(expires) + 1}.{proof}", f"2.{expires}.{proof}", f"{account}.{expires}."]
    made_up += [f"{account}.{'9' * 50}.{proof}", f"\u0661.{expires}.{proof}", waiting + "\ud800", waiting * 10]
    for text in made_up:
        assert await raised(lambda text=text: finish(hub, text, device.code())) is Unauthenticated
    clock.passes(300)

    assert await raised(lambda: finish(hub, waiting, device.code())) is Unauthenticated


async def test_a_changed_password_or_a_block_ends_a_sign_in_that_waits(hub, ada, clock):
    await make_user(hub, "root", administrator=True)
    device, _ = await turn_on(hub, ada, clock)
    first = await pending(hub)
    await hub.accounts.change_password(ada, PASSWORD, "another password")
    changed = await raised(lambda: finish(hub, first, device.code()))
    await hub.accounts.change_password(ada, "another password", PASSWORD)
    second = await pending(hub)
    await hub.accounts.set_blocked(SYSTEM, "ada", True)

    assert changed is Unauthenticated
    assert await raised(lambda: finish(hub, second, device.code())) is Unauthenticated


async def test_going_on_is_limited_as_signing_in_is(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    waiting = await pending(hub)
    outcomes = [await raised(lambda: finish(hub, waiting, "000000")) for _ in range(OF_NAME_AT_ADDRESS + 1)]

    assert outcomes == [Unauthenticated] * OF_NAME_AT_ADDRESS + [TooMany]
    assert await raised(lambda: finish(hub, waiting, device.code())) is TooMany


async def test_turning_it_on_ends_the_logins_that_clients_keep(hub, ada, clock):
    login = await hub.tokens.create_login(ada, "docker")
    await turn_on(hub, ada, clock)

    assert await raised(lambda: hub.credentials.token(login, address=HERE)) is Unauthenticated


async def test_it_is_turned_off_with_password_and_code_and_by_nothing_less(hub, ada, clock):
    device, codes = await turn_on(hub, ada, clock)
    disable = hub.second_factor.disable
    refused = [
        await raised(lambda: disable(ada, "wrong password", device.code())),
        await raised(lambda: disable(ada, PASSWORD, "000000")),
        await raised(lambda: disable(ada, PASSWORD, "")),
    ]
    still = await hub.accounts.own(ada)
    await disable(ada, PASSWORD, device.code())

    assert refused == [Unauthenticated, Unauthenticated, SecondFactorNeeded]
    assert still.second_factor and not (await hub.accounts.own(ada)).second_factor
    assert await sign_in(hub)
    assert await raised(lambda: disable(ada, PASSWORD, codes[0])) is Conflict


async def test_recovery_codes_of_before_are_worth_nothing_when_it_is_turned_on_again(hub, ada, clock):
    _, old = await turn_on(hub, ada, clock)
    await hub.second_factor.disable(ada, PASSWORD, old[0])
    await turn_on(hub, ada, clock)

    assert await raised(lambda: sign_in(hub, code=old[1])) is Unauthenticated


async def test_an_administrator_who_sets_a_password_turns_it_off(hub, ada, clock):
    await turn_on(hub, ada, clock)
    await hub.accounts.set_password(SYSTEM, "ada", "another password")

    assert await sign_in(hub, password="another password")
    assert not (await hub.accounts.own(ada)).second_factor


async def test_changes_of_it_are_in_the_audit_log(hub, ada, clock):
    device, _ = await turn_on(hub, ada, clock)
    await hub.second_factor.disable(ada, PASSWORD, device.code())

    assert await audited(hub) == [("ada", "second-factor.enable", "ada"), ("ada", "second-factor.disable", "ada")]
