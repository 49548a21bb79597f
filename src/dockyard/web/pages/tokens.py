"""Personal access tokens, and the logins that clients keep."""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING, Any

from dockyard.errors import Conflict, Invalid
from dockyard.registry.access import Scope
from dockyard.web.pages.tabs import settings_page
from dockyard.web.pages.visit import sentence

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit

DAY = 86400
LONGEST = 3650
"""Days that a token with an end may last."""

SCOPES = {
    "read": "pull, list and search",
    "write": "push and create repositories",
    "delete": "delete tags, images and repositories",
    "admin": "all of it, and settings, members and tokens",
}
EXPIRIES = {"30": "in 30 days", "90": "in 90 days", "365": "in a year", "never": "never", "date": "after the day"}
_FRESH: dict[str, Any] = {"name": "", "scopes": ["read", "write"], "expires": "90", "date": ""}


class DateInvalid(Invalid):
    """Not a day that a token can end on."""


async def show(visit: Visit) -> Response:
    """All of the account's."""
    return await _tokens(visit, _FRESH)


async def act(visit: Visit, form: Form) -> Response:
    """Make one, and show its secret this once; or revoke one."""
    if form.text("do") == "revoke":
        await visit.hub.tokens.revoke(visit.user, form.number("id"))
        return visit.redirect("/account/tokens?done=revoked")
    typed = {
        "name": form.text("name"),
        "scopes": form.all("scope"),
        "expires": form.text("expires"),
        "date": form.text("date"),
    }
    try:
        scopes = [Scope(name) for name in form.all("scope") if name in SCOPES]
        seconds = expiry(form.text("expires"), form.text("date"), visit.hub.clock())
        made = await visit.hub.tokens.create(visit.user, form.text("name"), scopes, expires_in=seconds)
    except (Invalid, Conflict) as error:
        return await _tokens(visit, typed, error)
    return await settings_page(visit, "token", made=made)


def expiry(choice: str, date: str, now: float) -> int | None:
    """Seconds from ``now`` that a token shall last, ``None`` for ever; a day counts to its last minute, in UTC.

    DateInvalid.
    """
    if choice == "never":
        return None
    if choice != "date":
        if choice not in EXPIRIES:
            raise DateInvalid("choose when the token shall end")
        return int(choice) * DAY
    try:
        day = dt.date.fromisoformat(date)
    except ValueError:
        raise DateInvalid("choose the day that the token shall end on") from None
    end = dt.datetime.combine(day, dt.time(23, 59), dt.UTC).timestamp()
    if not now < end < now + LONGEST * DAY:
        raise DateInvalid("the day must be to come, and within ten years")
    return math.ceil(end - now)


async def _tokens(visit: Visit, typed: dict[str, Any], error: DockyardError | None = None) -> Response:
    errors: dict[str, str] = {}
    if error:
        field = "date" if isinstance(error, DateInvalid) else "scope" if not typed["scopes"] else "name"
        errors = {field: sentence(error)}
    tokens = await visit.hub.tokens.all(visit.user)
    return await settings_page(
        visit,
        "tokens",
        error=error,
        errors=errors,
        typed=typed,
        scopes=SCOPES,
        expiries=EXPIRIES,
        personal=[token for token in tokens if token.kind == "personal"],
        logins=[token for token in tokens if token.kind == "login"],
    )
