"""``token``: personal access tokens, from the command line to a login."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from canary import password_of
from logged_in import at, logged_in, new_user

if TYPE_CHECKING:
    from collections.abc import Callable

    from servers import Hub, Machine

    Machines = Callable[[str], Machine]


def test_a_token_is_alone_on_stdout_and_takes_the_place_of_the_password(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "token-ada")
    made = ada("token", "create", "laptop", "--scope", "read", "--scope", "admin", "--expires", "90d")
    laptop = logged_in(accounts_hub, machine("laptop"), "token-ada", made.stdout)

    assert made.returncode == 0
    assert len(made.stdout.splitlines()) == 1
    assert made.stdout.startswith("dyp_")
    assert made.stderr == "Use it as the password of a login. It is shown this once and expires in 3 months.\n"
    assert laptop.ok("repo", "create", "token-ada/app") == "token-ada/app\n"


def test_tokens_and_logins_are_listed_and_revoked(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "token-list")
    made = json.loads(ada.ok("token", "create", "ci", "--format", "json"))
    template = "{{.Name}} {{.Kind}} {{.Scopes}} {{.ExpiresIn}}"
    lines = ada.ok("token", "ls", "--format", template).splitlines()
    number = str(made["ID"])

    assert (made["Name"], made["Kind"], made["Secret"][:4]) == ("ci", "personal", "dyp_")
    assert lines == ["ci personal read,write never", "dockyard login read,write,delete,admin in 3 months"]
    assert ada.ok("token", "ls").splitlines()[0].split() == (
        ["ID", "NAME", "KIND", "SCOPES", "CREATED", "EXPIRES", "LAST", "USED"]
    )
    assert number in ada.ok("token", "list", "-q").split()
    assert ada.ok("token", "rm", number, "--format", "{{.Name}}") == f"{number}\n"
    assert ada("token", "rm", "ci").stderr == "Error: no such token: ci\n"


def test_a_name_that_several_tokens_have_is_not_enough(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "token-twice")
    ids = [json.loads(ada.ok("token", "create", "ci", "--format", "json"))["ID"] for _ in range(2)]
    refused = ada("token", "rm", "ci")

    assert refused.returncode == 1
    assert refused.stderr == f"Error: ci is the name of several tokens\nSay which: {ids[1]} {ids[0]}\n"
    assert ada.ok("token", "rm", *map(str, ids)) == f"{ids[0]}\n{ids[1]}\n"


def test_a_token_makes_none_that_can_do_more(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "token-narrow")
    narrow = logged_in(
        accounts_hub, machine("narrow"), "token-narrow", ada.ok("token", "create", "x", "--scope", "read")
    )

    assert "denied" in narrow("token", "create", "wide", "--scope", "write").stderr
    assert "denied" in narrow("repo", "create", "token-narrow/app").stderr


def test_a_login_that_was_revoked_is_said_so(accounts_hub: Hub, machine: Machines) -> None:
    ada = new_user(accounts_hub, machine, "token-revoked")
    here = logged_in(accounts_hub, machine("there"), "token-revoked", password_of("token-revoked"))
    login = ada.ok("token", "ls", "-q").split()[0]
    ada.ok("token", "rm", login)
    refused = here("token", "ls")

    assert refused.returncode == 1
    assert refused.stderr.endswith(f"Log in: dockyard login {accounts_hub.host}\n")
    assert at(accounts_hub, ada).ok("token", "ls", "-q")
