"""``org``: organisations and their members."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from logged_in import new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_an_organisation_is_made_listed_and_removed(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "org-ada")
    made = json.loads(ada.ok("org", "create", "org-acme", "--full-name", "Acme Ltd", "--format", "json"))
    plain = ada.ok("org", "create", "org-other")
    template = "{{.Name}} ({{.FullName}}): {{.Role}}"

    assert (made["Name"], made["FullName"], made["Role"]) == ("org-acme", "Acme Ltd", "owner")
    assert plain == "org-other\n"
    assert ada.ok("org", "ls").splitlines()[0].split() == ["NAME", "FULL", "NAME", "ROLE", "CREATED"]
    assert ada.ok("org", "ls", "-q") == "org-acme\norg-other\n"
    assert ada.ok("org", "list", "--format", template).splitlines()[0] == "org-acme (Acme Ltd): owner"
    assert ada.ok("org", "rm", "org-acme", "org-other", "--format", "{{.Name}}") == "org-acme\norg-other\n"
    assert ada.ok("org", "ls", "-q") == ""


def test_an_organisation_says_what_its_new_repositories_are(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "org-setter")
    ada.ok("org", "create", "org-quiet")
    changed = json.loads(ada.ok("org", "set", "org-quiet", "--private", "--full-name", "Quiet Ltd", "--format", "json"))
    made = ada.ok("repo", "create", "org-quiet/app", "--format", "{{.Private}}")
    again = ada.ok("org", "set", "org-quiet", "--public")
    nothing = ada("org", "set", "org-quiet")
    both = ada("org", "set", "org-quiet", "--public", "--private")

    assert (changed["FullName"], changed["DefaultPrivate"], made) == ("Quiet Ltd", True, "true\n")
    assert again == "org-quiet\n"
    assert (nothing.returncode, both.returncode) == (1, 1)
    assert "nothing to set" in nothing.stderr
    assert "cannot specify both" in both.stderr


def test_members_come_become_owners_and_go(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "org-owner")
    bob = new_user(accounts_hub, machine, "org-member")
    ada.ok("org", "create", "org-people")
    added = ada.ok("org", "add", "org-people", "org-member")
    seen = bob.ok("org", "members", "org-people")
    raised = ada.ok("org", "add", "org-people", "org-member", "--owner", "--format", "json")

    assert added == "org-member is a member of org-people\n"
    assert seen == "NAME         ROLE\norg-member   member\norg-owner    owner\n"
    assert json.loads(raised) == {"Organisation": "org-people", "Name": "org-member", "Role": "owner"}
    assert ada.ok("org", "members", "-q", "org-people") == "org-member\norg-owner\n"
    assert ada.ok("org", "members", "--format", "{{.Role}}", "org-people") == "owner\nowner\n"
    assert bob.ok("org", "remove", "org-people", "org-owner", "--format", "{{.Name}}") == "org-owner\n"
    assert bob("org", "remove", "org-people", "org-member").stderr == (
        "Error: org-member is the last owner of org-people. Make somebody else an owner first.\n"
    )


def test_a_member_leaves_but_manages_nothing(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "org-boss")
    bob = new_user(accounts_hub, machine, "org-leaver")
    ada.ok("org", "create", "org-left")
    ada.ok("org", "add", "org-left", "org-leaver")
    refused = bob("org", "add", "org-left", "org-leaver", "--owner")

    assert refused.returncode == 1
    assert "denied: requested access to the resource is denied" in refused.stderr
    assert bob.ok("org", "remove", "org-left", "org-leaver") == "org-leaver is not in org-left any more\n"


def test_an_organisation_with_repositories_stays(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "org-keeper")
    ada.ok("org", "create", "org-kept")
    ada.ok("repo", "create", "org-kept/app")
    done = ada("org", "rm", "org-kept")

    assert (done.returncode, done.stdout) == (1, "")
    assert "organisation org-kept has a repository" in done.stderr
