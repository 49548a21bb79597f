"""``repo``: what owners do with their repositories, as they see it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
from typing import TYPE_CHECKING

import pytest
from logged_in import new_user
from servers import DOCKYARD

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_a_repository_is_made_shown_changed_and_removed(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "repo-ada")
    made = ada.ok("repo", "create", "repo-ada/app", "--private", "--description", "An app", "--format", "json")
    shown = json.loads(ada.ok("repo", "inspect", "repo-ada/app"))
    changed = ada.ok("repo", "set", "repo-ada/app", "--public", "--description", "Tea", "--format", "{{.Private}}")

    assert [json.loads(made)] == shown
    assert {key: shown[0][key] for key in ("Name", "Private", "Description", "Tags", "Pushed", "Right")} == {
        "Name": "repo-ada/app", "Private": True, "Description": "An app", "Tags": 0, "Pushed": None, "Right": "admin",
    }  # fmt: skip
    assert changed == "false\n"
    assert ada.ok("repo", "inspect", "-f", "{{.Description}}", "repo-ada/app") == "Tea\n"
    assert ada.ok("repo", "set", "repo-ada/app", "--private") == "repo-ada/app\n"
    assert ada.ok("repo", "rm", "--force", "repo-ada/app") == "repo-ada/app\n"
    assert ada.ok("repo", "ls", "-q", "repo-ada") == ""


def test_a_list_has_dockers_look(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "repo-list")
    ada.ok("repo", "create", "repo-list/app", "--public")
    ada.ok("repo", "create", "repo-list/secret", "--private")
    template = "table {{.Name}}\\t{{.Visibility}}"

    assert ada.ok("repo", "ls", "repo-list") == (
        "NAME               VISIBILITY   RIGHT     TAGS      PUSHED\n"
        "repo-list/app      public       admin     0         never\n"
        "repo-list/secret   private      admin     0         never\n"
    )
    assert ada.ok("repo", "list", "--quiet", "repo-list") == "repo-list/app\nrepo-list/secret\n"
    assert ada.ok("repo", "ls", "--format", template, "repo-list").splitlines()[1:] == [
        "repo-list/app      public",
        "repo-list/secret   private",
    ]
    lines = ada.ok("repo", "ls", "--format", "json", "repo-list").splitlines()
    assert [json.loads(line)["Private"] for line in lines] == [False, True]


def test_a_right_is_given_listed_changed_and_taken(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "repo-giver")
    accounts_hub.user("repo-taker")
    ada.ok("repo", "create", "repo-giver/app")
    given = ada.ok("repo", "grant", "repo-giver/app", "repo-taker", "read")
    changed = ada.ok("repo", "grant", "repo-giver/app", "repo-taker", "write", "--format", "json")
    template = "{{.Name}} {{.Kind}} {{.Right}}"

    assert given == "repo-taker has read on repo-giver/app\n"
    assert json.loads(changed) == {"Repository": "repo-giver/app", "Name": "repo-taker", "Right": "write"}
    assert ada.ok("repo", "collaborators", "repo-giver/app") == (
        "NAME         KIND      RIGHT\nrepo-taker   user      write\n"
    )
    assert ada.ok("repo", "collaborators", "-q", "repo-giver/app") == "repo-taker\n"
    assert ada.ok("repo", "collaborators", "--format", template, "repo-giver/app") == "repo-taker user write\n"
    assert ada.ok("repo", "revoke", "repo-giver/app", "repo-taker", "--format", "{{.Name}}") == "repo-taker\n"
    assert ada("repo", "revoke", "repo-giver/app", "repo-taker").returncode == 1


def test_several_are_removed_and_those_that_are_not_there_are_named(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "repo-several")
    for name in ("one", "two"):
        ada.ok("repo", "create", f"repo-several/{name}")
    done = ada("repo", "rm", "-f", "--format", "json", "repo-several/one", "repo-several/none", "repo-several/two")

    assert done.returncode == 1
    assert [json.loads(line)["Name"] for line in done.stdout.splitlines()] == ["repo-several/one", "repo-several/two"]
    assert done.stderr == "Error: there is no repository repo-several/none\n"


@pytest.mark.parametrize(("typed", "code"), [("repo-asked/app", 0), ("repo-asked", 1), ("", 1)])
def test_at_a_terminal_the_name_has_to_be_typed(typed: str, code: int, accounts_hub: Hub, machine: Machines) -> None:
    name = f"repo-asked{len(typed)}"
    ada = new_user(accounts_hub, machine, name)
    ada.ok("repo", "create", f"{name}/app")
    terminal, other_end = pty.openpty()
    os.write(terminal, f"{typed.replace('repo-asked', name)}\n".encode())
    done = subprocess.run(
        [DOCKYARD, "repo", "rm", f"{name}/app"], env=ada.env, stdin=other_end, capture_output=True, text=True
    )
    os.close(terminal)
    os.close(other_end)

    assert done.returncode == code
    assert (
        f"WARNING! This will remove {name}/app from {accounts_hub.host}, with all its tags and images." in done.stderr
    )
    assert ada.ok("repo", "ls", "-q", name) == ("" if code == 0 else f"{name}/app\n")


def test_what_a_stranger_asks_about_private_repositories_is_as_of_none(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "repo-hidden")
    bob = new_user(accounts_hub, machine, "repo-stranger")
    ada.ok("repo", "create", "repo-hidden/app", "--private")
    said = [bob("repo", "inspect", f"repo-hidden/{name}").stderr for name in ("app", "not")]

    assert said == [f"Error: there is no repository repo-hidden/{name}\n" for name in ("app", "not")]
    assert bob("repo", "rm", "-f", "repo-hidden/app").returncode == 1
    assert bob.ok("repo", "ls", "-q", "repo-hidden") == ""
