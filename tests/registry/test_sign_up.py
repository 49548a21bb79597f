"""How people come to have accounts: codes that work once, and sign-up that is open, by invitation or closed."""

import asyncio
import dataclasses

import pytest
from registry.people import ELSEWHERE, HERE, PASSWORD, audited, make_user, sign_in
from registry.pushing import raised
from sqlalchemy import select

from dockyard.errors import Conflict, Denied, Invalid, NameInvalid, NameUnknown, NotFound, TooMany, Unauthenticated
from dockyard.registry import account_schema
from dockyard.registry.access import ANONYMOUS, Scope
from dockyard.registry.accounts import SYSTEM
from dockyard.registry.limits import OF_ADDRESS, SIGN_UPS

DAY = 86400


@pytest.fixture
async def hub(open_hub):
    return await open_hub(signup="invite")


@pytest.fixture
async def root(hub):
    return await make_user(hub, "root", administrator=True)


async def set_up(hub, code, name="root", password=PASSWORD):
    return await hub.sign_up.first_administrator(code, name, password, address=ELSEWHERE)


async def accept(hub, made, name="ada", password=PASSWORD):
    return await hub.sign_up.accept(made.code, name, password, address=ELSEWHERE)


async def owner_of(hub, name, organisation):
    owner = await make_user(hub, name)
    await hub.organisations.create(owner, organisation)
    return owner


async def roles(hub, organisation):
    members = await hub.organisations.members(SYSTEM, organisation)
    return {member.name: member.owner for member in members}


async def test_the_setup_code_makes_the_first_administrator_once(hub):
    code = await hub.sign_up.setup_code()
    made = await set_up(hub, code)

    assert (made.name, made.administrator, made.address) == ("root", True, ELSEWHERE)
    assert await sign_in(hub, "root")
    assert await raised(lambda: set_up(hub, code, "second")) is NotFound
    assert await hub.sign_up.setup_code() is None
    assert await audited(hub) == [("root", "user.create", "root"), ("root", "session.begin", "root")]


async def test_of_those_who_use_the_setup_code_at_once_one_becomes_the_administrator(open_hub):
    hubs = [await open_hub() for _ in range(2)]
    code = await hubs[0].sign_up.setup_code()
    names = ["first", "second", "third", "fourth"]
    outcomes = await asyncio.gather(
        *(raised(lambda hub=hub, name=name: set_up(hub, code, name)) for hub, name in zip(hubs * 2, names, strict=True))
    )

    assert sorted(outcomes, key=str) == [NotFound] * 3 + [None]
    assert len((await hubs[0].accounts.users(SYSTEM, limit=10)).items) == 1


async def test_a_setup_code_is_over_after_a_day_or_when_there_is_a_newer_one_or_an_administrator(hub, clock):
    first = await hub.sign_up.setup_code()
    second = await hub.sign_up.setup_code()
    replaced = await raised(lambda: set_up(hub, first))
    clock.passes(DAY)
    old = await raised(lambda: set_up(hub, second))
    third = await hub.sign_up.setup_code()
    await hub.accounts.create(SYSTEM, "root", PASSWORD, administrator=True)

    assert [replaced, old] == [NotFound, NotFound]
    assert await raised(lambda: set_up(hub, third, "eve")) is NotFound


async def test_the_setup_code_still_holds_after_a_slip(hub):
    code = await hub.sign_up.setup_code()
    slips = [
        await raised(lambda: set_up(hub, code, "library")),
        await raised(lambda: set_up(hub, code, "root", "short")),
        await raised(lambda: set_up(hub, code, "root", "")),
    ]
    await make_user(hub, "taken")

    assert [*slips, await raised(lambda: set_up(hub, code, "taken"))] == [NameInvalid, Invalid, Invalid, Conflict]
    assert await set_up(hub, code)


async def test_codes_that_nobody_was_given_do_nothing_and_count_against_the_address(hub):
    code = await hub.sign_up.setup_code()
    for text in ("", "x", "\ud800", code[:-1], code.swapcase(), *("guess" for _ in range(OF_ADDRESS - 5))):
        assert await raised(lambda text=text: set_up(hub, text)) is NotFound

    assert await raised(lambda: set_up(hub, code)) is TooMany
    assert await raised(lambda: hub.sign_up.invitation("x")) is NotFound


async def test_a_setup_code_is_no_invitation_and_an_invitation_no_setup_code(hub):
    code = await hub.sign_up.setup_code()
    invited = await hub.sign_up.invite(SYSTEM)

    assert await raised(lambda: set_up(hub, invited.code)) is NotFound
    assert await raised(lambda: hub.sign_up.invitation(code)) is NotFound
    assert await set_up(hub, code)
    assert await accept(hub, invited)


async def test_the_database_does_not_have_the_codes(hub, root):
    made = await hub.sign_up.invite(root, note="for Ada")
    row = await hub.content.database.read(lambda c: c.execute(select(account_schema.codes)).one())

    assert made.code not in map(str, row) and made.code not in repr(made)
    assert made.url == f"https://hub.example/signup?invitation={made.code}"


