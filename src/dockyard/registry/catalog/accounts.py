"""Accounts: their names, what they are and what becomes of what was theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sqlalchemy import insert, select, update

from dockyard.errors import Conflict
from dockyard.registry.catalog import access
from dockyard.registry.schema import accounts, namespaces

if TYPE_CHECKING:
    from sqlalchemy import Connection


def create(
    connection: Connection,
    name: str,
    *,
    kind: Literal["user", "organisation"],
    now: int,
    claim: bool,
    full_name: str = "",
    email: str = "",
    password: str | None = None,
    administrator: bool = False,
) -> int:
    """Make a user or organisation with the namespace of its name; return its id. Conflict where the name is taken.

    ``claim``: it may have a namespace that is there and belongs to nobody. ``password`` is hashed. What it pushes is
    public at first, until it says otherwise. The caller writes to the audit log.
    """
    namespace = connection.execute(select(namespaces).where(namespaces.c.name == name)).one_or_none()
    known = connection.scalar(select(accounts.c.id).where(accounts.c.name == name))
    if known is not None or (namespace is not None and (namespace.account is not None or not claim)):
        raise Conflict(f"the name {name} is taken")
    row = {"kind": kind, "name": name, "created": now, "owner": None, "full_name": full_name, "email": email}
    row |= {"default_private": False, "administrator": administrator, "blocked": None, "password": password}
    row |= {"totp_secret": None, "totp_confirmed": False, "totp_last": 0}
    made: int = connection.scalars(insert(accounts).returning(accounts.c.id), row).one()
    if namespace is None:
        connection.execute(insert(namespaces), {"name": name, "created": now, "account": made})
    else:
        connection.execute(update(namespaces).where(namespaces.c.id == namespace.id).values(account=made))
    access.raise_version(connection)
    return made
