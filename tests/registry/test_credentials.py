"""Who somebody is: passwords, tokens and tickets, and when they count no more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pyotp
import pytest
from registry.people import make_user
from registry.pushing import Clock
from sqlalchemy import event

from dockyard.errors import TooMany, Unauthenticated
from dockyard.oci.reference import RepositoryName
from dockyard.registry.access import ALL_SCOPES, ANONYMOUS, ROBOT_SCOPES, Actor, Kind, Right, Scope
from dockyard.registry.credentials import REMEMBERED_SECONDS, TOKEN_USER, TRUSTED_SECONDS
from dockyard.registry.hub import Hub
from dockyard.registry.limits import OF_ADDRESS, OF_NAME_AT_ADDRESS

ADDRESS = "192.0.2.7"
PASSWORD = "correct horse"
OTHER_PASSWORD = "battery staple"


async def with_password(hub: Hub, name: str) -> Actor:
    """A new user with :data:`PASSWORD`."""
    root = await make_user(hub, f"root-{name}", administrator=True)
    await hub.accounts.create(root, name, PASSWORD)
    return await hub.credentials.basic(name, PASSWORD, address=ADDRESS)


async def refused(hub: Hub, name: str, password: str, address: str = ADDRESS) -> str:
    """Fail to be somebody; return what was said."""
    with pytest.raises(Unauthenticated) as caught:
        await hub.credentials.basic(name, password, address=address)
    return caught.value.message


async def test_a_name_and_its_password_say_who_somebody_is(hub_of_accounts: Hub) -> None:
    ada = await with_password(hub_of_accounts, "ada")

    assert (ada.name, ada.kind, ada.scopes, ada.granted, ada.token) == ("ada", Kind.USER, ALL_SCOPES, None, None)
    assert ada.address == ADDRESS


async def test_what_is_wrong_is_said_alike(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    await with_password(hub, "ada")
    said = {
        await refused(hub, name, password)
        for name, password in [
            ("ada", "another"), ("nobody", PASSWORD), ("ada", ""), ("Ada", PASSWORD), ("ada+x", PASSWORD),
            (TOKEN_USER, PASSWORD), ("ada", "\ud800"), ("ada\0", PASSWORD),
        ]
    }  # fmt: skip

    assert said == {"incorrect user name or password"}


async def test_what_is_wrong_about_a_token_is_said_alike(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await with_password(hub, "ada")
    new = await hub.tokens.create(ada, "ci", [Scope.READ])
    await hub.tokens.revoke(ada, new.token.id)
    others = await hub.tokens.create(await make_user(hub, "bob"), "ci", [Scope.READ])
    said = {
        await refused(hub, name, secret)
        for name, secret in [
            ("ada", "dyp_" + "x" * 40),
            ("ada", new.secret),
            ("ada", others.secret),
            ("", others.secret),
        ]
    }

    assert len(said) == 1


async def test_a_token_is_a_password_of_its_own_account_only(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada, _ = await make_user(hub, "ada"), await make_user(hub, "bob")
    new = await hub.tokens.create(ada, "ci", [Scope.WRITE])

    for name in ("ada", TOKEN_USER):
        actor = await hub.credentials.basic(name, new.secret, address=ADDRESS)
        assert (actor.name, actor.token) == ("ada", new.token.id)
    await refused(hub, "bob", new.secret)
    await refused(hub, "", new.secret)


async def test_a_robot_logs_in_under_its_whole_name(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    app = RepositoryName("ada/app")
    await hub.repositories.create(ada, app)
    robot = await hub.robots.create(ada, "ada", "ci", {app: Right.WRITE})
    actor = await hub.credentials.basic("ada+ci", robot.secret, address=ADDRESS)

    assert (actor.name, actor.kind) == ("ada+ci", Kind.ROBOT)
    assert actor.scopes <= ROBOT_SCOPES
    await refused(hub, "ada", robot.secret)


async def test_with_a_second_factor_only_tokens_count(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await with_password(hub, "ada")
    begun = await hub.second_factor.begin(ada, PASSWORD)
    await hub.second_factor.confirm(ada, pyotp.TOTP(begun.secret).at(int(clock.now)))
    new = await hub.tokens.create(ada, "ci", [Scope.READ])

    assert "personal access token" in await refused(hub, "ada", PASSWORD)
    assert await refused(hub, "ada", "another") == "incorrect user name or password"
    await hub.credentials.basic("ada", new.secret, address=ADDRESS)


async def test_a_password_is_proved_once_while_it_is_the_one(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await with_password(hub, "ada")
    proofs: list[str] = []
    event.listen(
        hub.content.database._readers,
        "before_cursor_execute",
        lambda connection, cursor, statement, *_: proofs.append(statement) if "attempts" in statement else None,
    )

    async def again() -> int:
        proofs.clear()
        await hub.credentials.basic("ada", PASSWORD, address=ADDRESS)
        return len(proofs)

    assert await again() == 0
    await make_user(hub, "bob")
    assert await again() == 0, "somebody else's change costs no proof"
    clock.passes(REMEMBERED_SECONDS)
    assert await again() > 0
    await hub.accounts.change_password(ada, PASSWORD, "another one")
    await refused(hub, "ada", PASSWORD)


async def test_who_is_blocked_is_nobody_at_once_in_every_process(open_hub: Callable[..., Awaitable[Hub]]) -> None:
    one, other = await open_hub(), await open_hub()
    ada = await with_password(one, "ada")
    root = await make_user(one, "boss", administrator=True)
    new = await one.tokens.create(ada, "ci", [Scope.READ])
    ticket = one.signing.issue(ada, [], []).text
    for hub in (one, other):
        await hub.credentials.basic("ada", PASSWORD, address=ADDRESS)
        await hub.credentials.ticket(ticket, address=ADDRESS)
    await one.accounts.set_blocked(root, "ada", True)

    for hub in (one, other):
        await refused(hub, "ada", PASSWORD)
        await refused(hub, "ada", new.secret)
        with pytest.raises(Unauthenticated):
            await hub.credentials.ticket(ticket, address=ADDRESS)


async def test_a_ticket_ends_with_the_token_that_it_was_given_for(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    revoked, short = [await hub.tokens.create(ada, name, [Scope.READ], expires_in=20) for name in ("one", "two")]
    tickets = [
        hub.signing.issue(await hub.credentials.token(new.secret, address=ADDRESS), [], []).text
        for new in (revoked, short)
    ]
    for text in tickets:
        actor, _ = await hub.credentials.ticket(text, address=ADDRESS)
        assert actor.scopes == {Scope.READ}
    await hub.tokens.revoke(ada, revoked.token.id)
    with pytest.raises(Unauthenticated):
        await hub.credentials.ticket(tickets[0], address=ADDRESS)
    clock.passes(20 + TRUSTED_SECONDS)

    with pytest.raises(Unauthenticated):
        await hub.credentials.ticket(tickets[1], address=ADDRESS)


async def test_a_ticket_ends_with_the_password_that_it_was_given_for(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada", password=PASSWORD)
    token = await hub.tokens.create(ada, "ci", [Scope.READ])
    askers = [
        await hub.credentials.basic("ada", PASSWORD, address=ADDRESS),
        await hub.credentials.token(token.secret, address=ADDRESS),
    ]
    of_password, of_token = [hub.signing.issue(asker, [], []).text for asker in askers]
    before = await hub.credentials.ticket(of_password, address=ADDRESS)
    await hub.accounts.change_password(ada, PASSWORD, OTHER_PASSWORD)

    assert before[0].name == "ada"
    with pytest.raises(Unauthenticated):
        await hub.credentials.ticket(of_password, address=ADDRESS)
    assert (await hub.credentials.ticket(of_token, address=ADDRESS))[0].name == "ada"


async def test_a_ticket_narrows_its_actor_to_what_it_was_granted(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    pair = ("pull", "ada/app")
    for actor, name in ((ada, "ada"), (ANONYMOUS, None)):
        text = hub.signing.issue(actor, [pair, ("push", "ada/app")], [pair]).text
        found, ticket = await hub.credentials.ticket(text, address="192.0.2.9")
        assert (found.name, found.granted, found.address) == (name, {pair}, "192.0.2.9")
        assert ticket.asked == {pair, ("push", "ada/app")}


async def test_wrong_passwords_are_limited_and_do_not_lock_out_who_is_known_elsewhere(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    await with_password(hub, "ada")
    for _ in range(OF_NAME_AT_ADDRESS):
        await refused(hub, "ada", "guess", "198.51.100.1")

    with pytest.raises(TooMany):
        await hub.credentials.basic("ada", PASSWORD, address="198.51.100.1")
    assert (await hub.credentials.basic("ada", PASSWORD, address=ADDRESS)).name == "ada"


async def test_a_right_guess_beyond_the_limit_is_refused_also_where_the_password_was_right_before(
    hub_of_accounts: Hub,
) -> None:
    hub = hub_of_accounts
    await with_password(hub, "ada")
    for _ in range(OF_NAME_AT_ADDRESS):
        await refused(hub, "ada", "guess")

    with pytest.raises(TooMany):
        await hub.credentials.basic("ada", PASSWORD, address=ADDRESS)


async def test_wrong_tokens_keep_nobody_from_logging_in(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    await make_user(hub, "ada", password=PASSWORD)
    for number in range(2 * OF_ADDRESS):
        await refused(hub, "ada", f"dyp_{number:040}")

    assert (await hub.credentials.basic("ada", PASSWORD, address=ADDRESS)).name == "ada"