@pytest.mark.parametrize("signup", ["closed", "invite", "open"])
async def test_administrators_invite_people_whatever_sign_up_is(open_hub, signup):
    hub = await open_hub(signup=signup)
    root = await make_user(hub, "root", administrator=True)
    made = await hub.sign_up.invite(root, note="for Ada")
    shown = await hub.sign_up.invitation(made.code)
    ada = await accept(hub, made)

    assert (shown.note, shown.organisation, shown.inviter) == ("for Ada", None, "root")
    assert (ada.name, ada.administrator) == ("ada", False)
    assert await sign_in(hub)
    assert await raised(lambda: accept(hub, made, "eve")) is NotFound
    assert await hub.sign_up.invitations(root) == []


async def test_of_those_who_take_an_invitation_at_once_one_gets_an_account(open_hub):
    hubs = [await open_hub() for _ in range(2)]
    made = await hubs[0].sign_up.invite(await make_user(hubs[0], "root", administrator=True))
    names = ["first", "second", "third", "fourth"]
    outcomes = await asyncio.gather(
        *(raised(lambda hub=hub, name=name: accept(hub, made, name)) for hub, name in zip(hubs * 2, names, strict=True))
    )

    assert sorted(outcomes, key=str) == [NotFound] * 3 + [None]
    assert len((await hubs[0].accounts.users(SYSTEM, limit=10)).items) == 2


async def test_an_invitation_is_over_after_a_week_and_still_holds_after_a_slip(hub, root, clock):
    made = await hub.sign_up.invite(root)
    taken = await raised(lambda: accept(hub, made, "root"))
    clock.passes(7 * DAY - 1)
    held = await hub.sign_up.invitation(made.code)
    clock.passes(1)

    assert taken is Conflict
    assert held == made.invitation
    assert await raised(lambda: accept(hub, made)) is NotFound


@pytest.mark.parametrize(("signup", "allowed"), [("closed", False), ("invite", True), ("open", True)])
async def test_owners_invite_people_into_their_organisation_unless_sign_up_is_closed(open_hub, signup, allowed):
    hub = await open_hub(signup=signup)
    owner = await owner_of(hub, "owner", "team")
    if not allowed:
        assert await raised(lambda: hub.sign_up.invite(owner, organisation="team")) is Denied
        return
    made = await hub.sign_up.invite(owner, organisation="team")
    ada = await accept(hub, made)

    assert await roles(hub, "team") == {"owner": True, "ada": False}
    assert [entry.name for entry in await hub.organisations.mine(ada)] == ["team"]
    assert ("ada", "member.set", "team") in await audited(hub)
    assert ("ada", "invitation.accept", "team") in await audited(hub)


async def test_nobody_else_invites(hub, root):
    owner = await owner_of(hub, "owner", "team")
    member = await make_user(hub, "member")
    await hub.organisations.set_member(owner, "team", "member", owner=False)
    invite = hub.sign_up.invite
    reader = dataclasses.replace(root, scopes=frozenset({Scope.READ, Scope.WRITE}))
    refused = {
        "a stranger": await raised(lambda: invite(ANONYMOUS)),
        "an owner, to the hub": await raised(lambda: invite(owner)),
        "a member": await raised(lambda: invite(member, organisation="team")),
        "into a user": await raised(lambda: invite(owner, organisation="owner")),
        "into what is not there": await raised(lambda: invite(root, organisation="nothing")),
        "into what can't be": await raised(lambda: invite(root, organisation="\ud800")),
        "an owner of nothing": await raised(lambda: invite(root, as_owner=True)),
        "with a long note": await raised(lambda: invite(root, note="a" * 201)),
        "with a token that only reads": await raised(lambda: invite(reader)),
    }

    assert refused == {
        "a stranger": Unauthenticated,
        "an owner, to the hub": Denied,
        "a member": Denied,
        "into a user": NameUnknown,
        "into what is not there": NameUnknown,
        "into what can't be": NameUnknown,
        "an owner of nothing": Invalid,
        "with a long note": Invalid,
        "with a token that only reads": Denied,
    }


async def test_who_has_an_account_joins_with_it(hub, root):
    owner = await owner_of(hub, "owner", "team")
    ada = await make_user(hub, "ada")
    as_member = await hub.sign_up.invite(owner, organisation="team")
    as_owner = await hub.sign_up.invite(owner, organisation="team", as_owner=True)
    again = await hub.sign_up.invite(owner, organisation="team")
    await hub.sign_up.join(ada, as_member.code)
    first = await roles(hub, "team")
    await hub.sign_up.join(ada, as_owner.code)
    await hub.sign_up.join(ada, again.code)

    assert first == {"owner": True, "ada": False}
    assert await roles(hub, "team") == {"owner": True, "ada": True}
    assert await raised(lambda: hub.sign_up.join(ada, as_member.code)) is NotFound
    assert await raised(lambda: hub.sign_up.join(ANONYMOUS, as_member.code)) is Unauthenticated
    into_nothing = await hub.sign_up.invite(root)
    assert await raised(lambda: hub.sign_up.join(ada, into_nothing.code)) is NotFound


