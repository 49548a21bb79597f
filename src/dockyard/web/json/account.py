"""The asker's own account: settings, password, second factor, sessions."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import UNSET, Struct, UnsetType

from dockyard.errors import Conflict, Denied, NotFound, TooMany
from dockyard.registry.profiles import NewSecondFactor, OwnAccount, Session
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import Code, Email, FullName, NewSecret, Secret, given


class AccountChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is not there stays as it is."""

    full_name: FullName | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    default_private: bool | UnsetType = UNSET


class PasswordChange(Struct, frozen=True, forbid_unknown_fields=True):
    """The password that holds, and the new one."""

    current: Secret
    new: NewSecret


class Password(Struct, frozen=True, forbid_unknown_fields=True):
    """The password, once more."""

    password: Secret


class FirstCode(Struct, frozen=True, forbid_unknown_fields=True):
    """What the authenticator shows."""

    code: Code


class PasswordAndCode(Struct, frozen=True, forbid_unknown_fields=True):
    """Both factors, once more."""

    password: Secret
    code: Code


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """Codes that stand in for the authenticator once each; shown once."""

    codes: list[str] = field(repr=False)


@endpoint("GET", "/account", "The own account", Denied, NotFound)
async def get_account(ask: Ask) -> OwnAccount:
    """Answer with the account."""
    return await ask.hub.accounts.own(ask.actor)


@endpoint("PATCH", "/account", "Change settings of the own account", Denied, NotFound)
async def patch_account(ask: Ask, body: AccountChange) -> OwnAccount:
    """Change what the body has."""
    return await ask.hub.accounts.configure(ask.actor, **given(body))


@endpoint("PUT", "/account/password", "Change the own password; other sessions and logins end", Denied, TooMany)
async def put_password(ask: Ask, body: PasswordChange) -> None:
    """Change the password."""
    await ask.hub.accounts.change_password(ask.actor, body.current, body.new, cookie=ask.cookie)


@endpoint("POST", "/account/second-factor", "Begin with a second factor: a secret for the authenticator", Denied,
          Conflict, TooMany)  # fmt: skip
async def begin_second_factor(ask: Ask, body: Password) -> NewSecondFactor:
    """Answer with the secret, which holds once its first code was sent."""
    return await ask.hub.second_factor.begin(ask.actor, body.password)


@endpoint("PUT", "/account/second-factor", "Turn the second factor on with its first code", Denied, Conflict, TooMany)
async def confirm_second_factor(ask: Ask, body: FirstCode) -> RecoveryCodes:
    """Turn it on, and answer with the recovery codes."""
    return RecoveryCodes(await ask.hub.second_factor.confirm(ask.actor, body.code))


@endpoint("DELETE", "/account/second-factor", "Turn the second factor off", Denied, Conflict, TooMany)
async def disable_second_factor(ask: Ask, body: PasswordAndCode) -> None:
    """Turn it off."""
    await ask.hub.second_factor.disable(ask.actor, body.password, body.code)


@endpoint("GET", "/account/sessions", "The browsers that are signed in", Denied)
async def get_sessions(ask: Ask) -> Listing[Session]:
    """Answer with all of them."""
    return Listing(list(await ask.hub.sessions.all(ask.actor, ask.cookie)))


@endpoint("DELETE", "/account/sessions/{id}", "Sign a browser out", Denied, NotFound)
async def delete_session(ask: Ask, id: int) -> None:
    """End the session."""
    await ask.hub.sessions.end(ask.actor, id)
