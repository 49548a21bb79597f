"""``team``: teams, their members and their rights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from logged_in import new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_a_team_is_made_listed_and_removed(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "team-ada")
    ada.ok("org", "create", "team-acme")
    made = json.loads(ada.ok("team", "create", "team-acme/devs", "--format", "json"))

    assert (made["Organisation"], made["Name"], made["Members"]) == ("team-acme", "devs", 0)
    assert ada.ok("team", "ls", "team-acme").splitlines()[0].split() == ["NAME", "MEMBERS", "REPOSITORIES", "CREATED"]
    assert ada.ok("team", "ls", "-q", "team-acme") == "team-acme/devs\n"
    assert ada.ok("team", "list", "team-acme", "--format", "{{.Team}}") == "devs\n"
    assert ada.ok("team", "rm", "team-acme/devs", "--format", "{{.Name}}") == "team-acme/devs\n"
    assert ada("team", "rm", "team-acme/devs").stderr == "Error: there is no team team-acme/devs\n"


def test_members_and_rights_of_a_team(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "team-owner")
    bob = new_user(accounts_hub, machine, "team-member")
    ada.ok("org", "create", "team-org")
    ada.ok("repo", "create", "team-org/app", "--private")
    ada.ok("team", "create", "team-org/devs")
    too_early = ada("team", "add", "team-org/devs", "team-member")
    ada.ok("org", "add", "team-org", "team-member")
    added = ada.ok("team", "add", "team-org/devs", "team-member")
    granted = ada.ok("team", "grant", "team-org/devs", "team-org/app", "write")

    assert too_early.returncode == 1
    assert added == "team-member is in team-org/devs\n"
    assert granted == "team-org/devs has write on team-org/app\n"
    assert ada.ok("team", "members", "team-org/devs") == "NAME\nteam-member\n"
    assert ada.ok("team", "members", "-q", "team-org/devs") == "team-member\n"
    assert ada.ok("team", "members", "--format", "json", "team-org/devs") == '{"Name":"team-member"}\n'
    assert ada.ok("team", "repositories", "team-org/devs") == "REPOSITORY     RIGHT\nteam-org/app   write\n"
    assert ada.ok("team", "repos", "-q", "team-org/devs") == "team-org/app\n"
    assert ada.ok("team", "repositories", "--format", "{{.Right}}", "team-org/devs") == "write\n"
    assert bob.ok("repo", "ls", "--format", "{{.Name}} {{.Right}}", "team-org") == "team-org/app write\n"

    full = f"{accounts_hub.host}/team-org/app"
    assert ada.ok("team", "grant", "team-org/devs", full, "read", "--format", "{{.Right}}") == "read\n"
    assert ada.ok("team", "revoke", "team-org/devs", "team-org/app", "--format", "{{.Team}}") == "team-org/devs\n"
    assert bob.ok("repo", "ls", "-q", "team-org") == ""
    assert ada.ok("team", "add", "team-org/devs", "team-owner", "--format", "{{.Name}}") == "team-owner\n"
    assert ada.ok("team", "remove", "team-org/devs", "team-member", "--format", "{{.Name}}") == "team-member\n"
    assert ada.ok("team", "members", "-q", "team-org/devs") == "team-owner\n"


def test_a_team_gets_no_right_outside_of_its_organisation(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "team-else")
    ada.ok("org", "create", "team-narrow")
    ada.ok("team", "create", "team-narrow/devs")
    ada.ok("repo", "create", "team-else/app")

    assert ada("team", "grant", "team-narrow/devs", "team-else/app", "read").returncode == 1
