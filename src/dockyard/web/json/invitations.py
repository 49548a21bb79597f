"""Invitations: how people come to a hub whose sign-up is closed, and into organisations."""

from __future__ import annotations

from msgspec import Struct

from dockyard.errors import Conflict, Denied, NotFound
from dockyard.registry.names import check_team_name
from dockyard.registry.profiles import Invitation, NewInvitation
from dockyard.web.json.endpoint import Ask, Listing, endpoint
from dockyard.web.json.fields import Line, Name


class InvitationRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to invite; with ``organisation``, they are members of it then."""

    note: Line = ""
    organisation: Name | None = None
    as_owner: bool = False


@endpoint("GET", "/invitations", "Invitations that nobody has taken yet", Denied)
async def get_invitations(ask: Ask) -> Listing[Invitation]:
    """Answer with all that one may see."""
    return Listing(list(await ask.hub.sign_up.invitations(ask.actor)))


@endpoint(
    "POST", "/invitations", "Invite somebody; the code is shown this once", Denied, NotFound, Conflict, status=201
)
async def post_invitation(ask: Ask, body: InvitationRequest) -> NewInvitation:
    """Make the invitation."""
    organisation = None if body.organisation is None else check_team_name(body.organisation)
    return await ask.hub.sign_up.invite(ask.actor, note=body.note, organisation=organisation, as_owner=body.as_owner)


@endpoint("DELETE", "/invitations/{id}", "Withdraw an invitation", Denied, NotFound)
async def delete_invitation(ask: Ask, id: int) -> None:
    """Withdraw it."""
    await ask.hub.sign_up.withdraw(ask.actor, id)
