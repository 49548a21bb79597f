"""Tokens: what they are good for, until when, and that their secret is kept nowhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from registry.people import make_user
from registry.pushing import Clock
from sqlalchemy import select

from dockyard.errors import Denied, Invalid, NotFound, Unauthenticated
from dockyard.registry import account_schema
from dockyard.registry.access import ALL_SCOPES, ANONYMOUS, Actor, Scope
from dockyard.registry.hub import Hub
from dockyard.registry.tokens import LOGIN_SECONDS, LOGINS, LOGINS_OF_ALL, is_secret


async def by_token(hub: Hub, secret: str) -> Actor:
    return await hub.credentials.token(secret, address="192.0.2.7")


async def test_a_token_does_what_its_scopes_hold_for_its_own_account(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    new = await hub.tokens.create(ada, "ci", [Scope.WRITE])
    actor = await by_token(hub, new.secret)

    assert (actor.name, actor.id, actor.token, actor.address) == ("ada", ada.id, new.token.id, "192.0.2.7")
    assert actor.scopes == {Scope.READ, Scope.WRITE}
    assert new.token.scopes == ["write"]
    assert is_secret(new.secret) and new.secret.startswith("dyp_")


async def test_a_secret_is_in_no_file_no_log_row_and_no_text_of_its_token(hub_of_accounts: Hub, tmp_path: Path) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    new = await hub.tokens.create(ada, "ci", ALL_SCOPES)
    login = await hub.tokens.create_login(ada, "docker")
    await by_token(hub, new.secret)
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    for secret in (new.secret, login):
        assert secret.encode() not in files
        assert secret not in repr(new)


async def test_a_token_that_expires_is_good_until_then(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    new = await hub.tokens.create(await make_user(hub, "ada"), "ci", [Scope.READ], expires_in=60)
    clock.passes(59.9)
    await by_token(hub, new.secret)
    clock.passes(0.1)

    with pytest.raises(Unauthenticated):
        await by_token(hub, new.secret)


async def test_a_revoked_token_is_over_at_once_in_every_process(open_hub: Callable[..., Awaitable[Hub]]) -> None:
    one, other = await open_hub(), await open_hub()
    ada = await make_user(one, "ada")
    new = await one.tokens.create(ada, "ci", ALL_SCOPES)
    await by_token(other, new.secret)
    await one.tokens.revoke(ada, new.token.id)

    for hub in (one, other):
        with pytest.raises(Unauthenticated):
            await by_token(hub, new.secret)
    assert await one.tokens.all(ada) == []


async def test_logins_end_with_the_token_they_were_made_with(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    kept = await hub.tokens.create_login(ada, "docker")
    revoked, short = [await hub.tokens.create(ada, name, [Scope.READ], expires_in=3600) for name in ("one", "two")]
    of_revoked = await hub.tokens.create_login(await by_token(hub, revoked.secret), "docker")
    of_short = await hub.tokens.create_login(await by_token(hub, short.secret), "docker")
    await hub.tokens.revoke(ada, revoked.token.id)

    with pytest.raises(Unauthenticated):
        await by_token(hub, of_revoked)
    assert (await by_token(hub, of_short)).scopes == {Scope.READ}
    clock.passes(3600)
    with pytest.raises(Unauthenticated):
        await by_token(hub, of_short)
    assert (await by_token(hub, kept)).scopes == ALL_SCOPES


async def test_of_the_logins_only_the_newest_are_kept(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    first = await hub.tokens.create_login(ada, "docker")
    others = [await hub.tokens.create_login(ada, "docker") for _ in range(LOGINS)]
    for number in range(LOGINS_OF_ALL):
        await hub.tokens.create_login(ada, f"client {number}")

    for secret in (first, others[0]):
        with pytest.raises(Unauthenticated):
            await by_token(hub, secret)
    assert len(await hub.tokens.all(ada)) == LOGINS_OF_ALL
    clock.passes(LOGIN_SECONDS)
    await hub.tokens.create_login(ada, "docker")
    assert [token.kind for token in await hub.tokens.all(ada)] == ["login"]


async def test_a_token_makes_no_token_that_does_more(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    writer = await by_token(hub, (await hub.tokens.create(ada, "ci", [Scope.WRITE])).secret)
    manager = await by_token(hub, (await hub.tokens.create(ada, "all", [Scope.ADMIN])).secret)

    with pytest.raises(Denied):
        await hub.tokens.create(writer, "more", [Scope.READ])
    with pytest.raises(Denied):
        await hub.tokens.revoke(writer, 1)
    with pytest.raises(Unauthenticated):
        await hub.tokens.create(ANONYMOUS, "nobody's", [Scope.READ])
    assert (await hub.tokens.create(manager, "as much", ALL_SCOPES)).token.scopes == [
        "read",
        "write",
        "delete",
        "admin",
    ]


async def test_tokens_of_others_are_not_there(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada, bob = await make_user(hub, "ada"), await make_user(hub, "bob", administrator=True)
    new = await hub.tokens.create(ada, "ci", ALL_SCOPES)

    for id in (new.token.id, new.token.id + 1):
        with pytest.raises(NotFound):
            await hub.tokens.revoke(bob, id)
    assert await hub.tokens.all(bob) == []
    await by_token(hub, new.secret)


@pytest.mark.parametrize(
    ("name", "scopes", "seconds"),
    [
        ("", [Scope.READ], None), (" ", [Scope.READ], None), ("a\nb", [Scope.READ], None), ("a\0", [Scope.READ], None),
        ("x" * 101, [Scope.READ], None), ("ci", [], None), ("ci", [Scope.READ], 0), ("ci", [Scope.READ], -1),
        ("ci", [Scope.READ], 10**12),
    ],
)  # fmt: skip
async def test_what_no_token_can_be_is_refused(
    hub_of_accounts: Hub, name: str, scopes: list[Scope], seconds: int | None
) -> None:
    ada = await make_user(hub_of_accounts, "ada")

    with pytest.raises(Invalid):
        await hub_of_accounts.tokens.create(ada, name, scopes, expires_in=seconds)


async def test_the_last_use_is_written_about_once_a_minute(hub_of_accounts: Hub, clock: Clock) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    new = await hub.tokens.create(ada, "ci", ALL_SCOPES)
    seen: list[float | None] = []
    for seconds in (0, 59, 1):
        clock.passes(seconds)
        await by_token(hub, new.secret)
        await hub.tokens.write()
        [token] = await hub.tokens.all(ada)
        seen.append(token.used and token.used.timestamp())

    assert seen == [clock.now - 60, clock.now - 60, clock.now]


async def test_tokens_are_in_the_audit_log(hub_of_accounts: Hub) -> None:
    hub = hub_of_accounts
    ada = await make_user(hub, "ada")
    new = await hub.tokens.create(ada, "ci", [Scope.READ])
    await hub.tokens.create_login(ada, "docker\n")
    await hub.tokens.revoke(ada, new.token.id)
    columns = (
        account_schema.audit.c.action,
        account_schema.audit.c.target,
        account_schema.audit.c.detail,
        account_schema.audit.c.address,
    )
    rows = await hub.content.database.read(lambda connection: connection.execute(select(*columns)).all())

    assert [tuple(row) for row in rows if row.action.startswith(("token", "login"))] == [
        ("token.create", "ada", '{"token": "ci", "scopes": ["read"]}', "192.0.2.1"),
        ("login.create", "ada", '{"client": "docker"}', "192.0.2.1"),
        ("token.revoke", "ada", '{"kind": "personal", "token": "ci"}', "192.0.2.1"),
    ]
