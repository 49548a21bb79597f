"""The part that all forms which make an account share: its name, its password, and what may be wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dockyard.errors import Conflict, DockyardError, Invalid, NameInvalid
from dockyard.web.pages.visit import sentence

if TYPE_CHECKING:
    from dockyard.web.pages.forms import Form

DIFFERENT = "The two passwords are not the same."


def new_password(form: Form) -> str:
    """The new password of a form that asks for it twice. PasswordsDiffer."""
    if (password := form.exact("password")) != form.exact("again"):
        raise PasswordsDiffer(DIFFERENT)
    return password


class PasswordsDiffer(Invalid):
    """A new password was not typed the same twice."""


def field_errors(error: DockyardError) -> dict[str, str]:
    """The field that an error belongs to, with what to say beside it; empty where it belongs to none."""
    if isinstance(error, PasswordsDiffer):
        return {"again": DIFFERENT}
    if isinstance(error, NameInvalid | Conflict):
        return {"name": sentence(error)}
    return {"password": sentence(error)} if isinstance(error, Invalid) else {}
