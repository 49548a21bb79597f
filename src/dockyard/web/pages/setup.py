"""The first administrator, made with the code that the server printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import NotFound
from dockyard.web.pages.new_accounts import field_errors, new_password
from dockyard.web.pages.visit import REFUSALS

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.errors import DockyardError
    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit


async def show(visit: Visit) -> Response:
    """The form. NotFound once there is an administrator."""
    await _require_none(visit)
    return _form(visit, visit.query("code"))


async def act(visit: Visit, form: Form) -> Response:
    """Make the administrator and sign in."""
    await _require_none(visit)
    code, name = form.text("code"), form.text("name")
    try:
        actor = await visit.hub.sign_up.first_administrator(code, name, new_password(form), address=visit.address)
    except REFUSALS as error:
        # A code that does not work has to be typed anew, and so be seen.
        return _form(visit, code, name, error)
    return await visit.signed_in(await visit.hub.sessions.begin(actor, agent=visit.agent), "/")


async def _require_none(visit: Visit) -> None:
    if await visit.hub.accounts.has_administrator():
        raise NotFound("this hub has its administrator", hint="Sign in instead.")


def _form(visit: Visit, code: str, name: str = "", error: DockyardError | None = None) -> Response:
    errors = field_errors(error) if error else {}
    asked = not code or bool(error and not errors)
    return visit.page("setup", error=error, code=code, ask_code=asked, name=name, errors=errors)
