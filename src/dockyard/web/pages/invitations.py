"""Invitations: for administrators, and for owners of organisations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Denied
from dockyard.web.pages.tabs import inviting, settings_page
from dockyard.web.pages.visit import REFUSALS

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """Those that nobody has taken yet. Denied for who may not invite."""
    return await _invitations(visit)


async def act(visit: Visit, form: Form) -> Response:
    """Make one, and show its link this once; or withdraw one."""
    if form.text("do") == "withdraw":
        await visit.hub.sign_up.withdraw(visit.user, form.number("id"))
        return visit.redirect("/account/invitations?done=withdrawn")
    note, organisation, as_owner = form.text("note"), form.text("organisation"), form.text("role") == "owner"
    try:
        made = await visit.hub.sign_up.invite(
            visit.user, note=note, organisation=organisation or None, as_owner=as_owner and bool(organisation)
        )
    except REFUSALS as error:
        return await _invitations(visit, error, note=note)
    return await settings_page(visit, "invitation", made=made)


async def _invitations(visit: Visit, error: DockyardError | None = None, *, note: str = "") -> Response:
    organisations = await inviting(visit)
    if not (visit.user.administrator or organisations):
        raise Denied("only administrators and owners of organisations invite people")
    invitations = await visit.hub.sign_up.invitations(visit.user)
    return await settings_page(
        visit, "invitations", error=error, invitations=invitations, organisations=organisations, note=note
    )