async def test_people_see_and_withdraw_the_invitations_of_what_they_own(hub, root):
    owner, other = await owner_of(hub, "owner", "team"), await owner_of(hub, "other", "club")
    plain = (await hub.sign_up.invite(root)).invitation
    made = await hub.sign_up.invite(owner, organisation="team", note="for Ada")
    team = made.invitation
    seen = {actor.name: await hub.sign_up.invitations(actor) for actor in (root, owner, other)}
    foreign = [await raised(lambda id=id: hub.sign_up.withdraw(other, id)) for id in (plain.id, team.id, 999)]
    await hub.sign_up.withdraw(owner, team.id)

    assert seen == {"root": [team, plain], "owner": [team], "other": []}
    assert foreign == [NotFound] * 3
    assert await raised(lambda: hub.sign_up.invitation(made.code)) is NotFound
    assert await hub.sign_up.invitations(root) == [plain]
    assert await raised(lambda: hub.sign_up.invitations(ANONYMOUS)) is Unauthenticated
    assert ("owner", "invitation.withdraw", "team") in await audited(hub)


async def test_an_invitation_is_over_when_its_inviter_may_invite_no_longer(hub, root):
    await make_user(hub, "second", administrator=True)
    owner = await owner_of(hub, "owner", "team")
    await hub.organisations.set_member(owner, "team", "second", owner=True)
    second = await hub.rights.actor((await hub.content.database.read(_row, "second")).id)
    plain = await hub.sign_up.invite(second)
    of_owner = await hub.sign_up.invite(owner, organisation="team")
    await hub.accounts.set_blocked(root, "second", True)
    blocked = await raised(lambda: hub.sign_up.invitation(plain.code))
    await hub.accounts.change(root, "second", blocked=False, administrator=False)
    demoted = await raised(lambda: hub.sign_up.invitation(plain.code))
    await hub.organisations.set_member(SYSTEM, "team", "owner", owner=False)

    assert [blocked, demoted] == [NotFound, NotFound]
    assert await raised(lambda: accept(hub, of_owner)) is NotFound


def _row(connection, name):
    return connection.execute(select(account_schema.accounts).where(account_schema.accounts.c.name == name)).one()


async def test_what_owners_invited_to_is_over_where_sign_up_was_closed_since(open_hub):
    before = await open_hub(signup="invite")
    made = await before.sign_up.invite(await owner_of(before, "owner", "team"), organisation="team")
    ada = await make_user(before, "ada")
    after = await open_hub(signup="closed")

    assert await raised(lambda: accept(after, made, "bob")) is NotFound
    await after.sign_up.join(ada, made.code)
    assert await roles(after, "team") == {"owner": True, "ada": False}


@pytest.mark.parametrize("signup", ["closed", "invite"])
async def test_people_sign_up_only_where_everybody_may(open_hub, signup):
    hub = await open_hub(signup=signup)

    with pytest.raises(Denied):
        await hub.sign_up.sign_up("ada", PASSWORD, address=ELSEWHERE)


async def test_who_signs_up_has_an_account_and_its_namespace(open_hub):
    hub = await open_hub(signup="open")
    ada = await hub.sign_up.sign_up("ada", PASSWORD, address=ELSEWHERE)
    refused = [
        await raised(lambda name=name, password=password: hub.sign_up.sign_up(name, password, address=HERE))
        for name, password in [("ada", PASSWORD), ("library", PASSWORD), ("bob", "short"), ("a/b", PASSWORD)]
    ]

    assert (ada.name, ada.administrator, ada.address) == ("ada", False, ELSEWHERE)
    assert refused == [Conflict, NameInvalid, Invalid, NameInvalid]
    assert await sign_in(hub)
    assert await audited(hub) == [("ada", "user.create", "ada"), ("ada", "session.begin", "ada")]


async def test_an_address_makes_so_many_accounts_at_a_time(open_hub, clock):
    hubs = [await open_hub(signup="open") for _ in range(2)]
    outcomes = [
        await raised(lambda turn=turn: hubs[turn % 2].sign_up.sign_up(f"name{turn}", PASSWORD, address=ELSEWHERE))
        for turn in range(SIGN_UPS + 1)
    ]
    elsewhere = await raised(lambda: hubs[0].sign_up.sign_up("ada", PASSWORD, address=HERE))
    clock.passes(15 * 60)

    assert outcomes == [None] * SIGN_UPS + [TooMany]
    assert elsewhere is None
    assert await hubs[0].sign_up.sign_up("bob", PASSWORD, address=ELSEWHERE)
