"""Two-factor sign-in: turned on with a code of the app, off with the password and a code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Conflict, Invalid, TooMany, Unauthenticated
from dockyard.web.pages.tabs import settings_page
from dockyard.web.pages.visit import sentence

if TYPE_CHECKING:
    from starlette.responses import Response

    from dockyard.web.pages.forms import Form
    from dockyard.web.pages.visit import Visit

_WRONG = (Unauthenticated, TooMany, Invalid, Conflict)


async def show(visit: Visit) -> Response:
    """Whether it is on, and the form for the other."""
    own = await visit.hub.accounts.own(visit.user)
    return await settings_page(visit, "two_factor", on=own.second_factor)


async def act(visit: Visit, form: Form) -> Response:
    """Begin, confirm or turn off. What is shown once is the answer itself."""
    step = {"confirm": _confirm, "off": _turn_off}.get(form.text("do"), _begin)
    return await step(visit, form)


async def _begin(visit: Visit, form: Form) -> Response:
    try:
        begun = await visit.hub.second_factor.begin(visit.user, form.exact("password"))
    except _WRONG as error:
        errors = {"password": sentence(error)}
        return await settings_page(visit, "two_factor", error=error, on=False, errors=errors)
    return await settings_page(visit, "two_factor_begun", begun=begun)


async def _confirm(visit: Visit, form: Form) -> Response:
    try:
        codes = await visit.hub.second_factor.confirm(visit.user, form.text("code"))
    except _WRONG as error:
        errors = {"code": sentence(error)}
        return await settings_page(visit, "two_factor_begun", error=error, begun=None, errors=errors)
    return await settings_page(visit, "recovery_codes", codes=codes)


async def _turn_off(visit: Visit, form: Form) -> Response:
    try:
        await visit.hub.second_factor.disable(visit.user, form.exact("password"), form.text("code"))
    except _WRONG as error:
        return await settings_page(visit, "two_factor", error=error, on=True)
    return visit.redirect("/account/two-factor?done=second-factor-off")
