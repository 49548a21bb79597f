"""Signing in, in one step or two, and out."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from dockyard.errors import SecondFactorNeeded, TooMany, Unauthenticated
from dockyard.web.pages.forms import next_path
from dockyard.web.pages.visit import PENDING

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """The form for name and password."""
    following = next_path(visit.query("next"))
    return visit.redirect(following) if visit.actor else _form(visit, following)


async def act(visit: Visit, form: Form) -> Response:
    """Sign in; where the account has a second factor, ask for its code next."""
    name, following = form.text("name"), next_path(form.text("next"))
    try:
        session = await visit.hub.sessions.sign_in(
            name, form.exact("password"), None, address=visit.address, agent=visit.agent
        )
    except SecondFactorNeeded as needed:
        return visit.await_code(needed.pending, f"/login/code?next={quote(following, safe='')}")
    except (Unauthenticated, TooMany) as error:
        return _form(visit, following, name, error)
    return await visit.signed_in(session, following)


async def show_code(visit: Visit) -> Response:
    """The form for the code."""
    following = next_path(visit.query("next"))
    if visit.actor:
        return visit.redirect(following)
    if not visit.cookie(PENDING):
        return visit.redirect(f"/login?next={quote(following, safe='')}")
    return visit.page("code", next=following)


async def act_code(visit: Visit, form: Form) -> Response:
    """Sign in by a code, of the app or for recovery."""
    following = next_path(form.text("next"))
    try:
        session = await visit.hub.sessions.finish(
            visit.cookie(PENDING), form.text("code"), address=visit.address, agent=visit.agent
        )
    except (Unauthenticated, TooMany) as error:
        return visit.page("code", error=error, next=following)
    return await visit.signed_in(session, following)


async def sign_out(visit: Visit, form: Form) -> Response:
    """End the session."""
    return await visit.signed_out("/")


def _form(visit: Visit, following: str, name: str = "", error: DockyardError | None = None) -> Response:
    return visit.page("login", error=error, next=following, name=name)
