"""``invite``: links for those who are to come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from logged_in import administrator, new_user
from servers import get

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine


@pytest.fixture
def inviting(start_hub: Callable[..., Hub]) -> Hub:
    """A hub to which owners of organisations invite too."""
    return start_hub("--signup", "invite", auth="accounts")


def test_an_invitation_is_a_link_that_is_listed_until_it_is_withdrawn(
    inviting: Hub, machine: Callable[[str], Machine]
) -> None:
    boss = administrator(inviting, machine)
    made = boss.ok("invite", "create", "--note", "Grace")
    template = "{{.Note}} {{.Inviter}} {{.Organisation}}{{.Role}}"
    [number] = boss.ok("invite", "ls", "-q").split()

    assert made.startswith(f"{inviting.url}/signup?invitation=")
    assert get(made.strip())[0] == 200
    assert boss.ok("invite", "ls").splitlines()[0].split()[:4] == ["ID", "NOTE", "ORGANISATION", "ROLE"]
    assert boss.ok("invite", "list", "--format", template) == "Grace boss \n"
    assert boss.ok("invite", "rm", number, "--format", "{{.Name}}") == f"{number}\n"
    assert boss.ok("invite", "ls", "-q") == ""
    assert boss("invite", "rm", number).returncode == 1


def test_an_owner_invites_to_the_organisation(inviting: Hub, machine: Callable[[str], Machine]) -> None:
    ada = new_user(inviting, machine, "ada")
    ada.ok("org", "create", "acme")
    made = json.loads(ada.ok("invite", "create", "--org", "acme", "--owner", "--format", "json"))
    refused = ada("invite", "create", "--org", "others")

    assert (made["Organisation"], made["AsOwner"], made["Inviter"]) == ("acme", True, "ada")
    assert made["URL"].endswith(made["Code"])
    assert ada.ok("invite", "ls", "--format", "{{.Organisation}} {{.Role}}") == "acme owner\n"
    assert refused.returncode == 1
