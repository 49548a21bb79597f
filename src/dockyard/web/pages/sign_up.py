"""Making an account, by invitation or on a hub that is open to that; and joining an organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from dockyard.errors import Denied
from dockyard.web.pages.new_accounts import field_errors, new_password
from dockyard.web.pages.visit import REFUSALS

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.registry.profiles import Invitation
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """The form, or for who is signed in the question whether to join. NotFound for an invitation that is over."""
    code = visit.query("invitation")
    invitation = await _invitation(visit, code)
    if visit.actor is None:
        return _form(visit, code, invitation)
    if invitation is None:
        return visit.redirect("/")
    return visit.page("join", code=code, invitation=invitation)


async def act(visit: Visit, form: Form) -> Response:
    """Make the account and sign in; or join."""
    code = form.text("invitation")
    invitation = await _invitation(visit, code)
    if visit.actor is not None:
        try:
            await visit.hub.sign_up.join(visit.actor, code)
        except REFUSALS as error:
            return visit.page("join", error=error, code=code, invitation=invitation)
        return visit.redirect("/account?done=joined")
    name = form.text("name")
    try:
        password = new_password(form)
        if code:
            actor = await visit.hub.sign_up.accept(code, name, password, address=visit.address)
        else:
            actor = await visit.hub.sign_up.sign_up(name, password, address=visit.address)
    except REFUSALS as error:
        return _form(visit, code, invitation, name, error)
    return await visit.signed_in(await visit.hub.sessions.begin(actor, agent=visit.agent), "/")


async def _invitation(visit: Visit, code: str) -> Invitation | None:
    if code:
        return await visit.hub.sign_up.invitation(code)
    if visit.actor is None and visit.hub.settings.signup != "open":
        raise Denied("accounts are made by invitation here", hint="Ask an administrator of this hub for one.")
    return None


def _form(
    visit: Visit, code: str, invitation: Invitation | None, name: str = "", error: DockyardError | None = None
) -> Response:
    here = quote(f"/signup?invitation={quote(code, safe='')}", safe="")
    errors = field_errors(error) if error else {}
    return visit.page("signup", error=error, code=code, invitation=invitation, name=name, here=here, errors=errors)
