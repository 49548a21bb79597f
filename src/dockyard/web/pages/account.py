"""The account's own settings: profile, password, and the browsers that are signed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Invalid, TooMany, Unauthenticated
from dockyard.web.cookies import SESSION
from dockyard.web.pages.new_accounts import field_errors, new_password
from dockyard.web.pages.tabs import settings_page
from dockyard.web.pages.visit import sentence

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """Profile and password."""
    return await _account(visit)


async def act(visit: Visit, form: Form) -> Response:
    """Change one of the two."""
    if form.text("do") == "password":
        return await _change_password(visit, form)
    full_name, email, private = form.text("full_name"), form.text("email"), form.text("visibility") == "private"
    try:
        await visit.hub.accounts.configure(visit.user, full_name=full_name, email=email, default_private=private)
    except Invalid as error:
        typed = {"full_name": full_name, "email": email, "default_private": private}
        return await _account(visit, error, typed=typed)
    return visit.redirect("/account?done=saved")


async def show_sessions(visit: Visit) -> Response:
    """The browsers that are signed in."""
    sessions = await visit.hub.sessions.all(visit.user, visit.cookie(SESSION))
    return await settings_page(visit, "sessions", sessions=sessions)


async def act_sessions(visit: Visit, form: Form) -> Response:
    """End one session, or all but this one."""
    if form.text("do") == "end-others":
        ended = [
            entry.id for entry in await visit.hub.sessions.all(visit.user, visit.cookie(SESSION)) if not entry.current
        ]
    else:
        ended = [form.number("id")]
    for session_id in ended:
        await visit.hub.sessions.end(visit.user, session_id)
    return visit.redirect("/account/sessions?done=ended")


async def _change_password(visit: Visit, form: Form) -> Response:
    try:
        await visit.hub.accounts.change_password(
            visit.user, form.exact("current"), new_password(form), cookie=visit.cookie(SESSION)
        )
    except (Unauthenticated, TooMany) as error:
        return await _account(visit, error, errors={"current": sentence(error)})
    except Invalid as error:
        return await _account(visit, error, errors=field_errors(error))
    return visit.redirect("/account?done=password")


async def _account(
    visit: Visit,
    error: DockyardError | None = None,
    *,
    errors: dict[str, str] | None = None,
    typed: dict[str, object] | None = None,
) -> Response:
    own = await visit.hub.accounts.own(visit.user)
    kept = {"full_name": own.full_name, "email": own.email, "default_private": own.default_private}
    return await settings_page(visit, "account", error=error, own=own, errors=errors or {}, profile=typed or kept)
