"""What the pages of the account's settings have in common: their tabs, and what was just done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.registry.profiles import Organisation
    from dockyard.web.pages.visit import Visit

DONE = {
    "saved": "Saved.",
    "password": "Your password is changed. Other browsers and logins have ended.",
    "joined": "You are a member now.",
    "revoked": "Revoked. It stops working within seconds.",
    "ended": "Ended.",
    "second-factor-off": "Two-factor sign-in is off.",
    "withdrawn": "Withdrawn. Its link does not work any more.",
}
"""What a page says after a form, by what its address has in ``done``."""


async def settings_page(visit: Visit, template: str, *, error: DockyardError | None = None, **context: Any) -> Response:
    """Answer with a page of the settings."""
    done = "" if error else DONE.get(visit.query("done"), "")
    may_invite = visit.user.administrator or bool(await inviting(visit))
    return visit.page(template, error=error, **{"done": done, "may_invite": may_invite, **context})


async def inviting(visit: Visit) -> list[Organisation]:
    """The organisations that who is signed in may invite into."""
    if visit.hub.settings.signup == "closed" and not visit.user.administrator:
        return []
    return [entry for entry in await visit.hub.organisations.mine(visit.user) if entry.role == "owner"]
