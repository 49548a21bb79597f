"""Codes that work once: to become the first administrator, and invitations. Each is known by its hash.

Whoever uses a code deletes its row in the same transaction: of two who use it at once, one finds it gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, insert, or_, select, true

from dockyard.errors import NotFound
from dockyard.registry.access import Kind
from dockyard.registry.account_schema import accounts as account_rows
from dockyard.registry.account_schema import codes, memberships
from dockyard.registry.catalog import access, accounts, audit, members

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row, Select

    from dockyard.registry.access import Actor

GONE = "this code is over: it was used, withdrawn, or too old"


def renew_setup(connection: Connection, hash: str, *, now: int, expires: int) -> bool:
    """Have this code, and no other, for the first administrator; ``False`` where there is one."""
    connection.execute(delete(codes).where(codes.c.purpose == "setup"))
    if accounts.has_administrator(connection):
        return False
    row = {"purpose": "setup", "hash": hash, "created": now, "expires": expires, "inviter": None, "note": ""}
    connection.execute(insert(codes), row | {"organisation": None, "as_owner": False})
    return True


def setup(connection: Connection, hash: str, *, now: int) -> None:
    """Raise NotFound unless this is the code for the first administrator."""
    chosen = select(codes.c.id).where(codes.c.purpose == "setup", codes.c.hash == hash, codes.c.expires > now)
    if connection.scalar(chosen) is None or accounts.has_administrator(connection):
        raise NotFound(GONE)


def set_up(connection: Connection, actor: Actor, hash: str, name: str, password: str, *, now: int) -> int:
    """Use the code for the first administrator; return their id. NotFound, Conflict."""
    setup(connection, hash, now=now)
    connection.execute(delete(codes).where(codes.c.purpose == "setup"))
    return accounts.add_user(connection, actor, name, now=now, claim=True, password=password, administrator=True)


def invite(
    connection: Connection,
    actor: Actor,
    hash: str,
    *,
    note: str,
    organisation: str | None,
    as_owner: bool,
    now: int,
    expires: int,
) -> Row[Any]:
    """Keep a new invitation, into an organisation where one is named; return it. NameUnknown."""
    leads_to = None if organisation is None else members.organisation(connection, organisation)
    row = {"purpose": "invitation", "hash": hash, "created": now, "expires": expires, "inviter": actor.id}
    row |= {"note": note, "organisation": leads_to, "as_owner": as_owner}
    connection.execute(insert(codes), row)
    detail = {"note": note, "owner": as_owner}
    audit.note(connection, actor, "invitation.create", organisation or "", account=leads_to, now=now, detail=detail)
    return connection.execute(_invitations(now).where(codes.c.hash == hash)).one()


def invitation(connection: Connection, hash: str, *, now: int) -> Row[Any]:
    """The invitation, while its inviter may invite. NotFound."""
    found = connection.execute(_invitations(now).where(codes.c.hash == hash)).one_or_none()
    if found is None:
        raise NotFound(GONE)
    return found


def visible(connection: Connection, actor: Actor, *, now: int) -> Sequence[Row[Any]]:
    """Invitations that the actor may see, the newest first: all, or those into organisations that they own."""
    query = _invitations(now)
    if not actor.administrator:
        query = query.where(codes.c.organisation.in_(access.owned_organisations(actor)))
    return connection.execute(query.order_by(codes.c.id.desc())).all()


def withdraw(connection: Connection, actor: Actor, id: int, *, now: int) -> None:
    """Take back an invitation that the actor may see. NotFound."""
    found = next((row for row in visible(connection, actor, now=now) if row.id == id), None)
    if found is None:
        raise NotFound(f"there is no invitation {id}")
    connection.execute(delete(codes).where(codes.c.id == id))
    detail = {"note": found.note}
    target = found.organisation or ""
    audit.note(connection, actor, "invitation.withdraw", target, account=found.leads_to, now=now, detail=detail)


def accept(connection: Connection, actor: Actor, hash: str, name: str, password: str, *, closed: bool, now: int) -> int:
    """Use an invitation to make an account, which joins where it leads; return its id. NotFound, Conflict.

    ``closed``: only invitations of administrators count.
    """
    found = invitation(connection, hash, now=now)
    if closed and not found.by_administrator:
        raise NotFound(GONE)
    made = accounts.add_user(connection, actor, name, now=now, claim=False, password=password)
    _use(connection, replace(actor, id=made, name=name, kind=Kind.USER), found, now)
    return made


def join(connection: Connection, actor: Actor, hash: str, *, now: int) -> None:
    """Use an invitation to join the organisation that it leads into; an owner stays one. NotFound."""
    found = invitation(connection, hash, now=now)
    if found.leads_to is None:
        raise NotFound("this invitation is for somebody who has no account yet")
    _use(connection, actor, found, now)


def _use(connection: Connection, actor: Actor, found: Row[Any], now: int) -> None:
    connection.execute(delete(codes).where(codes.c.id == found.id))
    target = found.organisation or ""
    audit.note(connection, actor, "invitation.accept", target, account=found.leads_to, now=now)
    if actor.id is None or actor.name is None or found.leads_to is None:
        return
    if found.as_owner or not members.is_member(connection, found.leads_to, actor.id):
        members.set_member(connection, actor, target, actor.name, owner=found.as_owner, now=now)


def _invitations(now: int) -> Select[Any]:
    """Invitations that are not over; those of people who may invite no longer are."""
    inviter, leads_to = account_rows.alias("inviter"), account_rows.alias("leads_to")
    membership = memberships.alias("membership")
    may_still = or_(
        codes.c.inviter.is_(None),
        and_(inviter.c.blocked.is_(None), or_(inviter.c.administrator == true(), membership.c.owner == true())),
    )
    columns = (codes.c.id, codes.c.note, codes.c.as_owner, codes.c.created, codes.c.expires)
    names = (
        inviter.c.name.label("inviter"),
        leads_to.c.name.label("organisation"),
        codes.c.organisation.label("leads_to"),
    )
    by_administrator = or_(codes.c.inviter.is_(None), inviter.c.administrator == true()).label("by_administrator")
    same = and_(membership.c.organisation == codes.c.organisation, membership.c.account == codes.c.inviter)
    return (
        select(*columns, *names, by_administrator)
        .select_from(codes)
        .outerjoin(inviter, inviter.c.id == codes.c.inviter)
        .outerjoin(leads_to, leads_to.c.id == codes.c.organisation)
        .outerjoin(membership, same)
        .where(codes.c.purpose == "invitation", codes.c.expires > now, may_still)
    )
